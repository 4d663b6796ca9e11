import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyDelta, deltaBetween } from "../../src/state/delta.ts";
import type { Delta } from "../../src/state/delta.ts";
import { AgentRuntimeError } from "../../src/state/errors.ts";
import type { Json } from "../../src/state/json.ts";
import { applyMerge } from "../../src/state/merge.ts";
import { applyPatch } from "../../src/state/patch.ts";
import { deltaFor, edit, jsonValue } from "../model/json-documents.ts";
import { describeOnHomes } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";

/** Cases in one statement. */
const CASES = 50;

const numRuns = proofLength({ short: 30, full: 600 });

type Algebra = "apply_delta" | "merge_json" | "patch_json";

interface Case {
  readonly document: Json;
  readonly delta: Json;
}

describeOnHomes("documents in SQL", (home) => {
  let bench: Bench;

  beforeAll(async () => {
    bench = await openBench(home);
    // What is refused comes back as its SQLSTATE, so that one statement can try many cases.
    await bench.sql(`create function attempt(p_function text, p_doc json, p_delta json) returns text
      language plpgsql as $$
      declare v_after json;
      begin
        execute format('select agent_state.%I($1, $2)', p_function) into v_after using p_doc, p_delta;
        return v_after::text;
      exception when sqlstate 'PT400' then return sqlstate;
      end $$`);
  });

  afterAll(() => bench.close());

  async function inSql(algebra: Algebra, cases: readonly Case[]): Promise<string[]> {
    const rows = await bench.sql<{ after: string }>(
      `select attempt($1, c.doc::json, c.delta::json) as after
         from unnest($2::text[], $3::text[]) with ordinality c(doc, delta, n) order by c.n`,
      [
        algebra,
        ...["document", "delta"].map((part) =>
          cases.map((one) => JSON.stringify(one[part as keyof Case])),
        ),
      ],
    );
    // Parsed and written again: JSON.stringify puts names that look like an index first.
    return rows.map(({ after }) => (after === "PT400" ? after : JSON.stringify(JSON.parse(after))));
  }

  test.each<[Algebra, (document: Json, delta: Json) => Json]>([
    ["apply_delta", (document, delta) => applyDelta(document, delta as Delta)],
    ["merge_json", (document, delta) => applyMerge(document, delta)],
    ["patch_json", (document, delta) => applyPatch(document, delta as never)],
  ])(
    "%s makes of any document what the program makes of it, to the letter",
    async (algebra, ours) => {
      let applied = 0;
      let refused = 0;
      const one = fc.tuple(jsonValue, edit, jsonValue).map(([document, how, other]): Case => {
        if (algebra === "merge_json") return { document, delta: other };
        const delta = deltaFor(document, algebra === "patch_json" ? { ...how, how: "patch" } : how);
        return { document, delta: (algebra === "patch_json" ? delta.p : delta) as unknown as Json };
      });
      const many = fc.array(one, { minLength: CASES, maxLength: CASES });
      await fc.assert(
        fc.asyncProperty(many, async (cases) => {
          const expected = cases.map(({ document, delta }) => attempt(() => ours(document, delta)));
          const failures = expected.filter((text) => text === "PT400").length;
          refused += failures;
          applied += expected.length - failures;
          const answers = await inSql(algebra, cases);
          answers.forEach((answer, index) =>
            expect({ ...cases[index], answer }).toEqual({
              ...cases[index],
              answer: expected[index],
            }),
          );
        }),
        { numRuns },
      );
      expect(applied).toBeGreaterThan(refused / 4);
      if (algebra !== "merge_json") expect(refused).toBeGreaterThan(applied / 50);
    },
  );

  test("a delta between two documents leads to the very same text in SQL", async () => {
    const pair = fc.tuple(jsonValue, edit, edit).map(([before, first, second]) => {
      const between = attempted(before, first);
      return { before, after: attempted(between, second) };
    });
    await fc.assert(
      fc.asyncProperty(fc.array(pair, { minLength: CASES, maxLength: CASES }), async (pairs) => {
        const found = pairs.flatMap(({ before, after }) => {
          const delta = deltaBetween(before, after);
          return delta === null
            ? []
            : [{ document: before, delta: delta as unknown as Json, after }];
        });
        const answers = await inSql("apply_delta", found);
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
    ["text with whitespace around nothing", { a: [] }, { a: { "/a": [[], {}, " "] } }],
  ])("hold for %s", async (_name, document, delta) => {
    const [answer] = await inSql("apply_delta", [{ document, delta: delta as unknown as Json }]);
    expect(answer).toBe(JSON.stringify(applyDelta(document, delta)));
  });

  test("keep the text of numbers and the order of names that somebody else wrote", async () => {
    const [row] = await bench.sql<{ after: string }>(
      `select agent_state.apply_delta('{"z": 1.10, "10": 1e2, "a": [ 1.0 ]}', '{"m":{"b":2},"a":{"/a":[3.00]}}')::text as after`,
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

/** The document after an edit, or the same where the edit does not apply. */
function attempted(document: Json, how: Parameters<typeof deltaFor>[1]): Json {
  const text = attempt(() => applyDelta(document, deltaFor(document, how)));
  return text === "PT400" ? document : (JSON.parse(text) as Json);
}

function nested(levels: number, innermost: Json): Json {
  let value = innermost;
  for (let level = 0; level < levels; level++) value = { a: value };
  return value;
}
