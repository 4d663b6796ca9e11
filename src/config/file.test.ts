import { expect, test } from "vitest";
import { parseConfigFile } from "./file.ts";

function parse(text: string) {
  const { entries, faults } = parseConfigFile(text, "x.yaml");
  return {
    entries: Object.fromEntries(entries.map(({ key, value, where }) => [key, [value, where]])),
    faults: faults.map(({ where, says }) => `${where} ${says}`),
  };
}

test("sections and dotted keys give the same keys, each with its line", () => {
  expect(
    parse("write:\n  batchLimit: 5\n\nlog.level: warn\nauth: {tokens: [{name: a}]}\n"),
  ).toEqual({
    entries: {
      "write.batchLimit": [5, "x.yaml:2"],
      "log.level": ["warn", "x.yaml:4"],
      "auth.tokens": [[{ name: "a" }], "x.yaml:5"],
    },
    faults: [],
  });
});

test.each(["", "# nothing\n", "---\n", "null", "write:\n  # batchLimit: 5\nlisten:\n"])(
  "%j says nothing",
  (text) => {
    expect(parse(text)).toEqual({ entries: {}, faults: [] });
  },
);

test.each(["hello", "- a\n- b", "5"])("%j is no configuration", (text) => {
  expect(parse(text).faults).toEqual([expect.stringMatching(/^x\.yaml:1 must be keys and values/)]);
});

test("a section that is given a value is refused", () => {
  expect(parse("a: 1\nsupabase: 5").faults).toEqual([
    "x.yaml:2 supabase is a section: its keys go below it",
  ]);
});

test.each([
  ["listen: a\nlisten: b\n", "x.yaml:2 listen is given twice"],
  ["write:\n  batchLimit: 1\n  batchLimit: 2\n", "x.yaml:3 batchLimit is given twice"],
  [
    "write: {batchLimit: 1}\nwrite.batchLimit: 2\n",
    "x.yaml:2 write.batchLimit was given at x.yaml:1 already",
  ],
  [
    "{write: {batchLimit: 1}, write.batchLimit: 2}",
    "x.yaml:1 write.batchLimit was given at x.yaml:1 already",
  ],
  ["auth:\n  tokens:\n    - name: a\n      name: b\n", "x.yaml:4 a key is given twice"],
])("in %j a key is given twice", (text, fault) => {
  expect(parse(text).faults).toEqual([fault]);
});

test.each([
  ["listen: [a", 1],
  ["listen: a\n\tlog: b", 2],
  ['a: 1\nlisten: "a', 2],
  ["a: 1\nb: c: d", 2],
  ["a: 1\n---\nb: 2", 2],
])("%j is told as a syntax error with its line", (text, line) => {
  const { faults, entries } = parse(text);
  expect(faults[0]).toMatch(new RegExp(`^x\\.yaml:${line} is not YAML at column \\d+ \\(`));
  expect(entries).toEqual({});
});

test("a syntax error quotes nothing of the file", () => {
  for (const text of [
    'auth: {tokens: [{token: "hunter2}]}',
    "auth:\n  tokens: [hunter2\n",
    "token: *hunter2",
    "token: !hunter2 x y: z",
    "supabase: hunter2: hunter2",
    "auth: {tokens: [{hunter2, hunter2}]}",
    "\t@hunter2",
    "? {hunter2: 1}\n: [hunter2",
  ]) {
    expect(parse(text).faults.join()).not.toContain("hunter2");
  }
});

test("aliases are not read: they could make a small file a huge one", () => {
  expect(parse("a: &x 1\nlisten: *x\n").faults).toEqual([
    "x.yaml:2 aliases (*) are not read here: write the value out",
  ]);
});

test.each([
  ["lists in brackets", `listen: ${"[".repeat(5_000)}`],
  ["maps in braces", `listen: ${"{a: ".repeat(5_000)}`],
  ["lists in lines", "- ".repeat(5_000)],
  ["keys of keys", "? ".repeat(5_000)],
  ["sections", Array.from({ length: 1_000 }, (_, depth) => `${" ".repeat(depth)}a:`).join("\n")],
])("a file of %s without end is refused before it exhausts the stack", (_name, text) => {
  expect(parse(text)).toEqual({ entries: {}, faults: ["x.yaml is nested too deeply"] });
});

test("a key named __proto__ is a key like others", () => {
  const { entries } = parseConfigFile("__proto__: {listen: x}", "x.yaml");
  expect(entries).toEqual([{ key: "__proto__.listen", value: "x", where: "x.yaml:1" }]);
});
