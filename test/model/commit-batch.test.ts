import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { FeedRow, PreparedUnit, StateStore } from "../../src/state/ports.ts";
import { proveOnPostgres } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { auditDatabase, checkFeedOrder, readWholeFeed } from "./audit.ts";
import { CommitModel } from "./commit-model.ts";
import type { Fate } from "./commit-model.ts";
import { batchesIn } from "./random-batches.ts";

const numRuns = proofLength({ short: 50, full: 400 });
const dataBytes = 900;

proveOnPostgres("commit_batch does what the model does", (home) => {
  let bench: Bench;
  let store: StateStore;
  let count = 0;
  const codes = new Map<string | null, number>();

  beforeAll(async () => {
    bench = await openBench(home);
    store = bench.openStore({ dataBytes });
  });

  afterAll(() => bench.close());

  async function play(batches: readonly PreparedUnit[][], given: Given): Promise<void> {
    const namespace = `run${++count}`;
    const model = new CommitModel(dataBytes);
    if (given.holds) {
      await holdScope(namespace, "d");
      model.held.add("d");
    }
    for (const batch of batches) {
      const units = batch.map((unit) => ({ ...unit, namespace }));
      const expected = model.commitBatch(units);
      const rows = await store.commitBatch(count % store.lanes, units, !given.believes);
      expect(rows.map((unit) => unit.map(told))).toEqual(expected.map((unit) => unit.map(told)));
      for (const { code } of expected.flat()) codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    await compare(namespace, model);
  }

  async function holdScope(namespace: string, scope: string): Promise<void> {
    await bench.sql(
      `with held as (insert into agent_state.scopes (namespace, scope) values ($1, $2) returning scope_no)
       insert into agent_state.holds (scope_no) select scope_no from held`,
      [namespace, scope],
    );
  }

  async function compare(namespace: string, model: CommitModel): Promise<void> {
    await auditDatabase(bench, namespace);
    const rows = await bench.sql(
      `select s.id, c.version, c.step, c.phase, c.kind = 'd' as deleted, s.type, coalesce(s.scope, s.id) as scope,
              agent_state.document(c.state_no, c.version)::text as data
         from agent_state.changes c join agent_state.states s using (state_no)
        where s.namespace = $1 order by s.id, c.version`,
      [namespace],
    );
    const found = rows.map((row) => ({
      ...row,
      data: JSON.parse((row["data"] as string | null) ?? "null") as unknown,
    }));
    const meant = [...model.states]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([id, { type, scope, versions }]) =>
        versions.map(({ version, step, ...rest }) => ({
          id,
          type,
          scope,
          version: `${version}`,
          step: `${step}`,
          ...rest,
        })),
      );
    expect(found).toEqual(meant);
  }

  test.each([
    ["when it is told which states are new", false],
    ["when it believes that all of them exist", true],
  ])(
    "%s",
    async (_name, believes) => {
      await fc.assert(
        fc.asyncProperty(batchesIn("", 5), fc.boolean(), (batches, holds) =>
          play(batches, { believes, holds }),
        ),
        { numRuns },
      );
    },
    600_000,
  );

  test("and the random batches meet every fate", () => {
    const met = [...codes.keys()].map(String).toSorted();
    expect(met).toEqual(
      [
        null,
        "ALREADY_EXISTS",
        "GONE",
        "IDEMPOTENCY_KEY_REUSED",
        "ILLEGAL_TRANSITION",
        "INVALID_PATCH",
        "INVALID_PHASE",
        "INVALID_SCOPE",
        "INVALID_TYPE",
        "PAYLOAD_TOO_LARGE",
        "REBASE",
        "REPLAYED",
        "SCOPE_ON_HOLD",
        "STATE_NOT_FOUND",
        "STEP_CONFLICT",
        "UNIT_REFUSED",
        "VERSION_CONFLICT",
      ]
        .map(String)
        .toSorted(),
    );
    expect(codes.get(null)).toBeGreaterThan([...codes.values()].reduce((sum, n) => sum + n, 0) / 4);
  });

  test("and the feed holds exactly the committed changes, in pages of any size", async () => {
    let size = 0;
    const page = (): number => (size = (size % 7) + 1) * 3;
    const feed = await readWholeFeed(bench, store, { page });
    checkFeedOrder(feed);
    const log = await bench.sql<{ name: string }>(
      `select s.namespace || '/' || s.id || '@' || c.version as name from agent_state.changes c join agent_state.states s using (state_no) order by 1`,
    );
    const nameOf = (row: FeedRow): string => `${row.namespace}/${row.id}@${row.version}`;
    expect(feed.map(nameOf).toSorted()).toEqual(log.map(({ name }) => name).toSorted());
  });
});

interface Given {
  /** Whether it is told that all states exist. */
  readonly believes: boolean;
  readonly holds: boolean;
}

/** What a caller is told of a fate: of a refusal, only what its message names. */
function told({ code, version, step, phase, created }: Fate): Partial<Fate> {
  switch (code) {
    case null:
      return { code, version, step, phase, created };
    case "VERSION_CONFLICT":
    case "ALREADY_EXISTS":
    case "GONE":
      return { code, version };
    case "REPLAYED":
    case "STEP_CONFLICT":
      return { code, step };
    case "ILLEGAL_TRANSITION":
      return { code, phase };
    default:
      return { code };
  }
}
