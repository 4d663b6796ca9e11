import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyDelta, deltaBetween } from "../../src/state/delta.ts";
import type { Delta } from "../../src/state/delta.ts";
import { AgentRuntimeError } from "../../src/state/errors.ts";
import type { Json } from "../../src/state/json.ts";
import type { PatchOperation } from "../../src/state/state.ts";
import { deltaFor, edit, jsonValue } from "../model/json-documents.ts";
import { describeOnPostgres } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";

/** Cases in one statement. */
const CASES = 50;

const numRuns = proofLength({ short: 30, full: 600 });

interface Case {
  readonly document: Json;
  readonly deltas: readonly Delta[];
}

describeOnPostgres("documents in SQL", (home) => {
  let bench: Bench;

  beforeAll(async () => {
    bench = await openBench(home);
    // What is refused comes back as its SQLSTATE, so that one statement can try many cases.
    await bench.sql(`create function attempt(p_doc json, p_deltas json[]) returns text language plpgsql as $$
      begin
        return agent_state.apply_deltas(p_doc, p_deltas)::text;
      exception when sqlstate 'PT400' then return sqlstate;
      end $$`);
    // The fastest of five: what others do on the machine only adds.
    await bench.sql(`create function stopwatch(p_doc json, p_deltas json) returns numeric language plpgsql as $$
      declare
        v_deltas json[] := array(select json_array_elements(p_deltas));
        v_from timestamptz;
        v_best numeric;
      begin
        for turn in 1..5 loop
          v_from := clock_timestamp();
          perform agent_state.apply_deltas(p_doc, v_deltas);
          v_best := least(v_best, extract(epoch from clock_timestamp() - v_from));
        end loop;
        return v_best;
      end $$`);
  });

  afterAll(() => bench.close());

  async function inSql(cases: readonly Case[]): Promise<string[]> {
    const rows = await bench.sql<{ after: string }>(
      `select attempt(c.doc::json, array(select json_array_elements(c.deltas::json))) as after
         from unnest($1::text[], $2::text[]) with ordinality c(doc, deltas, n) order by c.n`,
      [
        cases.map(({ document }) => JSON.stringify(document)),
        cases.map(({ deltas }) => JSON.stringify(deltas)),
      ],
    );
    // Parsed and written again: JSON.stringify puts names that look like an index first.
    return rows.map(({ after }) => (after === "PT400" ? after : JSON.stringify(JSON.parse(after))));
  }

  const merge = fc.tuple(jsonValue, jsonValue).map(([document, patch]): Case => {
    return { document, deltas: [{ m: patch }] };
  });
  const patch = fc.tuple(jsonValue, edit).map(([document, how]): Case => {
    return { document, deltas: [deltaFor(document, { ...how, how: "patch" })] };
  });
  const run = fc
    .tuple(jsonValue, fc.array(edit, { maxLength: 5 }))
    .map(([document, edits]): Case => {
      let after = document;
      const deltas = edits.map((how) => {
        const delta = deltaFor(after, how);
        after = attempted(after, delta);
        return delta;
      });
      return { document, deltas };
    });

  test.each<[string, fc.Arbitrary<Case>]>([
    ["a merge patch", merge],
    ["a JSON patch", patch],
    ["many deltas at once", run],
  ])("make of %s what the program makes of it, to the letter", async (_name, one) => {
    let applied = 0;
    let refused = 0;
    const many = fc.array(one, { minLength: CASES, maxLength: CASES });
    await fc.assert(
      fc.asyncProperty(many, async (cases) => {
        const expected = cases.map(({ document, deltas }) =>
          attempt(() => deltas.reduce(applyDelta, document)),
        );
        const failures = expected.filter((text) => text === "PT400").length;
        refused += failures;
        applied += expected.length - failures;
        const answers = await inSql(cases);
        answers.forEach((answer, index) =>
          expect({ ...cases[index], answer }).toEqual({ ...cases[index], answer: expected[index] }),
        );
      }),
      { numRuns },
    );
    expect(applied).toBeGreaterThan(refused / 4);
    if (one !== merge) expect(refused).toBeGreaterThan(applied / 50);
  });

  test("a delta between two documents leads to the very same text in SQL", async () => {
    const pair = fc.tuple(jsonValue, edit, edit).map(([before, first, second]) => {
      const between = attempted(before, deltaFor(before, first));
      return { before, after: attempted(between, deltaFor(between, second)) };
    });
    await fc.assert(
      fc.asyncProperty(fc.array(pair, { minLength: CASES, maxLength: CASES }), async (pairs) => {
        const found = pairs.flatMap(({ before, after }) => {
          const delta = deltaBetween(before, after);
          return delta === null ? [] : [{ document: before, deltas: [delta], after }];
        });
        const answers = await inSql(found);
        expect(answers).toEqual(found.map(({ after }) => JSON.stringify(after)));
      }),
      { numRuns },
    );
  });

  test.each<[string, Json, Delta]>([
    ["64 levels", nested(63, []), { a: { ["/a".repeat(63)]: ["deep"] } }],
    [
      "an array of 20,000 items",
      Array.from({ length: 20_000 }, (_, i) => i),
      {
        p: [
          { op: "remove", path: "/19999" },
          { op: "add", path: "/10000", value: "x" },
        ],
      },
    ],
    ["a root that is an array", ["é"], { a: { "": [null, { a: [] }] } }],
    [
      "an object of 2,000 names",
      Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`k${i}`, i])),
      { m: { k7: null, k1999: { deep: true }, new: 1 } },
    ],
    [
      "a merge of 100 names into 2,000",
      Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`k${i}`, i % 3 ? i : { i }])),
      {
        m: Object.fromEntries(
          Array.from({ length: 100 }, (_, i) => [
            `k${i * 30}`,
            [null, i, { n: null, o: { i } }][i % 3]!,
          ]),
        ),
      },
    ],
    ["text with whitespace around nothing", { a: [] }, { a: { "/a": [[], {}, " "] } }],
  ])("hold for %s", async (_name, document, delta) => {
    const [answer] = await inSql([{ document, deltas: [delta] }]);
    expect(answer).toBe(JSON.stringify(applyDelta(document, delta)));
  });

  test.each<[string, (paths: readonly string[]) => Delta[]]>([
    ["one patch", (paths) => [{ p: paths.map(replace) }]],
    ["as many patches", (paths) => paths.map((path) => ({ p: [replace(path)] }))],
  ])("take 100 operations of %s on 1 MB in the time of a few", async (_name, deltasOf) => {
    const items = Array.from({ length: 2_000 }, (_, i) => ({ i, text: `${i}`.repeat(120) }));
    const document = JSON.stringify({ items, more: { n: 0 } });
    const paths = Array.from({ length: 100 }, (_, i) => `/items/${(i * 37) % 2_000}/text`);
    const seconds = async (deltas: readonly Delta[]): Promise<number> => {
      const [row] = await bench.sql<{ seconds: string }>("select stopwatch($1, $2) as seconds", [
        document,
        JSON.stringify(deltas),
      ]);
      return Number(row!.seconds);
    };
    const one = await seconds(deltasOf(paths.slice(0, 1)));
    const hundred = await seconds(deltasOf(paths));
    expect(hundred / one).toBeLessThan(25); // One after the other, it would be 100.
  });

  test("keep the text of numbers and the order of names that somebody else wrote", async () => {
    const [row] = await bench.sql<{ after: string }>(
      `select agent_state.apply_deltas('{"z": 1.10, "10": 1e2, "a": [ 1.0 ]}', array['{"m":{"b":2},"a":{"/a":[3.00]}}'::json])::text as after`,
    );
    expect(row?.after.replaceAll(" ", "")).toBe('{"z":1.10,"10":1e2,"a":[1.0,3.00],"b":2}');
  });
});

function attempt(work: () => Json): string {
  try {
    return JSON.stringify(work());
  } catch (error) {
    if (error instanceof AgentRuntimeError && error.code === "INVALID_PATCH") return "PT400";
    throw error;
  }
}

/** The document after a delta, or the same where that does not apply. */
function attempted(document: Json, delta: Delta): Json {
  const text = attempt(() => applyDelta(document, delta));
  return text === "PT400" ? document : (JSON.parse(text) as Json);
}

function replace(path: string): PatchOperation {
  return { op: "replace", path, value: "new" };
}

function nested(levels: number, innermost: Json): Json {
  let value = innermost;
  for (let level = 0; level < levels; level++) value = { a: value };
  return value;
}
