import { randomUUID } from "node:crypto";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { FeedPosition } from "../../src/state/ports.ts";
import type {
  CopyNeed,
  CopyPage,
  FeedPage,
  FollowedStore,
  PageLimit,
  RollbackStore,
  WalkPosition,
} from "../../src/state/rollback-port.ts";
import { migrate } from "../../src/supabase/migrate.ts";
import { openFollowedStore } from "../../src/supabase/rollback/followed-store.ts";
import { openRollbackStore } from "../../src/supabase/rollback/rollback-store.ts";
import type { TestHome } from "./homes.ts";
import { connectionTo, openBench } from "./manager.ts";
import type { Bench } from "./manager.ts";
import { openSql } from "./sql.ts";
import type { SqlPool } from "./sql.ts";
import { until } from "./until.ts";

/** Main and the rollback database of a test, with nobody following; `close` ends it all. */
export interface Pair {
  readonly bench: Bench;
  readonly manager: StateManager;
  readonly followed: FollowedStore;
  readonly copies: RollbackStore;
  /** The rollback database as its superuser. */
  readonly rollback: SqlPool & { readonly url: string };
  /** Another way to the rollback database, as another service has one. */
  openCopies(): RollbackStore;
  openFollowed(): FollowedStore;
  close(): Promise<void>;
}

/** Makes the pair: main from the template, the rollback database anew. */
export async function openPair(home: TestHome): Promise<Pair> {
  return await pairOn(await openBench(home), home);
}

/** The pair of a main that is there, and that it closes as well. */
export async function pairOn(bench: Bench, home: TestHome): Promise<Pair> {
  const database = await home.createDatabase();
  await migrate(connectionTo(database.adminUrl), "rollback");
  const admin = openSql(database.adminUrl);
  const ends: (() => Promise<unknown>)[] = [];
  const ours = <Store extends { close(): Promise<void> }>(store: Store): Store => {
    ends.push(() => store.close());
    return store;
  };
  const openCopies = (): RollbackStore => ours(openRollbackStore(connectionTo(database.url)));
  const openFollowed = (): FollowedStore =>
    ours(openFollowedStore({ ...connectionTo(bench.database.url), lanes: 0, readers: 2 }));
  const copies = openCopies();
  return {
    bench,
    manager: bench.openManager({ copies }),
    followed: openFollowed(),
    copies,
    rollback: { ...admin, url: database.url },
    openCopies,
    openFollowed,
    close: async () => {
      await bench.close();
      for (const end of ends.splice(0).toReversed()) await end();
      await admin.close();
      await database.drop();
    },
  };
}

const PAGE = { rows: 1_000, bytes: 8 * 1024 * 1024 };
const START: FeedPosition = { xid: 0n, scopeNo: 0n, step: 0n, position: 0 };

/** A follower by hand: each of its calls comes when the test says so. */
export class HandFollower {
  readonly #pair: Pair;
  #epoch = 0n;
  /** Where the next page is read. */
  #position: FeedPosition = START;
  #since = "-infinity";

  private constructor(pair: Pair) {
    this.#pair = pair;
  }

  /** Follows from the first change on, with no walk before. */
  static async begin(pair: Pair): Promise<HandFollower> {
    const hand = new HandFollower(pair);
    await hand.crash();
    const { lineage } = await pair.followed.head();
    await pair.copies.begin(hand.#epoch, { lineage, position: START });
    await pair.copies.fill(hand.#epoch, { parts: [], changes: [], moment: 0n }, "done");
    return hand;
  }

  get epoch(): bigint {
    return this.#epoch;
  }

  /** Forgets all that is not in the rollback database, and leads again. */
  async crash(): Promise<void> {
    if (this.#epoch !== 0n) await this.#pair.copies.releaseLease(this.#epoch);
    const lease = await this.#pair.copies.takeLease(randomUUID(), 600_000);
    this.#epoch = lease.epoch;
    this.#position = lease.followedTo?.position ?? START;
    this.#since = "-infinity";
  }

  /** The next page of main's feed. */
  async read(rows: number, bytes = PAGE.bytes): Promise<FeedPage> {
    const page = await this.#pair.followed.feedPage(this.#position, { rows, bytes });
    this.#position = page.followedTo.position;
    return page;
  }

  /** What broke by it. */
  async take(page: FeedPage): Promise<readonly CopyNeed[]> {
    const settledAt = page.more ? null : page.settledAt;
    return (await this.#pair.copies.follow(this.#epoch, { ...page, settledAt }))!;
  }

  /** Resolves when all that is committed now is in the feed. */
  async settled(): Promise<void> {
    const { bench } = this.#pair;
    const [now] = await bench.sql<{ xid: string }>("select pg_current_xact_id()::text as xid");
    // A change is in the feed once no older transaction runs any more, on any database of the server.
    const isSettled = async (): Promise<boolean> => {
      const [row] = await bench.sql<{ settled: boolean }>(
        "select $1::text::xid8 < pg_snapshot_xmin(pg_current_snapshot()) as settled",
        [now!.xid],
      );
      return row!.settled;
    };
    await until(isSettled, { what: "the end of older transactions" });
  }

  /** Follows to the end of the feed, all that is committed now included; what broke on the way. */
  async drain(): Promise<CopyNeed[]> {
    await this.settled();
    const needs: CopyNeed[] = [];
    for (;;) {
      const page = await this.read(PAGE.rows);
      needs.push(...(await this.take(page)));
      if (!page.more) return needs;
    }
  }

  /** Takes the gates that changed since the last look. */
  async lookAtGates(): Promise<void> {
    const { gates, moment, until } = await this.#pair.followed.gatesChanged(this.#since, 10_000);
    this.#since = until ?? this.#since;
    const page = { changes: [], gates, moment, followedTo: null, settledAt: null };
    await this.#pair.copies.follow(this.#epoch, page);
  }

  /** Makes the copies anew that are to be. */
  async rebuild(limit: PageLimit = PAGE): Promise<void> {
    const names = await this.#pair.copies.toRebuild(1_000);
    let after: WalkPosition | null = { scopeNo: 0n, within: null };
    while (names.length > 0 && after !== null) {
      const page: CopyPage = await this.#pair.followed.copyPage(names, after, limit);
      await this.#pair.copies.fill(this.#epoch, page, null);
      after = page.next;
    }
  }
}
