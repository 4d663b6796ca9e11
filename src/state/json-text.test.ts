import fc from "fast-check";
import { expect, test } from "vitest";
import { findTextFault } from "./json-scan.ts";
import { parseJsonText } from "./json-text.ts";

const limits = { dataBytes: 10_000, dataDepth: 64 };

test.each([
  ["", "line 1, column 1: it ends where a value is due"],
  ["{", `line 1, column 2: it ends where a field's name in double quotes or "}" is due`],
  ["nope", 'line 1, column 1: "n" stands where a value is due'],
  ["{a: 1}", `line 1, column 2: "a" stands where a field's name`],
  ["{'a': 1}", `line 1, column 2: "'" stands where a field's name`],
  ['{"a" 1}', 'line 1, column 6: "1" stands where ":" is due'],
  ['{\n  "a": 1,\n  "b": 2,\n}', `line 4, column 1: "}" stands where a field's name`],
  ["[1,]", 'line 1, column 4: "]" stands where a value is due'],
  ["[1 2]", 'line 1, column 4: "2" stands where "," or "]" is due'],
  ['{"a":1]', 'line 1, column 7: "]" stands where "," or "}" is due'],
  ["1 2", 'line 1, column 3: "2" stands where the end is due'],
  ["01", 'line 1, column 2: "1" stands where the end is due'],
  ["NaN", "a value is due"],
  ["[1.]", '"." stands where'],
  ['"ab', "this string never ends"],
  ['["a\tb"]', "line 1, column 4: a control character in a string is written as an escape"],
  ['"\\x41"', "line 1, column 2: JSON has no such escape"],
  ["\ufeff{}", 'line 1, column 1: "\\u{feff}" stands where a value is due'],
  ["[".repeat(5_000), "column 5001: it ends where"],
])("%s is no JSON, and it is said where", (text, message) => {
  expect(() => parseJsonText(text, limits)).toThrow(
    expect.objectContaining({ code: "INVALID_JSON", message: expect.stringContaining(message) }),
  );
});

test.each([
  ['{"a":1,"b":2,"a":3}', 'column 14: the field "a" is given twice'],
  ['{"a":1,"\\u0061" :3}', 'the field "a" is given twice'],
  ['[{"x":{"y":1,"y":1}}]', 'the field "y" is given twice'],
])("%s gives a field twice", (text, message) => {
  expect(() => parseJsonText(text, limits)).toThrow(
    expect.objectContaining({ code: "INVALID_JSON", message: expect.stringContaining(message) }),
  );
});

test.each([
  ["9007199254740992", "beyond 2^53-1"],
  ["-9007199254740993", "beyond 2^53-1"],
  ["[123456789012345678901234567890]", '"/0" is a number beyond 2^53-1'],
  ["1e300", "beyond 2^53-1"],
  ['{"n":1e400}', '"/n" is Infinity'],
  ['{"a":"\\u0000"}', "NUL"],
  ['{"\\u0000":1}', "NUL"],
  ['["\\ud800"]', "surrogate"],
  ['{"__proto__":{}}', '"/__proto__"'],
  ['{"\\u005f_proto__":{}}', '"/__proto__"'],
  [`${"[".repeat(65)}${"]".repeat(65)}`, "deeper than 64"],
])("%s is JSON, and refused", (text, message) => {
  expect(() => parseJsonText(text, limits)).toThrow(
    expect.objectContaining({ code: "INVALID_DATA", message: expect.stringContaining(message) }),
  );
});

test("a text that was not UTF-8 is refused", () => {
  expect(() => parseJsonText('"\ud800"', limits)).toThrow(
    expect.objectContaining({ code: "INVALID_JSON" }),
  );
});

test("a text of more bytes than the limit is refused before it is parsed", () => {
  expect(() => parseJsonText(" ".repeat(10_001), limits)).toThrow(
    expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }),
  );
});

test.each([
  ["9007199254740991", 9007199254740991],
  ["1e3", 1000],
  ["-0.5", -0.5],
  [` {"a" : [ 1 , "\\u00e9" ] } \n`, { a: [1, "é"] }],
  ['{"a":":","b":"\\":","c":["a:b", ":"]}', { a: ":", b: '":', c: ["a:b", ":"] }],
  ['[{"a":1},{"a":2},{"a":{"a":3}}]', [{ a: 1 }, { a: 2 }, { a: { a: 3 } }]],
])("%s passes", (text, value) => {
  expect(parseJsonText(text, limits)).toEqual(value);
});

test("the scanner calls wrong exactly what JSON.parse does", () => {
  const piece = fc.constantFrom(
    ...'{}[]:," \n\\/tfn-+.eE019ab'.split(""),
    "true",
    "null",
    '"a"',
    "\\u00e9",
    '"b":',
    "\u0001",
    "é",
  );
  const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));
  const broken = fc.tuple(fc.json(), fc.nat(), fc.nat(3), text).map(([json, at, cut, put]) => {
    const place = at % (json.length + 1);
    return json.slice(0, place) + put.slice(0, 2) + json.slice(place + cut);
  });
  fc.assert(
    fc.property(fc.oneof(text, fc.json(), broken), (sample) => {
      const fault = findTextFault(sample);
      if (isJson(sample)) expect(fault?.why ?? "is given twice").toContain("is given twice");
      else expect(fault).toBeDefined();
    }),
    { numRuns: 3_000 },
  );
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
