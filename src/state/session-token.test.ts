import fc from "fast-check";
import { expect, test } from "vitest";
import type { SessionToken } from "./request.ts";
import {
  CUT,
  formatSessionToken,
  isCut,
  parseSessionToken,
  rememberVersion,
  stepsSeen,
  versionSeen,
} from "./session-token.ts";

const name = fc.string({ minLength: 1, maxLength: 20, unit: "grapheme" });
const count = fc.bigInt({ min: 1n, max: 2n ** 59n });
const namespace = name.filter((one) => one !== CUT.namespace); // no namespace may be called so
const state = { namespace, id: name, version: count };
const entry: fc.Arbitrary<SessionToken> = fc.oneof(
  fc.record({ ...state, scope: name, step: count }),
  fc.record({ ...state, step: count }).map((one) => ({ ...one, scope: one.id })),
  fc.record(state),
);

test("a token read back holds what was written into it, newest last", () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 10 }), (entries) => {
      const kept = parseSessionToken(formatSessionToken(entries));
      const named = kept.filter((one) => one.namespace !== CUT.namespace);
      expect(named).toEqual(entries.slice(entries.length - named.length));
      expect(isCut(kept)).toBe(named.length < entries.length);
    }),
  );
});

test("a token has the step that made a version, and its scope where that is not the id", () => {
  const at = { namespace: "n", id: "a", version: 7n, step: 9n };
  expect(formatSessionToken([{ ...at, scope: "a" }])).toBe("n/a@7:9");
  expect(formatSessionToken([{ ...at, scope: "b/c" }])).toBe("n/a@7:9/b%2Fc");
  expect(parseSessionToken("n/a@7")).toEqual([{ namespace: "n", id: "a", version: 7n }]);
});

test("the steps that a session knows of are those of the namespace and scope, if it knows them all", () => {
  const at = { namespace: "n", id: "a", version: 7n, scope: "s", step: 9n };
  const other = { namespace: "n", id: "b", version: 1n, scope: "t", step: 2n };
  const both = [at, other, { ...other, namespace: "m" }];
  expect(stepsSeen(both, "n")).toHaveLength(2);
  expect(stepsSeen(both, "n", "s")).toEqual([{ namespace: "n", scope: "s", step: 9n }]);
  expect(stepsSeen([at, { namespace: "n", id: "old", version: 1n }], "n", "s")).toBeNull();
  expect(stepsSeen([CUT, at], "m")).toBeNull();
});

test("a session that saw more than it tells says so for ever", () => {
  let session: SessionToken[] = [];
  for (let n = 0; n < 51; n++) {
    expect(isCut(session)).toBe(false);
    session = rememberVersion(session, { namespace: "n", id: `s${n}`, version: 1n });
  }
  expect(isCut(session)).toBe(true);
  const again = parseSessionToken(formatSessionToken(session));
  expect(isCut(rememberVersion(again, { namespace: "n", id: "s50", version: 2n }))).toBe(true);
  expect(again).toHaveLength(51);
});

test("a token stays below 50 entries and 4,096 characters, and keeps the newest", () => {
  const many = Array.from({ length: 80 }, (_, i) => ({
    namespace: "default",
    id: `state-${i}`,
    version: 1n,
  }));
  const kept = parseSessionToken(formatSessionToken(many));
  expect(kept).toHaveLength(51); // and that there were more
  expect(kept.at(-1)?.id).toBe("state-79");

  const long = many.map((one) => ({ ...one, id: one.id.padEnd(200, "é") }));
  const text = formatSessionToken(long);
  expect(text.length).toBeLessThanOrEqual(4096);
  expect(parseSessionToken(text).at(-1)?.id).toBe(long.at(-1)?.id);
});

test("a session never forgets a newer version for an older one", () => {
  const state = { namespace: "default", id: "a" };
  let session = rememberVersion([], { ...state, version: 7n });
  session = rememberVersion(session, { ...state, version: 5n });
  expect(versionSeen(session, state)).toBe(7n);
  expect(session).toHaveLength(1);
  expect(versionSeen(session, { namespace: "other", id: "a" })).toBeUndefined();
});

test.each(["garbage", "a/b@0", "a/b@x", "a/b@1,", "a/%ff@1", "a/b/c@1", `a/${"b".repeat(5000)}@1`])(
  "the token %j is refused",
  (text) => {
    expect(() => parseSessionToken(text)).toThrow(
      expect.objectContaining({ code: "INVALID_REQUEST" }),
    );
  },
);
