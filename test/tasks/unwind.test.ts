import { afterAll, beforeAll, expect, test } from "vitest";
import { unwindStacks } from "../../bench/parts/interrupted-stacks.ts";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { auditDatabase } from "../model/audit.ts";
import { describeOnHomes, testHomes } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";

const DEPTH = 10;
const stacks = proofLength({ short: 50, full: 10_000 });
const [direct] = testHomes();

describeOnHomes(
  "stacks whose tasks are each interrupted ten deep",
  (home) => {
    let bench: Bench;
    let manager: StateManager;

    beforeAll(async () => {
      bench = await openBench(home);
      manager = bench.openManager();
    });

    afterAll(() => bench.close());

    test(
      "unwind from the newest to the first, each task interrupted once and ended once",
      async () => {
        await unwindStacks(manager, { stacks, depth: DEPTH, prefix: "deep" });
        const rows = await bench.sql<{ cause: string; n: number }>(
          `select c.cause, count(*)::int as n from agent_state.changes c group by c.cause`,
        );
        const counts = Object.fromEntries(rows.map(({ cause, n }) => [cause, n]));
        const all = stacks * DEPTH;
        expect(counts).toMatchObject({ pushed: all, interrupted: all - stacks, complete: all });
        await auditDatabase(bench, "default");
      },
      proofLength({ short: 60_000, full: 3_600_000 }),
    );
  },
  [direct!],
);
