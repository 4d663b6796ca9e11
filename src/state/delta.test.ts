import fc from "fast-check";
import { expect, test } from "vitest";
import { applyDelta, deltaBetween, deltaToPatch } from "./delta.ts";
import type { Delta } from "./delta.ts";
import type { Json, JsonObject } from "./json.ts";
import { applyPatch } from "./patch.ts";

const key = fc.constantFrom("a", "b", "c", "messages", "a/b", "m~n", "", "10", "2");
const scalar = fc.constantFrom<Json>(null, true, 0, 1, -2.5, "", "x", "ü");
const { json } = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 3 },
    scalar,
    fc.array(tie("json"), { maxLength: 4 }),
    fc.dictionary(key, tie("json"), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

/** A document and one that was made from it by a few edits, as agents make them. */
const edited = fc
  .tuple(json, fc.array(fc.tuple(fc.nat(5), key, fc.nat(3), json), { maxLength: 4 }))
  .map(([before, edits]) => {
    let after = before;
    for (const edit of edits) after = applyEdit(after, edit);
    return [before, after] as const;
  });

function applyEdit(value: Json, edit: [number, string, number, Json]): Json {
  const [kind, name, index, item] = edit;
  if (Array.isArray(value)) {
    const items = value as readonly Json[];
    if (kind < 2 || items.length === 0) return [...items, item];
    if (kind === 2) return items.toSpliced(index, 1);
    return items.with(index % items.length, applyEdit(items[index % items.length]!, edit));
  }
  if (typeof value !== "object" || value === null) return item;
  const object = value as JsonObject;
  const entries = Object.entries(object);
  if (kind === 0) return { ...object, [name]: item };
  if (kind === 1) return Object.fromEntries(entries.slice(1));
  if (kind === 2) return Object.fromEntries(entries.toReversed());
  const [place] = entries[index % Math.max(1, entries.length)] ?? [name];
  const child = object[place];
  return { ...object, [place]: child === undefined ? item : applyEdit(child, edit) };
}

test("a delta leads to exactly the text of the document after, through JSON and back", () => {
  let found = 0;
  fc.assert(
    fc.property(edited, ([before, after]) => {
      const delta = deltaBetween(before, after);
      if (delta === null) return;
      found++;
      const stored = JSON.parse(JSON.stringify(delta)) as Delta;
      expect(JSON.stringify(applyDelta(before, stored))).toBe(JSON.stringify(after));
      expect(applyPatch(before, deltaToPatch(before, stored))).toEqual(after);
    }),
    { numRuns: 3_000 },
  );
  expect(found).toBeGreaterThan(1_000);
});

test("a merge and appends as somebody sent them give the same as their RFC 6902 operations", () => {
  const append = fc.tuple(fc.constantFrom("/a", "/b/c", ""), fc.array(json));
  fc.assert(
    fc.property(json, json, append, (before, merge, [pointer, items]) => {
      const delta: Delta = { m: merge, a: { [pointer]: items } };
      let after: Json;
      try {
        after = applyDelta(before, delta);
      } catch (error) {
        expect(error).toMatchObject({ code: "INVALID_PATCH" });
        return;
      }
      expect(applyPatch(before, deltaToPatch(before, delta))).toEqual(after);
    }),
    { numRuns: 1_000 },
  );
});

test("a conversation that grows costs what is added, however long it is", () => {
  const text = fc.string({ maxLength: 30 });
  const message = fc.record({ role: text, content: text, calls: fc.array(text, { maxLength: 2 }) });
  const turn = fc.record({
    said: fc.array(message, { maxLength: 4 }),
    status: text,
    tokens: fc.nat(),
  });
  fc.assert(
    fc.property(fc.array(turn, { minLength: 1, maxLength: 30 }), (turns) => {
      let before: JsonObject = { status: "", agent: { log: [], name: "x" }, tokens: 0 };
      for (const { said, status, tokens } of turns) {
        const { agent } = before as { agent: { log: Json[] } };
        const after = {
          ...before,
          status,
          agent: { ...agent, log: [...agent.log, ...said] },
          tokens,
        };
        const delta = deltaBetween(before, JSON.parse(JSON.stringify(after)) as Json);
        const added = JSON.stringify(said).length + status.length * 6;
        expect(JSON.stringify(delta).length).toBeLessThan(added + 100);
        expect(JSON.stringify(applyDelta(before, delta!))).toBe(JSON.stringify(after));
        before = after;
      }
    }),
  );
});

test.each<[string, Json, Json, Delta | null]>([
  ["nothing changed", { a: [1] }, { a: [1] }, {}],
  ["a field changed", { a: 1, b: 2 }, { a: 9, b: 2 }, { m: { a: 9 } }],
  [
    "a field deep inside",
    { a: { b: { c: 1 } } },
    { a: { b: { c: 2 } } },
    { m: { a: { b: { c: 2 } } } },
  ],
  ["a field went", { a: 1, b: 2 }, { a: 1 }, { m: { b: null } }],
  ["a field came", { a: 1 }, { a: 1, b: { c: [null] } }, { m: { b: { c: [null] } } }],
  ["an array grew", { a: [1] }, { a: [1, null, 2] }, { a: { "/a": [null, 2] } }],
  ["the document is an array and grew", [1], [1, 2], { a: { "": [2] } }],
  ["both", { "a/b": [], n: 1 }, { "a/b": [{}], n: 2 }, { m: { n: 2 }, a: { "/a~1b": [{}] } }],
  ["an object was emptied", { a: { b: 1 } }, { a: {} }, { m: { a: { b: null } } }],
  ["a list became an object", { a: [1] }, { a: {} }, { m: { a: {} } }],
  ["null came", { a: 1 }, { a: null }, { p: [{ op: "replace", path: "/a", value: null }] }],
  ["null went", { a: null }, { a: 1 }, { m: { a: 1 } }],
  ["another kind of document", { a: 1 }, [1], null],
  ["another scalar", 1, 2, null],
  ["fields in another order", { a: 1, b: 2 }, { b: 2, a: 1 }, null],
  ["a new field in front", { b: 1 }, { a: 1, b: 1 }, null],
  ["a new field that JavaScript puts in front", { a: 1 }, { 7: 1, a: 1 }, null],
])("%s", (_, before, after, delta) => {
  expect(deltaBetween(before, after)).toEqual(delta);
});

test("one item changed within a long array costs about that item", () => {
  const items = Array.from({ length: 1_000 }, (_, id) => ({ id, done: false }));
  const after = { todo: items.with(500, { id: 500, done: true }) };
  expect(deltaBetween({ todo: items }, after)).toEqual({
    p: [{ op: "replace", path: "/todo/500/done", value: true }],
  });
});

test("a short array written anew beside a conversation that grew stays a merge and an append", () => {
  const before = { log: [{ text: "hello" }], todo: ["a", "b", "c"] };
  const after = { log: [...before.log, { text: "again" }], todo: ["x"] };
  expect(deltaBetween(before, after)).toEqual({
    m: { todo: ["x"] },
    a: { "/log": [{ text: "again" }] },
  });
});

test("only what a delta touches is new, and what goes in stays as it is", () => {
  const before = { log: Object.freeze([{ n: 1 }]), other: { keep: true } };
  const after = applyDelta(Object.freeze(before), { a: { "/log": [{ n: 2 }] } }) as typeof before;
  expect(after.other).toBe(before.other);
  expect(after.log[0]).toBe(before.log[0]);
  expect(after.log).toHaveLength(2);
});

test("appends go through arrays, and are made after the merge", () => {
  expect(applyDelta([{ a: [] }], { a: { "/0/a": [1] } })).toEqual([{ a: [1] }]);
  expect(applyDelta({}, { m: { a: [1] }, a: { "/a": [2] } })).toEqual({ a: [1, 2] });
});

test.each([
  ["nothing there", {}, "/a"],
  ["no array there", { a: {} }, "/a"],
  ["a text on the way", { a: "text" }, "/a/0"],
  ["an inherited field", {}, "/constructor"],
])("appending where there is %s is refused", (_, document, pointer) => {
  expect(() => applyDelta(document, { a: { [pointer]: [1] } })).toThrow(
    expect.objectContaining({ code: "INVALID_PATCH", message: expect.stringContaining(pointer) }),
  );
});

test("the operations of a delta tell adding from replacing, and leave out what was gone before", () => {
  const delta: Delta = {
    m: { a: 1, b: { c: null, d: 1 }, x: null, "y/z": { w: null } },
    a: { "/l": [1, 2] },
  };
  expect(deltaToPatch({ a: 0, b: { c: 1 }, l: [] }, delta)).toEqual([
    { op: "replace", path: "/a", value: 1 },
    { op: "remove", path: "/b/c" },
    { op: "add", path: "/b/d", value: 1 },
    { op: "add", path: "/y~1z", value: {} },
    { op: "add", path: "/l/-", value: 1 },
    { op: "add", path: "/l/-", value: 2 },
  ]);
});
