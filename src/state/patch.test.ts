import fc from "fast-check";
import { expect, test } from "vitest";
import type { Json } from "./json.ts";
import { applyMerge } from "./merge.ts";
import { applyPatch, checkPatch } from "./patch.ts";
import { PatchEditor } from "./patch-editor.ts";
import { formatPointer, parsePointer, valueAt } from "./pointer.ts";
import type { PatchOperation } from "./state.ts";

const patched = (document: Json, patch: unknown): Json => applyPatch(document, checkPatch(patch));

// The cases of RFC 6902, appendix A, that apply.
test.each<[string, Json, unknown, Json]>([
  ["A.1", { foo: "bar" }, [{ op: "add", path: "/baz", value: "qux" }], { baz: "qux", foo: "bar" }],
  [
    "A.2",
    { foo: ["bar", "baz"] },
    [{ op: "add", path: "/foo/1", value: "qux" }],
    { foo: ["bar", "qux", "baz"] },
  ],
  ["A.3", { baz: "qux", foo: "bar" }, [{ op: "remove", path: "/baz" }], { foo: "bar" }],
  [
    "A.4",
    { foo: ["bar", "qux", "baz"] },
    [{ op: "remove", path: "/foo/1" }],
    { foo: ["bar", "baz"] },
  ],
  [
    "A.5",
    { baz: "qux", foo: "bar" },
    [{ op: "replace", path: "/baz", value: "boo" }],
    { baz: "boo", foo: "bar" },
  ],
  [
    "A.6",
    { foo: { bar: "baz", waldo: "fred" }, qux: { corge: "grault" } },
    [{ op: "move", from: "/foo/waldo", path: "/qux/thud" }],
    { foo: { bar: "baz" }, qux: { corge: "grault", thud: "fred" } },
  ],
  [
    "A.7",
    { foo: ["all", "grass", "cows", "eat"] },
    [{ op: "move", from: "/foo/1", path: "/foo/3" }],
    { foo: ["all", "cows", "eat", "grass"] },
  ],
  [
    "A.8",
    { baz: "qux", foo: ["a", 2, "c"] },
    [
      { op: "test", path: "/baz", value: "qux" },
      { op: "test", path: "/foo/1", value: 2 },
    ],
    { baz: "qux", foo: ["a", 2, "c"] },
  ],
  [
    "A.10",
    { foo: "bar" },
    [{ op: "add", path: "/child", value: { grandchild: {} } }],
    { foo: "bar", child: { grandchild: {} } },
  ],
  [
    "A.11",
    { foo: "bar" },
    [{ op: "add", path: "/baz", value: "qux", xyz: 123 }],
    { foo: "bar", baz: "qux" },
  ],
  ["A.14", { "/": 9, "~1": 10 }, [{ op: "test", path: "/~01", value: 10 }], { "/": 9, "~1": 10 }],
  [
    "A.16",
    { foo: ["bar"] },
    [{ op: "add", path: "/foo/-", value: ["abc", "def"] }],
    { foo: ["bar", ["abc", "def"]] },
  ],
])("RFC 6902 %s applies", (_, document, patch, after) => {
  expect(patched(document, patch)).toEqual(after);
});

// Appendix A's cases that do not apply, and the others that must not.
test.each<[string, Json, unknown, string]>([
  ["A.9", { baz: "qux" }, [{ op: "test", path: "/baz", value: "bar" }], "another value"],
  ["A.12", { foo: "bar" }, [{ op: "add", path: "/baz/bat", value: 1 }], 'no field "baz"'],
  ["A.13", { foo: "bar" }, [{ op: "baz", path: "/baz" }], '"baz"; it is one of add, remove'],
  ["A.15", { "/": 9, "~1": 10 }, [{ op: "test", path: "/~01", value: "10" }], "another value"],
  ["a missing field", {}, [{ op: "remove", path: "/a" }], 'there is no field "a"'],
  ["a missing target", {}, [{ op: "replace", path: "/a", value: 1 }], 'there is no field "a"'],
  ["an index beyond", [1], [{ op: "add", path: "/2", value: 1 }], "the array has 1 items"],
  ["an index that is none", [1], [{ op: "add", path: "/01", value: 1 }], "not an index"],
  ["removing behind the last", [1], [{ op: "remove", path: "/-" }], "behind the last item"],
  ["replacing behind the last", [], [{ op: "replace", path: "/-", value: 1 }], "behind the last"],
  ["a length", [1], [{ op: "remove", path: "/length" }], "not an index"],
  ["a path below a text", { a: "x" }, [{ op: "add", path: "/a/0", value: 1 }], "holds nothing"],
  ["a path below a scalar document", 7, [{ op: "add", path: "/a", value: 1 }], "holds nothing"],
  ["a move into itself", { a: {} }, [{ op: "move", from: "/a", path: "/a/b" }], "into itself"],
  ["a copy of nothing", {}, [{ op: "copy", from: "/a", path: "/b" }], 'nothing at "/a"'],
  ["an inherited field", {}, [{ op: "remove", path: "/toString" }], 'no field "toString"'],
  ["a constructor", {}, [{ op: "add", path: "/constructor/x", value: 1 }], '"constructor"'],
  ["__proto__", {}, [{ op: "add", path: "/__proto__/x", value: 1 }], "__proto__"],
  ["no array", {}, { op: "add" }, "array of operations"],
  ["no object", {}, ["add"], "operation 0 is an object"],
  ["no path", {}, [{ op: "remove" }], "operation 0 has no path"],
  ["no value", {}, [{ op: "add", path: "/a" }], "has no value"],
  ["no from", {}, [{ op: "copy", path: "/a" }], "has no from"],
  ["no pointer", {}, [{ op: "remove", path: "a" }], "is not a JSON Pointer"],
  ["a wrong escape", {}, [{ op: "remove", path: "/a~2" }], "is not a JSON Pointer"],
  [
    "1,001 operations",
    {},
    Array.from({ length: 1_001 }, () => ({ op: "test", path: "", value: {} })),
    "1000 operations",
  ],
  ["a path of a million levels", {}, [{ op: "remove", path: "/a".repeat(1e6) }], "1000 levels"],
])("%s is refused", (_, document, patch, message) => {
  expect(() => patched(document, patch)).toThrow(
    expect.objectContaining({ code: "INVALID_PATCH", message: expect.stringContaining(message) }),
  );
});

test("the operation that does not apply is named by its number", () => {
  const patch = [
    { op: "add", path: "/a", value: 1 },
    { op: "remove", path: "/b" },
  ];
  expect(() => patched({}, patch)).toThrow('operation 1 (remove "/b"): there is no field "b"');
});

test("a constructor path pollutes nothing even if a field of that name exists", () => {
  patched({ constructor: {} }, [{ op: "add", path: "/constructor/prototype", value: { bad: 1 } }]);
  expect(({} as { bad?: number }).bad).toBeUndefined();
});

test("the operation test compares by value: field order does not count, types do", () => {
  const document = { a: { x: 1, y: [null] } };
  expect(patched(document, [{ op: "test", path: "/a", value: { y: [null], x: 1 } }])).toBe(
    document,
  );
  expect(() => patched({ a: 0 }, [{ op: "test", path: "/a", value: false }])).toThrow("another");
});

test("the document that goes in never changes, and untouched parts are shared", () => {
  const document = { a: { deep: [1] }, b: { keep: true } };
  const text = JSON.stringify(document);
  const after = patched(document, [
    { op: "add", path: "/a/deep/-", value: 2 },
    { op: "copy", from: "/a", path: "/c" },
    { op: "add", path: "/c/deep/-", value: 3 },
    { op: "move", from: "/a/deep", path: "/d" },
    { op: "add", path: "/d/0", value: 0 },
  ]) as typeof document;
  expect(after).toEqual({ a: {}, b: { keep: true }, c: { deep: [1, 2, 3] }, d: [0, 1, 2] });
  expect(after.b).toBe(document.b);
  expect(JSON.stringify(document)).toBe(text);
});

test("the values of a patch do not change either, however often one is used", () => {
  const value = { list: [] };
  const patch: PatchOperation[] = [
    { op: "add", path: "/a", value },
    { op: "add", path: "/b", value },
    { op: "add", path: "/a/list/-", value: 1 },
  ];
  expect(applyPatch({}, patch)).toEqual({ a: { list: [1] }, b: { list: [] } });
  expect(value).toEqual({ list: [] });
});

test("a document that an editor handed out stays as it is", () => {
  const editor = new PatchEditor({ list: [1] });
  editor.apply({ op: "add", path: "/list/-", value: 2 });
  const early = editor.document;
  editor.apply({ op: "add", path: "/list/-", value: 3 });
  expect([early, editor.document]).toEqual([{ list: [1, 2] }, { list: [1, 2, 3] }]);
});

test("the whole document can be replaced, copied into itself and removed", () => {
  expect(patched({ a: 1 }, [{ op: "replace", path: "", value: [1] }])).toEqual([1]);
  expect(patched({ a: 1 }, [{ op: "copy", from: "", path: "/b" }])).toEqual({ a: 1, b: { a: 1 } });
  expect(patched({ a: 1 }, [{ op: "move", from: "/a", path: "" }])).toBe(1);
  expect(patched({ a: 1 }, [{ op: "remove", path: "" }])).toBeNull();
});

test("replacing keeps a field's place, a new one comes last", () => {
  const patch = [
    { op: "add", path: "/c", value: 3 },
    { op: "add", path: "/a", value: 9 },
  ];
  expect(JSON.stringify(patched({ a: 1, b: 2 }, patch))).toBe('{"a":9,"b":2,"c":3}');
});

test("a thousand operations on an array copy it once", () => {
  let reads = 0;
  const document = new Proxy<Json[]>([0, 0], {
    get(items, name, receiver) {
      if (name === "1") reads++;
      return Reflect.get(items, name, receiver) as unknown;
    },
  });
  const patch = Array.from({ length: 1_000 }, () => ({ op: "replace", path: "/0", value: 1 }));
  expect(patched(document, patch)).toEqual([1, 0]);
  expect(reads).toBe(1);
});

// RFC 6901, section 5.
test.each<[string, Json]>([
  ["/foo", ["bar", "baz"]],
  ["/foo/0", "bar"],
  ["/", 0],
  ["/a~1b", 1],
  ["/c%d", 2],
  ["/e^f", 3],
  ["/g|h", 4],
  ["/i\\j", 5],
  ['/k"l', 6],
  ["/ ", 7],
  ["/m~0n", 8],
])("the pointer %s finds what RFC 6901 says", (pointer, value) => {
  const document = {
    foo: ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
  };
  expect(valueAt(document, parsePointer(pointer))).toEqual(value);
  expect(valueAt(document, parsePointer(""))).toBe(document);
  expect(valueAt(document, parsePointer("/foo/2/x"))).toBeUndefined();
});

test("a pointer's tokens survive the way there and back", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: fc.constantFrom("~", "/", "0", "1", "a") })),
      (tokens) => {
        expect(parsePointer(formatPointer(tokens))).toEqual(tokens);
      },
    ),
  );
});

// The table of RFC 7396, appendix A.
test.each<[Json, Json, Json]>([
  [{ a: "b" }, { a: "c" }, { a: "c" }],
  [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
  [{ a: "b" }, { a: null }, {}],
  [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
  [{ a: ["b"] }, { a: "c" }, { a: "c" }],
  [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
  [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
  [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
  [
    ["a", "b"],
    ["c", "d"],
    ["c", "d"],
  ],
  [{ a: "b" }, ["c"], ["c"]],
  [{ a: "foo" }, null, null],
  [{ a: "foo" }, "bar", "bar"],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: "b", c: null }, { a: "b" }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
])("RFC 7396: %j merged with %j is %j", (document, patch, after) => {
  expect(JSON.stringify(applyMerge(document, patch))).toBe(JSON.stringify(after));
});

test("a merge keeps places, shares what it does not name, and changes nothing that goes in", () => {
  const document = Object.freeze({ a: 1, b: Object.freeze({ c: 1, d: 2 }), e: Object.freeze([1]) });
  const after = applyMerge(document, { b: { c: 9, z: 0 }, f: 1, a: 2 }) as typeof document;
  expect(JSON.stringify(after)).toBe('{"a":2,"b":{"c":9,"d":2,"z":0},"e":[1],"f":1}');
  expect(after.e).toBe(document.e);
});

test("a merge cannot reach a prototype", () => {
  const patch = JSON.parse('{"a":{"__proto__":{"bad":1}}}') as Json;
  expect(() => applyMerge({}, patch)).toThrow(expect.objectContaining({ code: "INVALID_PATCH" }));
  expect(applyMerge({}, { toString: { a: null } })).toEqual({ toString: {} });
});
