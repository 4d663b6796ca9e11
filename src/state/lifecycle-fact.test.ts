import { expect, test } from "vitest";
import type { JsonObject } from "./json.ts";
import { MAX_FACTS, factJson, factKey, parseFact, parseFacts } from "./lifecycle-fact.ts";

const EXIT = {
  source: "kata",
  podUid: "0f3b-uid",
  podName: "agent-7",
  namespace: "agents",
  node: "node-1",
  container: "main",
  incarnation: "c0ffee",
  fact: "exit",
  at: "2026-11-26T10:00:00.123456789Z",
  exitCode: 137,
  signal: 9,
  reason: "OOMKilled",
  labels: { "agentruntime.dev/agent": "alice" },
} as const satisfies JsonObject;

function refusal(change: JsonObject): unknown {
  try {
    return parseFact({ ...EXIT, ...change }, "facts[3]");
  } catch (error) {
    const { code, message } = error as { readonly code: string; readonly message: string };
    return `${code} ${message}`;
  }
}

test("a fact is what it says, its time in milliseconds UTC", () => {
  expect(parseFact(EXIT)).toEqual({ ...EXIT, at: "2026-11-26T10:00:00.123Z" });
  expect(parseFact({ ...EXIT, at: "2026-11-26T12:00:00+02:00" }).at).toBe(
    "2026-11-26T10:00:00.000Z",
  );
  expect(parseFact(factJson(parseFact(EXIT)))).toEqual(parseFact(EXIT));
});

test("a Sandbox object tells what is wanted of it, too", () => {
  const told = { ...EXIT, source: "sandbox", fact: "ready", desired: "paused" };
  expect(parseFact(told)).toMatchObject({ source: "sandbox", desired: "paused" });
  expect(parseFact(factJson(parseFact(told)))).toEqual(parseFact(told));
});

test("what a source does not know is null or left out", () => {
  const { source, podUid, podName, namespace, at } = EXIT;
  const told = { source, podUid, podName, namespace, fact: "scheduled" };
  expect(parseFact({ ...told, at })).toEqual({
    ...told,
    at: "2026-11-26T10:00:00.123Z",
    node: null,
    container: null,
    incarnation: null,
    labels: {},
  });
});

test.each([
  [{ fact: "prestop" }, /^INVALID_REQUEST facts\[3\]: "fact" must be one of scheduled, create/],
  [{ source: "cri" }, /"source" must be one of hook, kata, pod, sandbox/],
  [{ source: "sandbox", fact: "oom" }, /"fact" must be one of create, start, ready, paused, preSt/],
  [{ desired: "gone" }, /"desired" must be one of running, paused, stopped, deleted/],
  [{ podUid: "" }, /"podUid" must be 1 to 64/],
  [{ podUid: "a/b" }, /"podUid" may hold/],
  [{ podName: 7 }, /"podName" must be text/],
  [{ container: "a\u0000" }, /"container" must be 1 to 253 printable/],
  [{ at: "0001-01-01T00:00:00Z" }, /"at" must be a time after 1970/],
  [{ at: "yesterday" }, /"at" must be a time/],
  [{ exitCode: 1.5 }, /"exitCode" must be a whole number/],
  [{ signal: 0 }, /"signal" must be a whole number/],
  [{ labels: { a: 1 } }, /"labels" must be text/],
  [{ labels: [] }, /"labels" must be a JSON object/],
  [
    { exitcode: 1 },
    /^UNKNOWN_FIELD facts\[3\]: "exitcode" is not known; did you mean "exitCode"\?/,
  ],
])("%j is refused", (change, says) => {
  expect(refusal(change)).toMatch(says);
});

test("a request has an array of facts, and not too many", () => {
  expect(parseFacts({ facts: [EXIT, EXIT] })).toHaveLength(2);
  expect(() => parseFacts({})).toThrow(/"facts" must be an array/);
  expect(() => parseFacts({ facts: [], fact: 1 })).toThrow(/did you mean "facts"\?/);
  expect(() => parseFacts({ facts: [EXIT, 7] })).toThrow(/facts\[1\] must be a JSON object/);
  expect(() => parseFacts({ facts: Array.from({ length: MAX_FACTS + 1 }, () => EXIT) })).toThrow(
    /are too many/,
  );
});

test("two tellings of one fact share a key; any other fact has another", () => {
  const key = factKey(parseFact(EXIT));
  expect(factKey(parseFact({ ...EXIT, exitCode: 1, podName: "other", labels: {} }))).toBe(key);
  const others: JsonObject[] = [
    { source: "pod" },
    { podUid: "other" },
    { container: null },
    { incarnation: null },
    { fact: "oom" },
    { at: "2026-11-26T10:00:00.124Z" },
  ];
  const keys = others.map((change) => factKey(parseFact({ ...EXIT, ...change })));
  expect(new Set([key, ...keys]).size).toBe(others.length + 1);
  expect(key).toMatch(/^[\w-]{43}$/);
});
