import fc from "fast-check";
import { expect, test } from "vitest";
import type { SessionToken } from "./request.ts";
import {
  formatSessionToken,
  parseSessionToken,
  rememberVersion,
  versionSeen,
} from "./session-token.ts";

const entry: fc.Arbitrary<SessionToken> = fc.record({
  namespace: fc.string({ minLength: 1, maxLength: 8, unit: "grapheme" }),
  id: fc.string({ minLength: 1, maxLength: 20, unit: "grapheme" }),
  version: fc.bigInt({ min: 1n, max: 2n ** 59n }),
});

test("a token read back holds what was written into it, newest last", () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 10 }), (entries) => {
      const kept = parseSessionToken(formatSessionToken(entries));
      expect(kept).toEqual(entries.slice(entries.length - kept.length));
    }),
  );
});

test("a token stays below 50 entries and 4,096 characters, and keeps the newest", () => {
  const many = Array.from({ length: 80 }, (_, i) => ({
    namespace: "default",
    id: `state-${i}`,
    version: 1n,
  }));
  const kept = parseSessionToken(formatSessionToken(many));
  expect(kept).toHaveLength(50);
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
