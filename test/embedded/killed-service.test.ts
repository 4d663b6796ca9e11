import { existsSync } from "node:fs";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { SERVER_NAMES } from "../../src/embedded/servers.ts";
import { ask, compiledHome, openHome, scratchFolder, serverPids } from "./support.ts";
import { startService, startUnwatched } from "./support.ts";

const compiled = compiledHome("killed-service");
afterAll(() => compiled.remove());

const isReady = (fact: { readonly event: string }): boolean => fact.event === "ready";

test("a service that was killed leaves its data, no lock and no server", async () => {
  const dataDir = path.join(scratchFolder(), "home");
  const service = startService({ module: compiled.module, dataDir });
  const { address, pid } = await service.until(isReady);
  await ask(address!, "create table kept as select 42 as answer");
  service.process.kill("SIGKILL");
  await service.ended;

  const home = await openHome(dataDir);
  expect(await ask(home.address("main"), "select answer from kept")).toBe(42);
  expect(serverPids(path.join(dataDir, "main"))).not.toContain(pid);
  await home.close();
  expect(serverPids(path.join(dataDir, "main"))).toEqual([]);
});

test("servers end with a service that was killed, without waiting for the next", async () => {
  const dataDir = path.join(scratchFolder(), "home");
  const service = startService({ module: compiled.module, dataDir });
  await service.until(isReady);
  expect(serverPids(path.join(dataDir, "main"))).not.toEqual([]);
  service.process.kill("SIGKILL");
  await expect.poll(() => serverPids(path.join(dataDir, "main")), { timeout: 60_000 }).toEqual([]);
});

test("a service and its server, killed at the same moment, start again with their data", async () => {
  const dataDir = path.join(scratchFolder(), "home");
  const service = startService({ module: compiled.module, dataDir });
  const { address, pid } = await service.until(isReady);
  await ask(address!, "create table kept as select 42 as answer");
  process.kill(pid!, "SIGKILL");
  service.process.kill("SIGKILL");
  await service.ended;

  const home = await openHome(dataDir);
  expect(await ask(home.address("main"), "select answer from kept")).toBe(42);
});

test("a service that was killed while it made its database starts again", async () => {
  const dataDir = path.join(scratchFolder(), "home");
  for (let kill = 0; kill < 3; kill += 1) {
    const service = startService({ module: compiled.module, dataDir });
    await service.until(({ message }) => message?.startsWith("making the database") === true);
    service.process.kill("SIGKILL");
    await service.ended;
  }
  const home = await openHome(dataDir);
  expect(await ask(home.address("main"), "select 1")).toBe(1);
});

test("a service with all servers that was killed leaves none of them, and the next one has all", async () => {
  const dataDir = path.join(scratchFolder(), "home");
  const options = { env: { ...process.env, ROLES: SERVER_NAMES.join(",") } };
  const service = startService({ module: compiled.module, dataDir, options });
  const { address } = await service.until(isReady);
  await ask(address!, "create table kept as select 42 as answer");
  const pids = (): number[] => SERVER_NAMES.flatMap((name) => serverPids(path.join(dataDir, name)));
  const before = pids();
  service.process.kill("SIGKILL");
  await service.ended;

  const home = await openHome(dataDir, { roles: SERVER_NAMES });
  await Promise.all(SERVER_NAMES.map((name) => home.whenReady(name)));
  expect(await ask(home.address("main"), "select answer from kept")).toBe(42);
  const readonly = home.address("readonly");
  await expect.poll(() => ask(readonly, "select answer from kept").catch(() => 0)).toBe(42);
  expect(pids().filter((pid) => before.includes(pid))).toEqual([]);
  await home.close();
  expect(pids()).toEqual([]);
});

test.each(SERVER_NAMES)(
  "%s, left behind without a watcher, is ended by the next start",
  async (name) => {
    const dataDir = path.join(scratchFolder(), "home");
    const home = await openHome(dataDir, { roles: SERVER_NAMES });
    await Promise.all(SERVER_NAMES.map((each) => home.whenReady(each)));
    await home.close();
    const orphan = await startUnwatched(dataDir, name);
    const lean = await openHome(dataDir, { roles: ["main"] }); // Also where it does not run that server.
    const left = SERVER_NAMES.flatMap((each) => serverPids(path.join(dataDir, each)));
    expect(left).toContain(lean.status()[0]!.pid);
    expect(left).not.toContain(orphan);
  },
);

test("a service that was killed while it copied its replica leaves nothing that looks like one", async () => {
  const dataDir = path.join(scratchFolder(), "home");
  const options = { env: { ...process.env, ROLES: SERVER_NAMES.join(",") } };
  for (let kill = 0; kill < 2; kill += 1) {
    const service = startService({ module: compiled.module, dataDir, options });
    await service.until(({ message }) => message?.startsWith("copying main") === true);
    await expect.poll(() => existsSync(path.join(dataDir, "readonly.new/base"))).toBe(true);
    service.process.kill("SIGKILL");
    await service.ended;
    expect(existsSync(path.join(dataDir, "readonly"))).toBe(false);
  }
  const home = await openHome(dataDir, { roles: SERVER_NAMES });
  await home.whenReady("readonly");
  expect(await ask(home.address("readonly"), "select pg_is_in_recovery()")).toBe(true);
  expect(existsSync(path.join(dataDir, "readonly.new"))).toBe(false);
});

test("Ctrl-C at the terminal reaches the service alone, which stops in order", async () => {
  const dataDir = path.join(scratchFolder(), "home");
  const options = { detached: true }; // a process group of its own, as a terminal gives it
  const service = startService({ module: compiled.module, dataDir, options });
  const { address } = await service.until(isReady);
  const work = ask(address!, "select pg_sleep(3) is not null");
  const busy = "select count(*)::int from pg_stat_activity where query like 'select pg_sleep%'";
  await expect.poll(() => ask(address!, busy)).toBe(1);
  process.kill(-service.process.pid!, "SIGINT");
  await service.until(({ event }) => event === "interrupted");
  expect(await work).toBe(true);

  service.process.kill("SIGTERM");
  await service.until(({ event }) => event === "closed");
  await service.ended;
  expect(serverPids(path.join(dataDir, "main"))).toEqual([]);
});

test("a second service is refused, with the pid of the first", async () => {
  const dataDir = path.join(scratchFolder(), "home");
  const service = startService({ module: compiled.module, dataDir });
  const { address } = await service.until(isReady);

  await expect(openHome(dataDir)).rejects.toMatchObject({
    code: "DATA_DIRECTORY",
    message: expect.stringContaining(`pid ${service.process.pid}`) as string,
  });
  expect(await ask(address!, "select 1")).toBe(1);
});

test("a service that is frozen still holds its directory", async () => {
  const dataDir = path.join(scratchFolder(), "home");
  const service = startService({ module: compiled.module, dataDir });
  await service.until(isReady);
  service.process.kill("SIGSTOP");
  await expect(openHome(dataDir)).rejects.toThrow("is in use");
});

test("of services that start at the same moment, one gets the directory", async () => {
  const dataDir = path.join(scratchFolder(), "home");
  const services = [1, 2, 3, 4].map(() => startService({ module: compiled.module, dataDir }));
  const facts = await Promise.all(
    services.map((service) => service.until(({ event }) => event !== "log")),
  );
  expect(facts.map(({ event }) => event).toSorted()).toEqual([
    "ready",
    "refused",
    "refused",
    "refused",
  ]);
  for (const { event, code } of facts) if (event === "refused") expect(code).toBe("DATA_DIRECTORY");
});
