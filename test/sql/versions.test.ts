import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyDelta } from "../../src/state/delta.ts";
import type { Delta } from "../../src/state/delta.ts";
import { AgentRuntimeError } from "../../src/state/errors.ts";
import type { Json } from "../../src/state/json.ts";
import { isObject } from "../../src/state/pointer.ts";
import type { PreparedChange, PreparedUnit, StateStore } from "../../src/state/ports.ts";
import type { PatchOperation } from "../../src/state/state.ts";
import { deltaFor, edit, jsonValue } from "../model/json-documents.ts";
import type { Edit } from "../model/json-documents.ts";
import { describeOnPostgres } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";

const numRuns = proofLength({ short: 12, full: 2_000 });

/** Large enough that deltas are worth it, or anything at all. */
const document = fc.tuple(jsonValue, fc.constantFrom(0, 600)).map(([value, padding]): Json => {
  if (padding === 0) return value;
  const pad = "x".repeat(padding);
  return isObject(value) ? { ...value, pad } : [value, pad];
});

/** Mostly edits; now and then the whole document. */
const turns = fc.array(
  fc.oneof(
    { weight: 1, arbitrary: fc.record({ whole: jsonValue }) },
    { weight: 8, arbitrary: fc.record({ edit }) },
  ),
  { minLength: 1, maxLength: 60 },
);

describeOnPostgres("every version of a state", (home) => {
  let bench: Bench;
  let store: StateStore;
  let count = 0;

  beforeAll(async () => {
    bench = await openBench(home);
    store = bench.openStore();
  });

  afterAll(() => bench.close());

  async function commit(
    id: string,
    changes: readonly PreparedChange[],
  ): Promise<(string | null)[]> {
    const units = changes.map((change) => unitOf(id, change));
    const answers = await store.commitBatch(0, units, true);
    return answers.map(([row]) => row!.code);
  }

  async function documents(id: string, every = 1): Promise<Json[]> {
    const rows = await bench.sql<{ text: string | null }>(
      `select agent_state.document(c.state_no, c.version)::text as text from agent_state.changes c
         join agent_state.states s using (state_no) where s.id = $1 and (c.version - 1) % $2 = 0 order by c.version`,
      [id, every],
    );
    return rows.map(({ text }) => (text === null ? null : (JSON.parse(text) as Json)));
  }

  test("holds where a merge replaced the array at the root that appends went into", async () => {
    const pad = "x".repeat(500);
    const append = deltaChange({ a: { "/0": ["more"] } });
    const merge = deltaChange({ m: { other: 1 } });
    const fates = await commit("root", [update([[], pad]), append, merge, append, append]);
    expect(fates).toEqual([null, null, null, "INVALID_PATCH", "INVALID_PATCH"]);
    expect(await documents("root")).toEqual([[[], pad], [["more"], pad], { other: 1 }]);
  });

  test("holds where operations come after a merge: those that only set members are not tried, all others are", async () => {
    const set: PatchOperation = { op: "add", path: "/set", value: [null] };
    const fates = await commit("set", [
      update([1]),
      deltaChange({ m: {}, p: [set] }),
      deltaChange({ m: {}, p: [set, { op: "remove", path: "/gone" }] }),
      deltaChange({ m: {}, p: [{ op: "add", path: "/gone/below", value: 1 }] }),
    ]);
    expect(fates).toEqual([null, null, "INVALID_PATCH", "INVALID_PATCH"]);
    expect(await documents("set")).toEqual([[1], { set: [null] }]);
    expect(applyDelta([1], { m: {}, p: [set] })).toEqual({ set: [null] });
  });

  async function deltas(like: string): Promise<number> {
    const rows = await bench.sql<{ deltas: number }>(
      `select count(*)::int as deltas from agent_state.changes c join agent_state.states s using (state_no)
        where s.id like $1 and c.stored = 'd'`,
      [like],
    );
    return rows[0]!.deltas;
  }

  test("is the document it was, whatever updates, merges, patches and appends came after", async () => {
    const run = fc.tuple(document, turns, fc.integer({ min: 1, max: 20 }));
    await fc.assert(
      fc.asyncProperty(run, async ([first, rest, batch]) => {
        const id = `random-${++count}`;
        const history: Json[] = [first];
        const changes = [update(first)];
        const fates: (string | null)[] = [null];
        for (const turn of rest) {
          const { change, after } = play(history.at(-1)!, turn);
          changes.push(change);
          fates.push(after === undefined ? "INVALID_PATCH" : null);
          if (after !== undefined) history.push(after);
        }
        const codes: (string | null)[] = [];
        for (let from = 0; from < changes.length; from += batch) {
          codes.push(...(await commit(id, changes.slice(from, from + batch))));
        }
        expect(codes).toEqual(fates);
        expect((await documents(id)).map(asText)).toEqual(history.map(asText));
      }),
      { numRuns },
    );
    expect(await deltas("random-%")).toBeGreaterThan(numRuns / 4);
  });

  test("is right in the middle of a long run of appends, with merges into other branches between", async () => {
    const id = "conversation";
    const history: Json[] = [{ messages: [], status: "new", pad: "x".repeat(20_000) }];
    const changes = [update(history[0]!)];
    for (let turn = 1; turn <= 400; turn++) {
      const delta = conversationTurn(turn);
      changes.push(deltaChange(delta));
      history.push(applyDelta(history.at(-1)!, delta));
    }
    for (let from = 0; from < changes.length; from += 64) {
      expect(new Set(await commit(id, changes.slice(from, from + 64)))).toEqual(new Set([null]));
    }
    const every = 13;
    const some = (await documents(id, every)).map(asText);
    expect(some).toEqual(history.filter((_, index) => index % every === 0).map(asText));
    expect(await deltas(id)).toBeGreaterThan(300); // else this would have read full copies
  });
});

function play(
  before: Json,
  turn: { whole: Json } | { edit: Edit },
): { change: PreparedChange; after?: Json } {
  if ("whole" in turn) return { change: update(turn.whole), after: turn.whole };
  const delta = deltaFor(before, turn.edit);
  const change = deltaChange(delta);
  try {
    return { change, after: JSON.parse(JSON.stringify(applyDelta(before, delta))) as Json };
  } catch (error) {
    if (error instanceof AgentRuntimeError && error.code === "INVALID_PATCH") return { change };
    throw error;
  }
}

/** Appends, now and then with a merge beside, or alone; twice the array itself goes and comes again. */
function conversationTurn(turn: number): Delta {
  if (turn % 150 === 149) return { m: { messages: null } };
  if (turn % 150 === 0) return { m: { messages: [] } };
  if (turn % 7 === 0) return { m: { status: `turn ${turn}` } };
  const grown = { a: { "/messages": [{ turn, text: "é".repeat(turn % 20) }] } };
  return turn % 5 === 0 ? { ...grown, m: { status: "busy" } } : grown;
}

function deltaChange(delta: Delta): PreparedChange {
  return { ...update(null), op: "delta", type: null, body: JSON.stringify(delta) };
}

function update(data: Json): PreparedChange {
  return {
    op: "update",
    id: "",
    type: "note",
    body: JSON.stringify(data),
    phase: null,
    expectedVersion: null,
    basedOn: null,
    expiresAt: null,
  };
}

function unitOf(id: string, change: PreparedChange): PreparedUnit {
  return {
    namespace: "default",
    scope: null,
    changes: [{ ...change, id }],
    expectedStep: null,
    actor: null,
    cause: null,
    idempotencyKey: null,
  };
}

function asText(value: Json): string {
  return JSON.stringify(value);
}
