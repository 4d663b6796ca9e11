import { afterAll, beforeAll, expect, test } from "vitest";
import type { WalkPosition } from "../../src/state/rollback-port.ts";
import { describeOnPostgres } from "../support/homes.ts";
import { openPair } from "../support/rollback.ts";
import type { Pair } from "../support/rollback.ts";
import { until } from "../support/until.ts";

const STATES = 1_200;
const PAGE = { rows: 300, bytes: 8 * 1024 * 1024 };

describeOnPostgres("the first copy of a main", (home) => {
  let pair: Pair;

  beforeAll(async () => {
    pair = await openPair(home);
    // As in the first minutes of a large copy: plans were made for empty tables, and nobody has counted yet.
    for (const table of ["scopes", "states", "changes"])
      await pair.rollback.sql(`alter table agent_state.${table} set (autovacuum_enabled = false)`);
  });

  afterAll(() => pair.close());

  async function rowsRead(): Promise<number> {
    const [row] = await pair.rollback.sql<{ read: string }>(
      "select coalesce(sum(idx_tup_read), 0) as read from pg_stat_all_indexes where schemaname = 'agent_state'",
    );
    return Number(row!.read);
  }

  test("costs each page the same, however much was copied before", async () => {
    const { manager } = pair;
    await Promise.all(
      Array.from({ length: STATES }, (_, n) => manager.updateState(`s-${n}`, "note", n)),
    );
    const [copies, main] = [pair.openCopies(), pair.openFollowed()];
    const { epoch } = await copies.takeLease("a test", 600_000);
    await copies.begin(epoch, await main.head());
    let after: WalkPosition | null = { scopeNo: 0n, within: null };
    let pages = 0;
    while (after !== null) {
      const page = await main.copyPage(null, after, PAGE);
      expect(await copies.fill(epoch, page, page.next ?? "done")).toEqual([]);
      after = page.next;
      pages += 1;
    }
    expect(pages).toBeGreaterThan(3);
    await copies.close(); // What it read is counted once it has gone.
    const read = await until(async () => {
      const now = await rowsRead();
      return now >= STATES && now;
    });
    // A version looked up by a part of its key alone reads all that was copied: 700,000 rows and more.
    expect(Number(read) / STATES).toBeLessThan(100);
  });
});
