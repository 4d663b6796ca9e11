import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { serverAddress } from "../../src/embedded/servers.ts";
import { ask, openHome, pidOf, quietLog, restartSignal } from "./support.ts";
import { scratchFolder, serverPids, startUnwatched } from "./support.ts";

test("a server that was killed comes back with its data, each time", async () => {
  const restarted = restartSignal();
  const dataDir = path.join(scratchFolder(), "home");
  const home = await openHome(dataDir, { onServerRestarted: (name) => restarted.fire(name) });
  const address = home.address("main");
  await ask(address, "create table kept as select 42 as answer");

  for (const round of [1, 2]) {
    const before = pidOf(home);
    const heard = restarted.next();
    process.kill(before, "SIGKILL");
    expect(await heard).toBe("main");
    expect(pidOf(home)).not.toBe(before);
    expect(home.status()[0]).toMatchObject({ restarts: round, state: "ready" });
    expect(await ask(address, "select answer from kept")).toBe(42);
  }
});

test("a server that began anew after a crash of one connection counts as restarted", async () => {
  const restarted = restartSignal();
  const dataDir = path.join(scratchFolder(), "home");
  const home = await openHome(dataDir, { onServerRestarted: (name) => restarted.fire(name) });
  const before = pidOf(home);

  const heard = restarted.next();
  const sleeper = ask(home.address("main"), "select pg_sleep(60)").catch((error: unknown) => error);
  const find = "select pid from pg_stat_activity where query = 'select pg_sleep(60)'";
  await expect.poll(() => ask(home.address("main"), find)).toBeDefined();
  const backend = (await ask(home.address("main"), find)) as number;
  process.kill(backend, "SIGKILL");

  expect(await heard).toBe("main");
  expect(await sleeper).toBeInstanceOf(Error);
  expect(home.status()).toEqual([{ name: "main", pid: before, restarts: 1, state: "ready" }]);
});

test("who fails at hearing of a restart does not disturb it", async () => {
  const told = restartSignal();
  const home = await openHome(path.join(scratchFolder(), "home"), {
    onServerRestarted: (name) => {
      told.fire(name);
      throw new Error("not my day");
    },
  });
  const heard = told.next();
  process.kill(pidOf(home), "SIGKILL");
  await heard;
  expect(await ask(home.address("main"), "select 1")).toBe(1);
  expect(home.status()[0]!.restarts).toBe(1);
});

test("a home can be closed while its server is being brought back", async () => {
  const dataDir = path.join(scratchFolder(), "home");
  const home = await openHome(dataDir);
  process.kill(pidOf(home), "SIGKILL");
  await home.close();
  expect(serverPids(path.join(dataDir, "main"))).toEqual([]);
});

test("a server that nobody watches any more is taken over", async () => {
  const dataDir = path.join(scratchFolder(), "home");
  const first = await openHome(dataDir);
  await ask(first.address("main"), "create table kept as select 42 as answer");
  await first.close();
  const orphan = await startUnwatched(dataDir);

  const second = await openHome(dataDir);
  expect(await ask(second.address("main"), "select answer from kept")).toBe(42);
  expect(pidOf(second)).not.toBe(orphan);
  expect(serverPids(path.join(dataDir, "main"))).not.toContain(orphan);
});

test("processes whose postmaster was killed, and are too busy to see it, are ended", async () => {
  const dataDir = path.join(scratchFolder(), "home");
  await (await openHome(dataDir)).close();
  const orphan = await startUnwatched(dataDir);
  const address = serverAddress(path.join(dataDir, "run"), "main");
  const busy = ask(address, "select count(*) from generate_series(1, 1e12)").catch(() => "cut");
  const isBusy = `select count(*)::int from pg_stat_activity where state = 'active' and query like '%1e12%' and pid <> pg_backend_pid()`;
  await expect.poll(() => ask(address, isBusy)).toBe(1);
  process.kill(orphan, "SIGKILL");

  const signals: unknown[] = [];
  const warn = (fields: object): void => void signals.push(Reflect.get(fields, "signal"));
  const home = await openHome(dataDir, { log: { ...quietLog, warn } });
  expect(await ask(home.address("main"), "select 1")).toBe(1);
  expect(await busy).toBe("cut");
  expect(signals).toEqual(["SIGQUIT"]);
});

test("a killed server's lock does not count where somebody else has its pid now", async () => {
  const dataDir = path.join(scratchFolder(), "home");
  await (await openHome(dataDir)).close();
  const somebody = spawn("sleep", ["1000"], { stdio: "ignore" });
  onTestFinished(() => void somebody.kill());
  const lock = `${somebody.pid}\n${dataDir}/main\n1700000000\n5432\n../run\n`;
  writeFileSync(path.join(dataDir, "main/postmaster.pid"), lock);
  writeFileSync(path.join(dataDir, "run/.s.PGSQL.5432.lock"), lock);

  const home = await openHome(dataDir);
  expect(await ask(home.address("main"), "select 1")).toBe(1);
});
