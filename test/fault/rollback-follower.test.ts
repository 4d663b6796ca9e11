import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Follower } from "../../src/follower/follower.ts";
import { StateManager } from "../../src/manager/state-manager.ts";
import { silentLog } from "../../src/service/log.ts";
import type { FollowedStore, RollbackStore } from "../../src/state/rollback-port.ts";
import { migrate } from "../../src/supabase/migrate.ts";
import { openFollowedStore } from "../../src/supabase/rollback/followed-store.ts";
import { openRollbackStore } from "../../src/supabase/rollback/rollback-store.ts";
import { openStateStore } from "../../src/supabase/state-store.ts";
import { requireHere } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { connectionTo } from "../support/manager.ts";
import { until } from "../support/until.ts";
import { missingPostgres, PrivatePostgres } from "./private-postgres.ts";
import { randomFrom } from "./random.ts";

const kills = proofLength({ short: 20, full: 200 });

describe("the rollback follower", () => {
  const missing = missingPostgres();
  if (missing !== undefined) return requireHere(missing);

  let main: PrivatePostgres;
  let rollback: PrivatePostgres;
  let manager: StateManager;
  let copies: RollbackStore;
  const ends: (() => Promise<unknown>)[] = [];

  beforeEach(async () => {
    [main, rollback] = await Promise.all([PrivatePostgres.open(), PrivatePostgres.open()]);
    await migrate(connectionTo(main.url));
    await migrate(connectionTo(rollback.url), "rollback");
    copies = openCopies();
    const store = openStateStore({
      ...connectionTo(main.url),
      lanes: 2,
      readers: 2,
      dataBytes: 1_048_576,
      dataDepth: 64,
    });
    manager = new StateManager({ store, copies, pollMs: 50 });
    ends.push(() => manager.close());
  });

  afterEach(async () => {
    for (const end of ends.splice(0).toReversed()) await end();
    await Promise.all([main.close(), rollback.close()]);
  });

  function openCopies(): RollbackStore {
    const store = openRollbackStore({ ...connectionTo(rollback.url), statementTimeoutMs: 2_000 });
    ends.push(() => store.close().catch(() => undefined)); // some close before
    return store;
  }

  function openFollowed(): FollowedStore {
    const store = openFollowedStore({ ...connectionTo(main.url), lanes: 0, readers: 2 });
    ends.push(() => store.close().catch(() => undefined)); // some close before
    return store;
  }

  function followerOver(stores: { main: FollowedStore; copies: RollbackStore }): Follower {
    const page = { rows: 20, bytes: 1_000_000 };
    const timing = { pollMs: 10, leaseMs: 200, share: 1, page };
    return new Follower({ ...stores, ...timing, log: silentLog });
  }

  function startFollower(): Follower {
    const follower = followerOver({ main: openFollowed(), copies: openCopies() });
    ends.push(() => follower.stop());
    follower.start();
    return follower;
  }

  async function untilHolds(id: string, data: unknown): Promise<void> {
    await until(
      async () => {
        const copy = await copies.readCopy("default", id);
        const [state] = copy?.states ?? [];
        return state?.verified === true && state.text === JSON.stringify(data);
      },
      { what: `${id} in the rollback database`, timeoutMs: 180_000 },
    );
  }

  test(
    "goes on wherever it was killed, and holds every step once",
    async () => {
      const random = randomFrom(42);
      let writing = true;
      const scopes = 12;
      const counts = Array.from({ length: scopes }, () => 0);
      const writer = (async () => {
        while (writing) {
          await Promise.all(
            counts.map(async (_, scope) => {
              const n = ++counts[scope]!;
              await manager.updateState(`s${scope}`, "note", { n });
            }),
          );
        }
      })();
      for (let kill = 0; kill < kills; kill++) {
        const left = { calls: 1 + random(12) };
        const [followed, copied] = [openFollowed(), openCopies()];
        const dead = new Promise<void>((resolve) => {
          const mortal = followerOver({
            main: dyingAfter(followed, left, resolve),
            copies: dyingAfter(copied, left, resolve),
          });
          mortal.start();
        });
        await dead;
        await Promise.all([followed.close(), copied.close()]); // as its connections end with a process
      }
      writing = false;
      await writer;
      startFollower();
      for (let scope = 0; scope < scopes; scope++) {
        await untilHolds(`s${scope}`, { n: counts[scope]! - 1 });
        const copy = await copies.readCopy("default", `s${scope}`);
        expect(copy).toMatchObject({ broken: null, pendingStep: BigInt(counts[scope]!) });
      }
    },
    240_000 + kills * 3_000,
  );

  test("waits for a rollback database that is away while main goes on, and catches up", async () => {
    const follower = startFollower();
    await manager.updateState("a", "note", { n: 1 });
    await manager.updateState("a", "note", { n: 2 });
    await untilHolds("a", { n: 1 });
    await rollback.end("SIGKILL");
    for (let n = 3; n <= 50; n++) await manager.updateState("a", "note", { n });
    await until(() => follower.figures.health === "unavailable");
    expect((await manager.scope("a")).rollbackStep).toBeNull();
    await expect(manager.rollback("a")).rejects.toMatchObject({ code: "ROLLBACK_LAGS" });
    await rollback.start();
    await untilHolds("a", { n: 49 });
    await until(() => follower.figures.health === "ok");
    expect((await manager.scope("a")).rollbackStep).toBe(49n);
  });

  test("follows on when main died and came back", async () => {
    const follower = startFollower();
    await manager.updateState("a", "note", { n: 1 });
    await manager.updateState("a", "note", { n: 2 });
    await untilHolds("a", { n: 1 });
    await main.end("SIGKILL");
    await until(() => follower.figures.health === "unavailable");
    await main.start();
    await until(() => manager.updateState("a", "note", { n: 3 }));
    await untilHolds("a", { n: 2 });
  });
});

/**
 * A store of a process that is killed: after so many calls none is answered any more, though the last may have been
 * heard.
 */
function dyingAfter<Store extends object>(
  store: Store,
  left: { calls: number },
  onDeath: () => void,
): Store {
  const never = new Promise<never>(() => undefined);
  return new Proxy(store, {
    get: (target, name) => {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== "function" || name === "close") return method;
      return async (...given: unknown[]): Promise<unknown> => {
        left.calls--;
        if (left.calls < 0) return await never;
        const answer: unknown = await (method as (...all: unknown[]) => unknown).apply(
          target,
          given,
        );
        if (left.calls > 0) return answer;
        onDeath();
        return await never;
      };
    },
  });
}
