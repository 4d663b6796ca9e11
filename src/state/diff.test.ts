import fc from "fast-check";
import { expect, test } from "vitest";
import { describePatch, diffJson } from "./diff.ts";
import type { Json } from "./json.ts";
import { applyPatch } from "./patch.ts";
import type { PatchOperation } from "./state.ts";

const key = fc.constantFrom("a", "b", "c/d", "~", "", "0", "10");
const { json } = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<Json>(null, true, 0, 1, "x", "y"),
    fc.array(tie("json"), { maxLength: 5 }),
    fc.dictionary(key, tie("json"), { maxKeys: 5, noNullPrototype: true }),
  ),
}));

test("the operations lead from one document to the other", () => {
  fc.assert(
    fc.property(json, json, (from, to) => {
      expect(applyPatch(from, diffJson(from, to))).toEqual(to);
      const exact = applyPatch(from, diffJson(from, to, { keepsOrder: true }));
      expect(JSON.stringify(exact)).toBe(JSON.stringify(to));
    }),
    { numRuns: 3_000 },
  );
});

test.each<[string, Json, Json, PatchOperation[]]>([
  ["nothing", { a: [1] }, { a: [1] }, []],
  ["another order of fields", { a: 1, b: 2 }, { b: 2, a: 1 }, []],
  ["a field", { a: 1, b: 2 }, { a: 1, b: 3 }, [{ op: "replace", path: "/b", value: 3 }]],
  [
    "fields that came and went",
    { a: 1, "b/c": 2 },
    { a: 1, d: 3 },
    [
      { op: "remove", path: "/b~1c" },
      { op: "add", path: "/d", value: 3 },
    ],
  ],
  ["the document", { a: 1 }, [1], [{ op: "replace", path: "", value: [1] }]],
  ["an item in front", [2, 3], [1, 2, 3], [{ op: "add", path: "/0", value: 1 }]],
  ["an item in the middle", [1, 3], [1, 2, 3], [{ op: "add", path: "/1", value: 2 }]],
  [
    "items behind",
    [1],
    [1, 2, 3],
    [
      { op: "add", path: "/1", value: 2 },
      { op: "add", path: "/2", value: 3 },
    ],
  ],
  [
    "items taken out of the middle",
    [1, 2, 3, 4],
    [1, 4],
    [
      { op: "remove", path: "/2" },
      { op: "remove", path: "/1" },
    ],
  ],
  ["one of equal items", [1, 1, 1], [1, 1], [{ op: "remove", path: "/2" }]],
  ["a field of an item", [{ a: 1 }, 2], [{ a: 2 }, 2], [{ op: "replace", path: "/0/a", value: 2 }]],
])("the difference of %s is as small as one would write it", (_, from, to, operations) => {
  expect(diffJson(from, to)).toEqual(operations);
});

test("an insertion in the middle does not rewrite the tail", () => {
  const from = Array.from({ length: 500 }, (_, id) => ({ id }));
  const to = from.toSpliced(250, 0, { id: -1 });
  expect(diffJson(from, to)).toEqual([{ op: "add", path: "/250", value: { id: -1 } }]);
});

test("a patch is told in one line an operation, with what was there before", () => {
  const from = { status: "a", x: 1, messages: [{ role: "user" }] };
  const patch: PatchOperation[] = [
    { op: "replace", path: "/status", value: "b" },
    { op: "add", path: "/status", value: "c" },
    { op: "add", path: "/messages/-", value: { role: "tool" } },
    { op: "add", path: "/messages/0", value: { role: "system" } },
    { op: "remove", path: "/x" },
    { op: "move", from: "/messages/0", path: "/first" },
    { op: "test", path: "/status", value: "c" },
    { op: "replace", path: "", value: null },
  ];
  expect(describePatch(from, patch).split("\n")).toEqual([
    '~ /status: "a" → "b"',
    '~ /status: "b" → "c"',
    '+ /messages/-: {"role":"tool"}',
    '+ /messages/0: {"role":"system"}',
    "- /x",
    "move /messages/0 → /first",
    '? /status: "c"',
    '~ (all): {"status":"c","messages":[{"role":"user"},{"role":"tool"}],"first":{"role":"sys… → null',
  ]);
});

test("long values and long patches are cut, and what could move a terminal is escaped", () => {
  const long = describePatch({}, [{ op: "add", path: "/a", value: "x".repeat(5_000) }]);
  expect(long).toBe(`+ /a: "${"x".repeat(78)}…`);
  const hostile = describePatch({}, [{ op: "add", path: "/a\nb", value: "\u202e\u009b" }]);
  expect(hostile).toBe('+ /a\\u{a}b: "\\u{202e}\\u{9b}"');
  const many = Array.from({ length: 1_200 }, () => ({ op: "test", path: "", value: 1 }) as const);
  expect(describePatch(1, many).split("\n").slice(-1)).toEqual(["… and 200 more"]);
});

test("telling a patch changes nothing", () => {
  const from = Object.freeze({ list: Object.freeze([1]) });
  describePatch(from, [{ op: "add", path: "/list/-", value: 2 }]);
  expect(from).toEqual({ list: [1] });
});
