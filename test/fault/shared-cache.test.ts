import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { TestContext } from "vitest";
import type { Redis } from "../../dev/services/redis.ts";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { State } from "../../src/state/state.ts";
import { describeOnHomes, oneHome } from "../support/homes.ts";
import type { TestHome } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { Proxy } from "../support/proxy.ts";
import { adminOf, cacheOn, redisOf } from "../support/redis.ts";
import type { RedisAdmin } from "../support/redis.ts";
import { until } from "../support/until.ts";
import { randomFrom } from "./random.ts";

/** Calls at least, and how often each trouble comes. */
const CALLS = proofLength({ short: 2_000, full: 100_000 });
const ROUNDS = proofLength({ short: 1, full: 5 });
const DEADLINE_MS = proofLength({ short: 120_000, full: 1_800_000 });
const CALLERS = 16;
const STATES = 40;
/** What a call to the cache may take: enough for a busy machine, or nobody would find anything there. */
const CALL_MS = 1_000;
const SEED = 20_261_126;

/** Nothing, or hardly anything, stays in a process: reads ask further. */
const MEMORIES = [
  { entries: 0, bytes: 0 },
  { entries: 8, bytes: 1024 * 1024 },
] as const;

// The cache does not know what kind of PostgreSQL it stands before: one is enough.
describeOnHomes("a shared cache in trouble", suite, oneHome());

function suite(home: TestHome): void {
  let bench: Bench;

  beforeAll(async () => {
    bench = await openBench(home);
  });

  afterAll(() => bench.close());

  test(
    "gives no session less than its token",
    async (context) => {
      const place = await placeOf(bench, context);
      const sessions = new Sessions(place.managers);
      await sessions.create();
      const troubles = Object.entries(TROUBLES);
      const share = Math.ceil(CALLS / (3 * ROUNDS * troubles.length));
      for (let round = 0; round < ROUNDS; round++) {
        for (const [name, { begin, end }] of troubles) {
          await until(() => sessions.areServedByCache(), {
            what: `a cache in use before: ${name}`,
          });
          await place.admin.command("SAVE");
          await sessions.run(share); // so that what was saved is old
          await begin(place);
          await sessions.run(share);
          await end(place);
          await sessions.run(share);
        }
      }
      await sessions.compareWithMain();
      for (const { sharedCache } of place.managers) expect(sharedCache!.hits).toBeGreaterThan(0);
    },
    DEADLINE_MS,
  );
}

interface Place {
  readonly redis: Redis;
  readonly admin: RedisAdmin;
  /** Between each process and the cache. */
  readonly proxies: readonly [Proxy, Proxy];
  readonly managers: readonly [StateManager, StateManager];
}

interface Trouble {
  readonly begin: (place: Place) => Promise<unknown> | void;
  readonly end: (place: Place) => Promise<unknown> | void;
}

const nothing = (): void => undefined;

const TROUBLES: Readonly<Record<string, Trouble>> = {
  "killed, and back empty": {
    begin: async ({ redis }) => {
      await redis.kill();
      await rm(join(redis.folder, "dump.rdb"));
    },
    end: ({ redis }) => redis.start(),
  },
  "killed, and back with old contents": {
    begin: ({ redis }) => redis.kill(),
    end: ({ redis }) => redis.start(),
  },
  "old contents while it is in use": {
    begin: async ({ admin, redis }) => {
      await redis.kill();
      await redis.start();
      await admin.command("PING");
    },
    end: nothing,
  },
  "delayed for one": {
    begin: ({ proxies }) => proxies[0].delay(15),
    end: ({ proxies }) => proxies[0].delay(0),
  },
  "so late that nobody waits": {
    begin: ({ proxies }) => proxies.forEach((proxy) => proxy.delay(CALL_MS)),
    end: ({ proxies }) => proxies.forEach((proxy) => proxy.delay(0)),
  },
  "parted from one": {
    begin: ({ proxies }) => proxies[1].freeze(),
    end: ({ proxies }) => proxies[1].thaw(),
  },
  "refused, and cut": {
    begin: ({ proxies }) => {
      for (const proxy of proxies) {
        proxy.refuse();
        proxy.cut();
      }
    },
    end: ({ proxies }) => proxies.forEach((proxy) => proxy.accept()),
  },
  frozen: {
    begin: ({ redis }) => redis.freeze(),
    end: ({ redis }) => redis.thaw(),
  },
  "emptied while it is in use": {
    begin: ({ admin }) => admin.command("FLUSHALL"),
    end: nothing,
  },
};

async function placeOf(bench: Bench, context: TestContext): Promise<Place> {
  const redis = await redisOf(context);
  const { port } = new URL(redis.address.url);
  const open = async (memory: (typeof MEMORIES)[number]): Promise<[Proxy, StateManager]> => {
    const proxy = await Proxy.open({ host: "127.0.0.1", port: Number(port) });
    onTestFinished(() => proxy.close());
    const url = new URL(redis.address.url);
    url.port = String(proxy.port);
    const shared = await cacheOn(url.href, { timeoutMs: CALL_MS, connectTimeoutMs: 2 * CALL_MS });
    return [proxy, bench.openManager({ cache: memory, pollMs: 3, shared })];
  };
  const [first, second] = [await open(MEMORIES[0]), await open(MEMORIES[1])];
  return {
    redis,
    admin: await adminOf(redis),
    proxies: [first[0], second[0]],
    managers: [first[1], second[1]],
  };
}

interface Seen {
  readonly version: bigint;
  readonly turn: number;
}

/** Callers that read and write the same states at two processes, each with the tokens it was given. */
class Sessions {
  readonly #managers: readonly [StateManager, StateManager];
  readonly #below = randomFrom(SEED);
  /** The newest version that each session saw, by state; and that each process acknowledged. */
  readonly #tokens = Array.from({ length: CALLERS }, () => new Map<string, bigint>());
  readonly #acknowledged = [new Map<string, bigint>(), new Map<string, bigint>()] as const;
  readonly #turns = new Map<string, number>();
  #turn = 0;

  constructor(managers: readonly [StateManager, StateManager]) {
    this.#managers = managers;
  }

  async create(): Promise<void> {
    for (let number = 0; number < STATES; number++) await this.#write(0, 0, `s${number}`);
  }

  /** So many calls at least. */
  async run(calls: number): Promise<void> {
    const each = Math.ceil(calls / CALLERS);
    const session = async (caller: number): Promise<void> => {
      for (let done = 0; done < each; done++) await this.#call(caller);
    };
    await Promise.all(Array.from({ length: CALLERS }, (_, caller) => session(caller)));
  }

  /** Both processes find something there: the trouble before is over. */
  async areServedByCache(): Promise<boolean> {
    await this.run(CALLERS);
    const hits = (): number[] => this.#managers.map(({ sharedCache }) => sharedCache!.hits);
    const before = hits();
    for (let number = 0; number < STATES; number++) {
      for (const manager of this.#managers) await manager.getState(`s${number}`);
    }
    return hits().every((now, index) => now > before[index]!);
  }

  async compareWithMain(): Promise<void> {
    for (let number = 0; number < STATES; number++) {
      const id = `s${number}`;
      const main = await this.#managers[0].getState(id, { consistency: "strong" });
      for (const manager of this.#managers) {
        expect(await manager.getState(id, { minVersion: main.version })).toEqual(main);
      }
      expect(main.version).toBe(this.#newest(id));
    }
  }

  async #call(caller: number): Promise<void> {
    const id = `s${this.#below(STATES)}`;
    const at = this.#below(2) as 0 | 1;
    if (this.#below(4) === 0) await this.#write(caller, at, id);
    else await this.#read(caller, at, id);
  }

  async #write(caller: number, at: 0 | 1, id: string): Promise<void> {
    const turn = ++this.#turn;
    const { version } = await this.#managers[at].updateState(id, "note", { turn });
    this.#saw(caller, id, { version, turn });
    if ((this.#acknowledged[at].get(id) ?? 0n) < version) this.#acknowledged[at].set(id, version);
  }

  async #read(caller: number, at: 0 | 1, id: string): Promise<void> {
    const token = this.#tokens[caller]!.get(id);
    const own = this.#acknowledged[at].get(id) ?? 0n;
    const options = token === undefined ? {} : { minVersion: token };
    const state = await this.#managers[at].getState(id, options);
    // What this process acknowledged needs no token.
    for (const least of [token ?? 0n, own]) expect(state.version).toBeGreaterThanOrEqual(least);
    this.#saw(caller, id, { version: state.version, turn: turnOf(state) });
  }

  #saw(caller: number, id: string, { version, turn }: Seen): void {
    const tokens = this.#tokens[caller]!;
    if ((tokens.get(id) ?? 0n) < version) tokens.set(id, version);
    const known = this.#turns.get(`${id}@${version}`);
    if (known !== undefined) expect(turn).toBe(known);
    this.#turns.set(`${id}@${version}`, turn);
  }

  #newest(id: string): bigint {
    const versions = this.#tokens.map((tokens) => tokens.get(id) ?? 0n);
    return versions.reduce((newest, next) => (newest < next ? next : newest));
  }
}

function turnOf({ data }: State): number {
  return (data as { readonly turn: number }).turn;
}
