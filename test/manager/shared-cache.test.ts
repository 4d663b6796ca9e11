import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { describeOnHomes, oneHome } from "../support/homes.ts";
import type { TestHome } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { adminOf, cacheOn, redisOf } from "../support/redis.ts";
import { group, Session } from "../support/session.ts";
import { until } from "../support/until.ts";

const numRuns = proofLength({ short: 10, full: 400 });

/** Nothing stays in the process itself: every read asks further. */
const NO_MEMORY = { entries: 0, bytes: 0 };

/** What happens to the cache between calls. */
const trouble = fc.constantFrom("lost all", "copied", "old contents are back", "nothing");
const acts = fc.array(fc.tuple(trouble, group), { minLength: 1, maxLength: 12 });

// The cache does not know what kind of PostgreSQL it stands before: one is enough.
const homes = oneHome();

describeOnHomes("a cache that processes share", suite, homes);

function suite(home: TestHome): void {
  let bench: Bench;
  let count = 0;

  beforeAll(async () => {
    bench = await openBench(home);
  });

  afterAll(() => bench.close());

  /** Whatever this finds is in the cache. */
  const readFrom = async (manager: StateManager, id: string): Promise<unknown> => {
    const { state, servedBy } = await manager.readState(id, {});
    return { servedBy, version: state.version, data: state.data };
  };

  test("serves to one process what another one read, and never what was changed since", async (context) => {
    const { address } = await redisOf(context);
    const options = { cache: NO_MEMORY, pollMs: 3 };
    const open = async (): Promise<StateManager> =>
      bench.openManager({ ...options, shared: await cacheOn(address.url) });
    const [here, there] = [await open(), await open()];
    const id = `shared-${++count}`;
    await here.updateState(id, "note", { turn: 1 });
    const served = { servedBy: "dragonfly", version: 1n, data: { turn: 1 } };
    await until(async () => expect(await readFrom(here, id)).toEqual(served) ?? true);
    await until(async () => expect(await readFrom(there, id)).toEqual(served) ?? true);
    await here.updateState(id, "note", { turn: 2 });
    expect(await readFrom(here, id)).toMatchObject({ version: 2n });
    await until(async () => ((await there.getState(id)).data as { turn: number }).turn === 2);
    const late = await open();
    const second = { servedBy: "dragonfly", version: 2n, data: { turn: 2 } };
    await until(async () => expect(await readFrom(late, id)).toEqual(second) ?? true);
    await here.deleteState(id);
    await until(() =>
      there.getState(id).then(
        () => false,
        (error: unknown) => (error as { code?: string }).code === "GONE",
      ),
    );
    await expect(here.getState(id)).rejects.toMatchObject({ code: "GONE" });
  });

  test("does not bring back what a process was told is over, though it never knew the state", async (context) => {
    const redis = await redisOf(context);
    const admin = await adminOf(redis);
    const options = { cache: NO_MEMORY, pollMs: 3 };
    const here = bench.openManager({ ...options, shared: await cacheOn(redis.address.url) });
    const there = bench.openManager({ ...options, shared: await cacheOn(redis.address.url) });
    const id = `told-${++count}`;
    const marker = `marker-${count}`;
    for (const each of [id, marker]) await here.updateState(each, "note", { turn: 1 });
    await until(async () => (await here.readState(id, {})).servedBy === "dragonfly");
    const old = await admin.copy();
    await until(async () => (await there.readState(marker, {})).servedBy === "dragonfly");
    for (const each of [id, marker]) await here.updateState(each, "note", { turn: 2 });
    await until(async () => (await there.getState(marker)).version === 2n);
    await admin.restore(old);
    expect(await readFrom(there, id)).toEqual({ servedBy: "main", version: 2n, data: { turn: 2 } });
    expect(there.sharedCache!.stale).toBeGreaterThan(0);
  });

  test("is never older than what its session wrote or was told, whatever becomes of the cache", async (context) => {
    const redis = await redisOf(context);
    const admin = await adminOf(redis);
    const options = { cache: NO_MEMORY, pollMs: 3 };
    const managers = [
      bench.openManager({ ...options, shared: await cacheOn(redis.address.url) }),
      bench.openManager({ ...options, shared: await cacheOn(redis.address.url) }),
    ] as const;
    await fc.assert(
      fc.asyncProperty(acts, async (all) => {
        const session = new Session(managers, `shared${++count}`);
        let copy = new Map<string, string>();
        for (const [what, calls] of all) {
          if (what === "lost all") await admin.command("FLUSHALL");
          else if (what === "copied") copy = await admin.copy();
          else if (what === "old contents are back") await admin.restore(copy);
          await session.play(calls);
        }
        await session.compareWithDisk();
      }),
      { numRuns },
    );
    expect(managers[0].sharedCache!.hits + managers[1].sharedCache!.hits).toBeGreaterThan(0);
  });

  test("that dies, stands still or comes back with what it saved long ago is no error", async (context) => {
    const redis = await redisOf(context);
    const admin = await adminOf(redis);
    const shared = await cacheOn(redis.address.url, { timeoutMs: 1_000 });
    const manager = bench.openManager({ cache: NO_MEMORY, pollMs: 3, shared });
    const ids = Array.from({ length: 20 }, (_, index) => `trouble-${count}-${index}`);
    let turn = 0;
    const writeAndRead = async (): Promise<void> => {
      turn++;
      await Promise.all(ids.map((id) => manager.updateState(id, "note", { turn })));
      const states = await Promise.all(ids.map((id) => manager.getState(id)));
      expect(states.map(({ data }) => data)).toEqual(ids.map(() => ({ turn })));
    };
    const isInUse = async (): Promise<unknown> =>
      until(
        async () => {
          await writeAndRead();
          return (await manager.readState(ids[0]!, {})).servedBy === "dragonfly";
        },
        { what: "a cache in use" },
      );
    await isInUse();
    await admin.command("SAVE");
    await writeAndRead();
    await redis.kill();
    await writeAndRead();
    expect(manager.sharedCache).toMatchObject({ health: "unavailable" });
    await redis.start(); // with the contents of the SAVE
    await isInUse();
    redis.freeze();
    await writeAndRead();
    await until(async () => {
      await writeAndRead();
      return manager.sharedCache!.health === "unavailable";
    });
    redis.thaw();
    await isInUse();
  });
}
