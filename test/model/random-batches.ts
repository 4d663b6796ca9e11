import fc from "fast-check";
import type { PreparedChange, PreparedUnit } from "../../src/state/ports.ts";

/** Few ids, scopes and keys, so that changesets meet. */
const ids = ["a", "b", "c", "d"] as const;
const usualType = { a: "note", b: "task", c: "note", d: "task" } as const;

const rarely = <Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Value | null> =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: value });

const version = fc.oneof(
  { weight: 9, arbitrary: fc.constant(null) },
  { weight: 2, arbitrary: fc.bigInt({ min: 0n, max: 4n }) },
);

const phase = fc.oneof(
  { weight: 9, arbitrary: fc.constant(null) },
  { weight: 4, arbitrary: fc.constantFrom("submitted", "ready", "working", "failed") },
  { weight: 1, arbitrary: fc.constantFrom("suspended", "nowhere") },
);

const data = fc.oneof(
  fc.record({ l: fc.constant([]), n: fc.nat(3) }),
  fc.record({ l: fc.constant([1]), pad: fc.constant("x".repeat(400)) }),
  fc.constantFrom<unknown>(null, [["root"]]),
);

const delta = fc.oneof(
  fc.constantFrom({ a: { "/l": ["more"] } }, { a: { "/l": [1, { two: 2 }] }, m: { n: 1 } }),
  fc.constantFrom(
    { m: { n: null } },
    { m: { l: null } },
    { m: { l: [] } },
    { m: { pad: "y".repeat(200) } },
    { m: { more: "z".repeat(600) } },
    { m: { pad: "z".repeat(900) } },
  ),
  fc.constantFrom(
    { p: [{ op: "add", path: "/n", value: 0 }] },
    { p: [{ op: "test", path: "/n", value: 1 }] },
    { p: [{ op: "remove", path: "/l/0" }] },
  ),
);

/** One change of any kind to one of the few states; mostly one that may be made. */
function changeTo(id: (typeof ids)[number]): fc.Arbitrary<PreparedChange> {
  const type = fc.oneof(
    { weight: 19, arbitrary: fc.constant<string>(usualType[id]) },
    { weight: 1, arbitrary: fc.constant("other") },
  );
  const common = {
    id: fc.constant(id),
    expectedVersion: version,
    phase: usualType[id] === "task" ? phase : rarely(phase),
    expiresAt: fc.constant(null),
  };
  return fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        ...common,
        op: fc.constant("update" as const),
        type,
        body: data.map((value) => JSON.stringify(value)),
        basedOn: fc.constant(null),
        expiresAt: rarely(fc.constantFrom("never" as const, new Date("2100-01-01"))),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        ...common,
        op: fc.constant("delta" as const),
        type: fc.constant(null),
        body: delta.map((value) => JSON.stringify(value)),
        basedOn: rarely(fc.bigInt({ min: 1n, max: 4n })),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        ...common,
        op: fc.constant("delete" as const),
        type: fc.constant(null),
        body: fc.constant(null),
        basedOn: fc.constant(null),
      }),
    },
  );
}

function unit(namespace: string, scope: fc.Arbitrary<string | null>): fc.Arbitrary<PreparedUnit> {
  return fc.record({
    namespace: fc.constant(namespace),
    scope,
    changes: fc
      .oneof(
        { weight: 6, arbitrary: fc.constantFrom(...ids).map((id) => [id]) },
        { weight: 1, arbitrary: fc.shuffledSubarray([...ids], { minLength: 2, maxLength: 3 }) },
      )
      .chain((chosen) => fc.tuple(...chosen.map(changeTo))),
    expectedStep: fc.oneof(
      { weight: 14, arbitrary: fc.constant(null) },
      { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: 4n }) },
    ),
    actor: rarely(fc.constantFrom("ann", "bob")),
    cause: rarely(fc.constantFrom("why", "é")),
    idempotencyKey: fc.oneof(
      { weight: 4, arbitrary: fc.constant(null) },
      { weight: 1, arbitrary: fc.constantFrom("k1", "k2", "k3", "k4") },
    ),
  });
}

/** Batches to commit one after the other. Some units come again: with their key, that is a replay. */
export function batchesIn(namespace: string, batches: number): fc.Arbitrary<PreparedUnit[][]> {
  const scopes = [
    fc.constant(null),
    fc.constant("s1"),
    fc.oneof(
      { weight: 3, arbitrary: fc.constant(null) },
      { weight: 3, arbitrary: fc.constant("s1") },
      { weight: 1, arbitrary: fc.constant("s2") },
    ),
  ];
  return fc
    .constantFrom(...scopes)
    .chain((scope) =>
      fc.array(
        fc.array(fc.tuple(unit(namespace, scope), fc.nat(30)), { minLength: 1, maxLength: 8 }),
        { minLength: 1, maxLength: batches },
      ),
    )
    .map((drawn) => {
      const before = [firstOf(drawn[0]![0]![0], "a"), firstOf(drawn[0]![0]![0], "b")];
      return [[...before]].concat(
        drawn.map((batch) =>
          batch.map(([fresh, again]) => {
            const one = again < 8 && again < before.length ? before[again]! : fresh;
            before.push(one);
            return one;
          }),
        ),
      );
    });
}

/** Creates a state, so that not everything that follows is refused. */
function firstOf({ namespace, scope }: PreparedUnit, id: "a" | "b"): PreparedUnit {
  const unsaid = { phase: null, expectedVersion: null, basedOn: null, expiresAt: null } as const;
  const body = JSON.stringify({ l: [], n: 1 });
  return {
    namespace,
    scope: scope === "s2" ? null : scope,
    changes: [{ op: "update", id, type: usualType[id], body, ...unsaid }],
    expectedStep: null,
    actor: null,
    cause: null,
    idempotencyKey: `first ${id}`,
  };
}
