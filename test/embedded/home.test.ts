import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ask, openHome, pidOf, scratchFolder, serverPids } from "./support.ts";

test("a first start makes a durable database that only a private socket reaches", async () => {
  const dataDir = path.join(scratchFolder(), "deep/er/.agent_runtime");
  const home = await openHome(dataDir);
  const address = home.address("main");

  for (const setting of ["fsync", "full_page_writes", "synchronous_commit", "data_checksums"]) {
    expect([setting, await ask(address, `show ${setting}`)]).toEqual([setting, "on"]);
  }
  expect(await ask(address, "show listen_addresses")).toBe("");
  expect(await ask(address, "show server_encoding")).toBe("UTF8");
  expect(statSync(dataDir).mode & 0o777).toBe(0o700);
  expect(statSync(address.host).mode & 0o777).toBe(0o700);
});

test("the pid it tells is the postmaster's own", async () => {
  const dataDir = path.join(scratchFolder(), "home");
  const home = await openHome(dataDir);
  const told = Number.parseInt(readFileSync(path.join(dataDir, "main/postmaster.pid"), "utf8"), 10);
  expect(home.status()).toEqual([{ name: "main", pid: told, restarts: 0, state: "ready" }]);
});

test("what was stored is there after a restart, and a closed home leaves no process", async () => {
  const dataDir = path.join(scratchFolder(), "home");
  const first = await openHome(dataDir);
  await ask(first.address("main"), "create table kept as select 42 as answer");
  await Promise.all([first.close(), first.close()]);
  expect(serverPids(path.join(dataDir, "main"))).toEqual([]);
  expect(first.status()[0]!.state).toBe("stopped");

  const second = await openHome(dataDir);
  expect(await ask(second.address("main"), "select answer from kept")).toBe(42);
  await second.close();
  await second.close();
});

test("refused statements do not fill the log, and what a user stored is not in it", async () => {
  const dataDir = path.join(scratchFolder(), "home");
  const home = await openHome(dataDir);
  await expect(ask(home.address("main"), "select 'my secret'::int")).rejects.toThrow("my secret");
  expect(readFileSync(path.join(dataDir, "log/main.log"), "utf8")).not.toContain("my secret");
});

test("a path with odd characters works, and so does one too long for a socket", async () => {
  const folder = scratchFolder();
  for (const name of [`it's, "odd" ünd $x`, `${"long/".repeat(30)}home`]) {
    const home = await openHome(path.join(folder, name), { roles: ["main", "readonly"] });
    await home.whenReady("readonly"); // It finds main below that path too.
    const address = home.address("main");
    expect(await ask(address, "select 1")).toBe(1);
    expect(Buffer.byteLength(`${address.host}/.s.PGSQL.5432`)).toBeLessThan(104);
    await home.close();
  }
});

test("PostgreSQL binaries of the machine serve where the setting names their folder", async () => {
  const home = await openHome(path.join(scratchFolder(), "home"), {
    binaries: "/usr/lib/postgresql/15/bin",
    sharedBuffersMiB: 16,
  });
  const address = home.address("main");
  expect(await ask(address, "show server_version")).toMatch(/^15\./);
  expect(await ask(address, "show shared_buffers")).toBe("16MB");
  expect(await ask(address, "show default_toast_compression")).toBe("lz4");
});

test("an empty directory that exists already becomes the home, and is closed to others", async () => {
  const dataDir = path.join(scratchFolder(), "home");
  mkdirSync(dataDir, { mode: 0o755 });
  chmodSync(dataDir, 0o755);
  await openHome(dataDir);
  expect(statSync(dataDir).mode & 0o777).toBe(0o700);
});

test("a start that was killed half-way heals at the next one", async () => {
  const dataDir = path.join(scratchFolder(), "home");

  mkdirSync(path.join(dataDir, "main.new/base"), { recursive: true });

  writeFileSync(path.join(dataDir, "agent_runtime.json"), '{"layout":1,"servers":[]}');
  writeFileSync(path.join(dataDir, "main.new/PG_VERSION"), "18\n");

  const home = await openHome(dataDir);
  expect(await ask(home.address("main"), "select 1")).toBe(1);
  expect(pidOf(home)).toBeGreaterThan(1);
  expect(existsSync(path.join(dataDir, "main.new"))).toBe(false);
});

test("what a start that was killed is still making disturbs no other start", async () => {
  const dataDir = path.join(scratchFolder(), "home");
  mkdirSync(dataDir);
  writeFileSync(path.join(dataDir, "agent_runtime.json"), '{"layout":1,"servers":[]}');
  const making = spawn(
    "sh",
    ["-c", "while :; do mkdir -p main.new; : > main.new/$((n += 1)); done"],
    {
      cwd: dataDir,
    },
  );
  onTestFinished(() => void making.kill("SIGKILL"));
  await expect.poll(() => existsSync(path.join(dataDir, "main.new"))).toBe(true);
  const home = await openHome(dataDir);
  expect(await ask(home.address("main"), "select 1")).toBe(1);
});
