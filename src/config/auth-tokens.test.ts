import { expect, test } from "vitest";
import { authTokens } from "./auth-tokens.ts";

const kind = authTokens();
const token = "0123456789abcdef";

function problems(raw: unknown, isText = false): string[] {
  const parsed = kind.parse(raw, { isText, cwd: "/" });
  return parsed.ok ? [] : parsed.problems.map(({ at, says }) => `${at} ${says}`);
}

test("a list of tokens is read from a file and, as JSON, from a variable", () => {
  const list = [
    { name: "a", token, namespace: "acme", role: "writer" },
    { name: "b", token: "other", role: "reader" },
  ];
  const read = [list[0], { ...list[1], namespace: null }];
  const context = { isText: false, cwd: "/" };
  expect(kind.parse(list, context)).toEqual({ ok: true, value: read });
  const text = JSON.stringify(list);
  expect(kind.parse(text, { ...context, isText: true })).toEqual({ ok: true, value: read });
});

test.each([5, "x", { name: "a" }, null])("%j is no list of tokens", (raw) => {
  expect(problems(raw)).toEqual([" must be a list of {name, token, namespace, role}"]);
});

test("a variable that holds no JSON is refused without a word of it", () => {
  expect(problems('[{"token":"hunter2"', true)).toEqual([
    " must be a list of {name, token, namespace, role} in JSON",
  ]);
});

test("every fault of every token is told, with its place, and nothing of a token", () => {
  const faults = problems([
    { name: "a/b", token: "with space", namespace: 5, role: "admin" },
    { name: "c", token, role: "reader", rolle: 1 },
    "hunter2",
    {},
    { hunter2: "reader", name: "d", token: "d", role: "reader" },
  ]);
  expect(faults).toEqual([
    "[0].name must be 1 to 200 printable characters without /",
    "[0].token must be 1 to 512 characters of A-Z a-z 0-9 . _ ~ + / - =",
    "[0].namespace must be 1 to 200 printable characters without /, or left out for any namespace",
    "[0].role must be reader, writer or operator",
    '[1] has an unknown field "rolle"; did you mean role?',
    "[2] must be {name, token, namespace, role}",
    "[3].name must be 1 to 200 printable characters without /",
    "[3].token must be 1 to 512 characters of A-Z a-z 0-9 . _ ~ + / - =",
    "[3].role must be reader, writer or operator",
    "[4] has an unknown field; it may have: name, token, namespace, role",
  ]);
});

test("a field named __proto__ is a field nobody knows", () => {
  const text = `[{"name":"a","token":"${token}","role":"reader","__proto__":{"role":"operator"}}]`;
  expect(problems(text, true)).toEqual([expect.stringContaining("unknown field")]);
});

test("two tokens of the same name or the same content are refused", () => {
  const one = { name: "a", token, role: "reader" };
  expect(problems([one, one])).toEqual([
    "[1].name is the same as that of [0]",
    "[1].token is the same as that of [0]",
  ]);
});

test("more tokens than fit are refused", () => {
  const many = Array.from({ length: 1_001 }, (_, i) => ({
    name: `n${i}`,
    token: `t${i}`,
    role: "reader",
  }));
  expect(problems(many)).toEqual([" must be at most 1000 tokens"]);
  expect(problems(many.slice(1))).toEqual([]);
});
