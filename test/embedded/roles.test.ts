import { existsSync, readFileSync, renameSync, truncateSync } from "node:fs";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import type { EmbeddedOptions } from "../../src/embedded/home.ts";
import { SERVER_NAMES } from "../../src/embedded/servers.ts";
import { ask, heardLog, openHome, pidOf, restartSignal } from "./support.ts";
import { scratchFolder, serverPids, snapshot, statusOf } from "./support.ts";

/** A home of all three, all up. */
async function openAll(dataDir: string, options: Partial<EmbeddedOptions> = {}) {
  const home = await openHome(dataDir, { roles: SERVER_NAMES, ...options });
  await Promise.all(SERVER_NAMES.map((name) => home.whenReady(name)));
  return home;
}

const newHome = (): string => path.join(scratchFolder(), "home");
const IDENTITY = "select system_identifier::text from pg_control_system()";

test("main, its replica and an independent rollback server serve; what main stores is on the replica", async () => {
  const dataDir = newHome();
  const home = await openAll(dataDir);
  const [main, readonly, rollback] = SERVER_NAMES.map((name) => home.address(name));
  await ask(main!, "create table kept as select 42 as answer");

  await expect.poll(() => ask(readonly!, "select answer from kept").catch(() => 0)).toBe(42);
  await expect(ask(readonly!, "create table mine ()")).rejects.toThrow("read-only");
  await expect(ask(rollback!, "select answer from kept")).rejects.toThrow("does not exist");
  await ask(rollback!, "create table mine ()");

  const identity = await ask(main!, IDENTITY);
  expect(await ask(readonly!, IDENTITY)).toBe(identity);
  expect(await ask(rollback!, IDENTITY)).not.toBe(identity);
  expect(home.status()).toEqual(
    SERVER_NAMES.map((name) => {
      const file = path.join(dataDir, name, "postmaster.pid");
      const pid = Number.parseInt(readFileSync(file, "utf8"), 10);
      return { name, pid, restarts: 0, state: "ready" };
    }),
  );
  for (const address of [main, readonly, rollback]) {
    expect(await ask(address!, "show fsync")).toBe("on");
    expect(await ask(address!, "show listen_addresses")).toBe("");
  }
});

test("a long read on the replica keeps main from nothing, and is canceled soon", async () => {
  const home = await openAll(newHome());
  const [main, readonly] = [home.address("main"), home.address("readonly")];
  await ask(main, "create table kept as select n from generate_series(1, 1000) n");
  await expect
    .poll(() => ask(readonly, "select count(*)::int from kept").catch(() => 0))
    .toBe(1_000);
  const read = ask(
    readonly,
    "begin isolation level repeatable read; select n, pg_sleep(60) from kept",
  );
  const outcome = read.catch((error: unknown) => error);
  const busy = "select count(*)::int from pg_stat_activity where query like '%pg_sleep(60)%'";
  await expect.poll(() => ask(readonly, busy)).toBe(2); // the read, and this question

  await ask(main, "delete from kept where n > 1");
  expect(await ask(readonly, "show hot_standby_feedback")).toBe("off");
  await ask(main, "vacuum kept");
  expect(await outcome).toMatchObject({ code: "40001" });
  await expect.poll(() => ask(readonly, "select count(*)::int from kept")).toBe(1);
});

test.each(SERVER_NAMES)(
  "%s comes back when it is killed, and the others do not notice",
  async (name) => {
    const restarted = restartSignal();
    const home = await openAll(newHome(), { onServerRestarted: restarted.fire });
    await ask(home.address("main"), "create table kept as select 42 as answer");
    const others = SERVER_NAMES.filter((other) => other !== name);
    const before = others.map((other) => statusOf(home, other));

    const heard = restarted.next();
    process.kill(pidOf(home, name), "SIGKILL");
    expect(await heard).toBe(name);
    expect(statusOf(home, name)).toMatchObject({ restarts: 1, state: "ready" });
    expect(others.map((other) => statusOf(home, other))).toEqual(before);
    await ask(home.address("main"), "update kept set answer = 43");
    const readonly = home.address("readonly");
    await expect.poll(() => ask(readonly, "select answer from kept").catch(() => 0)).toBe(43);
  },
);

test("the replica is stopped first and main last", async () => {
  const dataDir = newHome();
  const home = await openAll(dataDir);
  await home.close();
  const ends = ["readonly", "rollback", "main"].map((name) => {
    const log = readFileSync(path.join(dataDir, "log", `${name}.log`), "utf8");
    const [, end] = /^(\S+ \S+) UTC .*database system is shut down$/m.exec(
      log.slice(log.lastIndexOf("shutting down")),
    )!;
    return Date.parse(`${end}Z`);
  });
  expect(ends).toEqual(ends.toSorted((left, right) => left - right));
  for (const name of SERVER_NAMES) expect(serverPids(path.join(dataDir, name))).toEqual([]);
  expect(home.status().map(({ state }) => state)).toEqual(["stopped", "stopped", "stopped"]);
});

test("with the role main alone there is nothing else, and main keeps no log for anybody", async () => {
  const dataDir = newHome();
  const all = await openAll(dataDir);
  const slots = "select count(*)::int from pg_replication_slots";
  expect(await ask(all.address("main"), slots)).toBe(1);
  await ask(all.address("rollback"), "create table mine ()");
  await all.close();

  const lean = await openHome(dataDir, { roles: ["main"] });
  expect(lean.status().map(({ name }) => name)).toEqual(["main"]);
  expect(await ask(lean.address("main"), slots)).toBe(0);
  expect(serverPids(path.join(dataDir, "readonly"))).toEqual([]);
  await ask(lean.address("main"), "create table later as select 1 as one");
  await lean.close();

  const again = await openAll(dataDir); // The replica missed what happened meanwhile.
  const later = "select one from later";
  await expect.poll(() => ask(again.address("readonly"), later).catch(() => 0)).toBe(1);
  await ask(again.address("rollback"), "select from mine");
});

test("a damaged rollback server is told with what to do, and the others serve", async () => {
  const dataDir = newHome();
  await (await openAll(dataDir)).close();
  truncateSync(path.join(dataDir, "rollback/global/pg_control"));

  const home = await openHome(dataDir, { roles: SERVER_NAMES });
  await home.whenReady("readonly");
  const { state, reason } = await home.settled("rollback");
  expect(state).toBe("failed");
  expect(reason).toContain("pg_control");
  expect(reason).toContain("move its folder away");
  await ask(home.address("main"), "create table kept as select 42 as answer");

  renameSync(path.join(dataDir, "rollback"), path.join(dataDir, "../damaged"));
  await home.whenReady("rollback");
  expect(await ask(home.address("rollback"), "select 1")).toBe(1);
  expect(statusOf(home, "rollback").reason).toBeUndefined();
});

test("a rollback server of another version is refused, and left as it is", async () => {
  const dataDir = newHome();
  await (await openAll(dataDir)).close();
  writeFileSync(path.join(dataDir, "rollback/PG_VERSION"), "14\n");
  const before = snapshot(path.join(dataDir, "rollback"));
  const home = await openHome(dataDir, { roles: ["main", "rollback"] });
  expect((await home.settled("rollback")).reason).toMatch(
    /made by PostgreSQL 14.*move that folder/,
  );
  expect(snapshot(path.join(dataDir, "rollback"))).toEqual(before);
});

test("a damaged main leaves the rollback server's data as it is", async () => {
  const dataDir = newHome();
  await (await openAll(dataDir)).close();
  truncateSync(path.join(dataDir, "main/global/pg_control"));
  const before = snapshot(path.join(dataDir, "rollback"));
  await expect(openHome(dataDir, { roles: SERVER_NAMES })).rejects.toThrow(/main.*did not start/s);
  expect(snapshot(path.join(dataDir, "rollback"))).toEqual(before);
  expect(existsSync(path.join(dataDir, "readonly"))).toBe(true);
});

test("a home can be closed while its replica and its rollback server are being made", async () => {
  const dataDir = newHome();
  const heard = heardLog();
  const home = await openHome(dataDir, { roles: SERVER_NAMES, log: heard.log });
  const waiting = home.whenReady("readonly");
  await heard.until("copying main into a new replica");
  expect(statusOf(home, "readonly")).toMatchObject({
    state: "seeding",
    reason: "there is none yet",
  });
  const refusal = expect(waiting).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await home.close();
  await refusal;
  for (const name of SERVER_NAMES) expect(serverPids(path.join(dataDir, name))).toEqual([]);
  expect(existsSync(path.join(dataDir, "readonly"))).toBe(false);
});
