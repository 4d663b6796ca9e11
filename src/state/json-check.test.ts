import fc from "fast-check";
import { expect, test } from "vitest";
import { checkBytes, checkData, deepFreeze, parseFrozen, serializeData } from "./json-check.ts";

const limits = { dataBytes: 1_048_576, dataDepth: 64 };

function nested(levels: number): unknown {
  let value: unknown = "bottom";
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { in: value };
  return value;
}

class Hidden {
  readonly #secret = 1;
  reveal(): number {
    return this.#secret;
  }
}

const cyclic: Record<string, unknown> = {};
cyclic["self"] = { back: cyclic };

let bomb: unknown = "x";
for (let level = 0; level < 60; level++) bomb = [bomb, bomb];

test.each([
  ["undefined", undefined, "undefined"],
  ["undefined in an array", { a: [1, undefined] }, '"/a/1" is undefined'],
  ["a hole in an array", { a: Array(3) }, '"/a/0" is undefined'],
  ["a function", { a: { b: () => 1 } }, '"/a/b" is a function'],
  ["a symbol", [Symbol("s")], '"/0" is a symbol'],
  ["a bigint", { n: 1n }, '"/n" is a bigint'],
  ["NaN", { a: [{ score: Number.NaN }] }, '"/a/0/score" is NaN'],
  ["an infinite number", [-Infinity], '"/0" is -Infinity'],
  ["an integer beyond 2^53-1", { n: 2 ** 53 }, '"/n" is a number beyond 2^53-1'],
  ["an integer below -(2^53-1)", { n: -(2 ** 53) }, "send it as text"],
  ["1e300", 1e300, "send it as text"],
  ["NUL in a text", { a: "x\0" }, '"/a" holds the character NUL'],
  ["NUL in a field's name", { a: { "x\0": 1 } }, '"/a" has a field "x\\u0000"'],
  ["half of a surrogate pair", ["\ud83d"], '"/0" holds half of a surrogate pair'],
  ["the other half", ["a\ude00b"], '"/0" holds half of a surrogate pair'],
  ["half a pair in a field's name", { "\ud800": 1 }, "whose name holds half"],
  ["an own __proto__", JSON.parse('{"a":{"__proto__":1}}'), '"/a/__proto__"'],
  ["65 levels", nested(65), "is nested deeper than 64 levels"],
  ["a value that holds itself", cyclic, "or holds itself"],
  ["a Map", { a: new Map([[1, 2]]) }, '"/a" is a Map'],
  ["a Set", [new Set([1])], '"/0" is a Set'],
  ["an error", { a: new TypeError("no") }, '"/a" is a Error'],
  ["a boxed text", [Object("text")], '"/0" is a String'],
  ["binary data", { a: new Uint8Array(2) }, '"/a" is a Uint8Array'],
  ["a class instance without fields", { a: new Hidden() }, "without fields"],
  ["a promise", Promise.resolve(1), "is a Promise"],
  ["a toJSON that gives NaN", { a: { toJSON: () => Number.NaN } }, '"/a" is NaN'],
])("%s is refused with its place", (_, value, message) => {
  expect(() => serializeData(value, limits)).toThrow(
    expect.objectContaining({ code: "INVALID_DATA", message: expect.stringContaining(message) }),
  );
});

test("64 levels pass, and a scalar has none", () => {
  expect(serializeData(nested(64), limits)).toContain("bottom");
  expect(serializeData("scalar", { ...limits, dataDepth: 0 })).toBe('"scalar"');
  expect(() => serializeData({}, { ...limits, dataDepth: 0 })).toThrow("deeper than 0 levels");
});

test("what JSON.stringify says well is kept as it says it", () => {
  class Point {
    readonly x = 1;
    readonly unset = undefined;
  }
  const date = new Date("2026-11-22T10:00:00Z");
  const value = { date, point: new Point(), bare: Object.create(null) as object, gone: undefined };
  expect(serializeData(value, limits)).toBe(
    '{"date":"2026-11-22T10:00:00.000Z","point":{"x":1},"bare":{}}',
  );
});

test("texts that only look like NUL, a surrogate or __proto__ pass", () => {
  const value = { a: "\\u0000", b: "😀 \u0001", c: "__proto__", __proto: 1, d: "\\ud83d" };
  expect(JSON.parse(serializeData(value, limits))).toEqual(value);
});

test("a getter or toJSON that throws is a refusal with its cause", () => {
  const fault = new Error("no such row");
  const value = {
    toJSON() {
      throw fault;
    },
  };
  const plain = {
    get row() {
      throw fault;
    },
  };
  for (const each of [value, plain]) {
    expect(() => serializeData(each, limits)).toThrow(
      expect.objectContaining({ code: "INVALID_DATA", cause: fault }),
    );
  }
});

test("the limit of bytes counts UTF-8, and holds to the byte", () => {
  const small = { dataBytes: 10, dataDepth: 64 };
  expect(serializeData("12345678", small)).toHaveLength(10);
  expect(serializeData("ääää", small)).toBe('"ääää"');
  for (const value of ["123456789", "äääää", "😀😀😀", [1, 2, 3, 4, 5], "\n\n\n\n\n"]) {
    expect(() => serializeData(value, small)).toThrow(
      expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }),
    );
  }
});

test("a value that shares its parts without end is refused at once", () => {
  expect(() => serializeData(bomb, limits)).toThrow(
    expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }),
  );
  const nulls = Array<null>(1e6).fill(null);
  expect(() => serializeData(Array(1e5).fill(nulls), limits)).toThrow(
    expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }),
  );
});

test("every value of JSON within the bounds is kept exactly", () => {
  const number = fc.double({ noNaN: true, min: -(2 ** 53) + 1, max: 2 ** 53 - 1 });
  const text = fc.string({ unit: "binary" }).map((s) => s.replaceAll("\0", "_"));
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom(null, true, false),
      number,
      text,
      fc.array(tie("value"), { maxLength: 5 }),
      fc.dictionary(
        text.filter((key) => key !== "__proto__"),
        tie("value"),
      ),
    ),
  }));
  fc.assert(
    fc.property(value, (data) => {
      expect(serializeData(data, limits)).toBe(JSON.stringify(data));
      expect(() => checkData(data, limits)).not.toThrow();
    }),
  );
});

test("whatever comes, the text is JSON that PostgreSQL takes, or it is refused", () => {
  fc.assert(
    fc.property(
      fc.anything({ withBigInt: true, withMap: true, withSparseArray: true }),
      (value) => {
        let text: string;
        try {
          text = serializeData(value, limits);
        } catch (error) {
          expect(error).toMatchObject({ code: "INVALID_DATA" });
          return;
        }
        expect(() => checkData(JSON.parse(text), limits)).not.toThrow();
      },
    ),
    { numRuns: 500 },
  );
});

test("a hostile field name cannot forge a line of a message", () => {
  const value = { ["a\n\u202eb".repeat(500)]: Number.NaN };
  expect(() => serializeData(value, limits)).toThrow(/^the data at ".{100,1000}" is NaN[^\n]*$/);
});

test("bytes are counted exactly", () => {
  expect(() => checkBytes("äö", 4)).not.toThrow();
  expect(() => checkBytes("äö", 3)).toThrow("4 bytes of JSON, and the limit is 3");
});

test("a frozen value is frozen to its leaves", () => {
  const value = parseFrozen('{"a":[{"b":1}],"c":{"d":[]},"e":null}') as {
    readonly a: readonly { b: number }[];
  };
  expect(() => (value.a[0]!.b = 2)).toThrow(TypeError);
  expect(() => (value.a as unknown[]).push(1)).toThrow(TypeError);
  expect(value).toEqual({ a: [{ b: 1 }], c: { d: [] }, e: null });
});

test("parts that are frozen already are not gone through again", () => {
  const inner = Object.freeze({ shared: { open: true } });
  expect(Object.isFrozen(deepFreeze({ inner }))).toBe(true);
  expect(Object.isFrozen(inner.shared)).toBe(false);
});
