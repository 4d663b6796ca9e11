import type { StateManager } from "../../src/manager/state-manager.ts";
import type { FeedPosition } from "../../src/state/ports.ts";
import type { CopyNeed, FollowedStore, RollbackStore } from "../../src/state/rollback-port.ts";
import { migrate } from "../../src/supabase/migrate.ts";
import { openFollowedStore } from "../../src/supabase/rollback/followed-store.ts";
import { openRollbackStore } from "../../src/supabase/rollback/rollback-store.ts";
import type { TestHome } from "./homes.ts";
import { connectionTo, openBench } from "./manager.ts";
import type { Bench } from "./manager.ts";
import { openSql } from "./sql.ts";
import type { SqlPool } from "./sql.ts";

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
  const bench = await openBench(home);
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

/** A follower by hand: takes the lease, begins with an empty walk, and follows main's feed page by page. */
export class HandFollower {
  readonly #pair: Pair;
  readonly epoch: bigint;
  position: FeedPosition = START;

  private constructor(pair: Pair, epoch: bigint) {
    this.#pair = pair;
    this.epoch = epoch;
  }

  static async begin(pair: Pair): Promise<HandFollower> {
    const { epoch } = await pair.copies.takeLease("hand", 600_000);
    const { lineage } = await pair.followed.head();
    await pair.copies.begin(epoch, { lineage, position: START });
    await pair.copies.fill(epoch, { parts: [], changes: [] }, "done");
    return new HandFollower(pair, epoch);
  }

  /** Follows to the end of the feed; what broke on the way. */
  async drain(rows = PAGE.rows): Promise<CopyNeed[]> {
    const needs: CopyNeed[] = [];
    for (;;) {
      const page = await this.#pair.followed.feedPage(this.position, { ...PAGE, rows });
      const settledAt = page.more ? null : page.readAt;
      needs.push(...(await this.#pair.copies.follow(this.epoch, { ...page, settledAt }))!);
      this.position = page.followedTo.position;
      if (!page.more) return needs;
    }
  }

  /** Makes the copies anew that are to be. */
  async rebuild(): Promise<void> {
    const names = await this.#pair.copies.toRebuild(1_000);
    let after = { scopeNo: 0n, within: null } as Parameters<FollowedStore["copyPage"]>[1];
    while (names.length > 0) {
      const page = await this.#pair.followed.copyPage(names, after, PAGE);
      await this.#pair.copies.fill(this.epoch, page, null);
      if (page.next === null) return;
      after = page.next;
    }
  }
}
