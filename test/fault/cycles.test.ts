import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { expect, onTestFinished, test, vi } from "vitest";
import type { TestContext } from "vitest";
import type { Rocketmq } from "../../dev/services/rocketmq.ts";
import type { Redis } from "../../dev/services/redis.ts";
import { HttpStateClient } from "../../src/client/http-client.ts";
import { runProgram } from "../support/child.ts";
import { oneHome } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { Proxy } from "../support/proxy.ts";
import { redisOf } from "../support/redis.ts";
import { ownRocketmqOf, rocketmqOf, serviceOn } from "../support/rocketmq.ts";
import type { Sql } from "../support/sql.ts";
import { openTrio } from "../support/trio.ts";
import type { Trio } from "../support/trio.ts";
import { until } from "../support/until.ts";
import { CyclingService } from "./cycling.ts";
import type { Holdings, Weight } from "./cycling.ts";

/** The first round makes what is made once in a process: threads, compiled code, what libraries keep. */
const ROUNDS = proofLength({ short: 2, full: 11 });
/** `shutdown.graceMs`, which nothing here has a reason to use up. */
const STOP_MS = 10_000;
/** Until a socket that was ended is gone, here and at the server. */
const GONE_MS = 10_000;
/**
 * A service has tens of thousands of objects, and whatever refers to a part of it has most of them. Below one a cycle
 * in the long form; what is used for the first time in a later cycle (a code path, a retry) takes some ten of them.
 */
const NEW_OBJECTS = 80;
/** What strings and V8 itself take besides: it goes up and down by 0.3 MiB from one cycle to the next. */
const NEW_HEAP_BYTES = 1024 * 1024;
const STATES = 20;
const OWNS_ROCKETMQ = proofLength({ short: false, full: true });

vi.setConfig({ testTimeout: proofLength({ short: 600_000, full: 3_000_000 }) });

interface Place {
  readonly service: CyclingService;
  readonly trio: Trio;
  readonly redis: Redis;
  /** Before RocketMQ's proxy, and before the rollback database. */
  readonly door: Proxy;
  readonly rollbackDoor: Proxy;
  /** The test's own, to be harmed; unsaid: that of the run. */
  readonly rocketmq: Rocketmq | undefined;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly group: string;
}

/** What a service meets. */
interface Weather {
  /** Other settings than usual. */
  readonly env?: Readonly<Record<string, string>>;
  /** Comes when it has worked for a while, and goes when it has stopped. */
  readonly begin?: (place: Place) => Promise<void> | void;
  readonly end?: (place: Place) => Promise<void> | void;
}

const NOBODY = "127.0.0.1:1";

const CALM: Weather = {};

const WEATHERS: Readonly<Record<string, Weather>> = {
  "all is well": CALM,
  "the broker stands still": {
    begin: ({ door }) => door.freeze(),
    end: ({ door }) => door.thaw(),
  },
  "the rollback database stands still": {
    begin: ({ rollbackDoor }) => rollbackDoor.freeze(),
    end: ({ rollbackDoor }) => rollbackDoor.thaw(),
  },
};

const MORE_WEATHERS: Readonly<Record<string, Weather>> = {
  "the cache goes away": {
    begin: ({ redis }) => redis.kill(),
    end: ({ redis }) => redis.start(),
  },
  "the broker goes away": {
    begin: ({ door }) => {
      door.refuse();
      door.cut();
    },
    end: ({ door }) => door.accept(),
  },
  "the broker was never there": { env: { ROCKETMQ_ENDPOINTS: NOBODY } },
  "the cache was never there": { env: { DRAGONFLY_URL: `redis://${NOBODY}` } },
  "the broker's proxy is killed": {
    begin: ({ rocketmq }) => rocketmq!.kill("proxy"),
    end: ({ rocketmq }) => rocketmq!.start("proxy"),
  },
  "the broker's proxy is stopped": {
    begin: ({ rocketmq }) => rocketmq!.freeze("proxy"),
    end: ({ rocketmq }) => rocketmq!.thaw("proxy"),
  },
};

/** With these it does not start: it finds out when most of it was opened. */
const FAULTY: readonly ((place: Place) => Readonly<Record<string, string>>)[] = [
  () => ({
    AGENT_RUNTIME_ROCKETMQ_TLS: "true",
    AGENT_RUNTIME_ROCKETMQ_TLS_AUTHORITY: "/nowhere/authority.pem",
  }),
  ({ door }) => ({ AGENT_RUNTIME_LISTEN: `127.0.0.1:${door.port}` }),
];

async function openPlace(context: TestContext): Promise<Place> {
  const cwd = mkdtempSync(join(tmpdir(), "art-cycles-"));
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }));
  const rocketmq = OWNS_ROCKETMQ ? await ownRocketmqOf(context) : undefined;
  const address = rocketmq?.address ?? (await rocketmqOf(context));
  const [redis, trio] = await Promise.all([redisOf(context), openTrio(oneHome()[0]!)]);
  onTestFinished(() => trio.close());
  const door = await doorBefore(`http://${address.endpoint}`);
  const rollbackDoor = await doorBefore(trio.rollback.url);
  const rollback = new URL(trio.rollback.url);
  rollback.port = String(rollbackDoor.port);
  const own = `cycles-${randomUUID().slice(0, 8)}`;
  const env = {
    AGENT_RUNTIME_LISTEN: "127.0.0.1:0",
    ...serviceOn({ ...address, endpoint: `127.0.0.1:${door.port}` }, own),
    SUPABASE_MAIN_URL: trio.main.url,
    SUPABASE_READONLY_URL: trio.readonly.url,
    SUPABASE_ROLLBACK_URL: rollback.href,
    DRAGONFLY_URL: redis.address.url,
  };
  const group = `${own}-readers`;
  const making = ["state", "topics", "create", "--group", group];
  const { code, stderr } = await runProgram(making, { cwd, env });
  expect(code, stderr).toBe(0);
  const service = await CyclingService.open();
  onTestFinished(() => service.close());
  return { service, trio, redis, door, rollbackDoor, rocketmq, cwd, env, group };
}

async function doorBefore(url: string): Promise<Proxy> {
  const { hostname: host, port } = new URL(url);
  const door = await Proxy.open({ host, port: Number(port) });
  onTestFinished(() => door.close());
  return door;
}

/** One life: it works, and so do clients of it, until it is stopped under their hands. How long that took, in ms. */
async function live(place: Place, { env = {}, begin }: Weather, number: number): Promise<number> {
  const { service, cwd, group } = place;
  const url = await service.start({ env: { ...place.env, ...env }, cwd, group });
  const client = HttpStateClient.open({ url });
  const watching = watch(client);
  const task = `task-${number}`;
  await client.tasks.push("stack", { id: task, input: { number } });
  await writeAndRead(client, number);
  await service.worked(task, env["ROCKETMQ_ENDPOINTS"] === undefined);
  await begin?.(place);
  await writeAndRead(client, number);
  const stopMs = await service.stop();
  await client.close();
  expect(await watching).toBeGreaterThanOrEqual(STATES);
  return stopMs;
}

async function writeAndRead(client: HttpStateClient, number: number): Promise<void> {
  const ids = Array.from({ length: STATES }, (_, index) => `state-${index}`);
  await Promise.all(
    ids.map(async (id, index) => {
      const scope = `scope-${index % 5}`;
      const { version } = await client.updateState(id, "note", { number }, { scope });
      expect((await client.getState(id)).version).toBeGreaterThanOrEqual(version);
    }),
  );
}

/** Watches until the client closes; how many changes came. */
async function watch(client: HttpStateClient): Promise<number> {
  let came = 0;
  for await (const { id } of client.watch()) came += id.startsWith("state-") ? 1 : 0;
  return came;
}

/** What the process of a service holds when it has stopped; what goes within moments is let go. */
async function leftBy(service: CyclingService, before: Holdings["holds"]): Promise<Holdings> {
  const troubles: string[] = [];
  let holds: Holdings["holds"] = {};
  const isGone = async (): Promise<boolean> => {
    const left = await service.look();
    troubles.push(...left.troubles);
    holds = left.holds;
    return isDeepStrictEqual(holds, before);
  };
  await until(isGone, { timeoutMs: GONE_MS }).catch(() => undefined); // the test says what is left
  return { holds, troubles };
}

/** No server has a connection of its any more. */
async function untilDisconnected({ trio }: Place, where: string): Promise<void> {
  const all = [trio.main, trio.readonly, trio.rollback];
  const areNone = async (): Promise<boolean> =>
    (await Promise.all(all.map(countOf))).every((count) => count === 0);
  await until(areNone, { what: `no connection at a database, ${where}`, timeoutMs: GONE_MS });
}

async function countOf(database: Sql): Promise<number> {
  const [row] = await database.sql<{ count: number }>(
    `select count(*)::int from pg_stat_activity
      where datname = current_database() and application_name = 'agent_runtime'`,
  );
  return row!.count;
}

test("a service that is started and stopped again and again leaves nothing in its process, whatever is away", async (context) => {
  const place = await openPlace(context);
  const { service } = place;
  const weathers = Object.entries(OWNS_ROCKETMQ ? { ...WEATHERS, ...MORE_WEATHERS } : WEATHERS);
  const weights: Weight[] = [];
  const { holds: before } = await service.look();
  let slowestMs = 0;
  for (let number = 0; number <= ROUNDS * weathers.length; number += 1) {
    const [name, weather] = weathers[number % weathers.length]!;
    const isWarm = number >= weathers.length;
    const where = `after cycle ${number}: ${name}`;
    const stopMs = await live(place, weather, number);
    const left = await leftBy(service, before);
    await weather.end?.(place);
    expect(left, where).toEqual({ troubles: [], holds: before });
    await untilDisconnected(place, where);
    expect(
      service.takeLog().filter((line) => line.includes('"level":"error"')),
      where,
    ).toEqual([]);
    expect(stopMs, where).toBeLessThan(STOP_MS);
    slowestMs = Math.max(slowestMs, stopMs);
    if (isWarm && weather === CALM) weights.push(await service.weigh());
  }
  for (const faulty of FAULTY) {
    const env = { ...place.env, ...faulty(place) };
    await expect(service.start({ ...place, env })).rejects.toThrow(/cannot (be read|listen)/);
    expect(await leftBy(service, before)).toEqual({ troubles: [], holds: before });
    await untilDisconnected(place, "after a start that failed");
  }
  const [first, last] = [weights[0]!, weights.at(-1)!];
  const newObjects = last.objects - first.objects;
  const newHeapBytes = last.heapBytes - first.heapBytes;
  console.log(
    `cycles: ${ROUNDS * weathers.length + 1}, slowest stop ${Math.round(slowestMs)} ms; in the last ${(ROUNDS - 1) * weathers.length} ` +
      `${newObjects} objects and ${Math.round(newHeapBytes / 1024)} KiB were added to ${first.objects} and ${Math.round(first.heapBytes / 1024)} KiB`,
  );
  expect(newObjects).toBeLessThan(NEW_OBJECTS);
  expect(newHeapBytes).toBeLessThan(NEW_HEAP_BYTES);
});
