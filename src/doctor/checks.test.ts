import { expect, test } from "vitest";
import { clock } from "./checks/clock.ts";
import { copies } from "./checks/copies.ts";
import { pooler } from "./checks/pooler.ts";
import { version } from "./checks/version.ts";
import type { DatabaseFacts } from "./facts.ts";

const WELL: DatabaseFacts = {
  role: "main",
  version: "15.8",
  versionNumber: 150_008,
  isReplica: false,
  systemIdentifier: "1",
  login: {
    name: "serving",
    isSuperuser: false,
    mayBypassRules: false,
    writableTables: 0,
    mayChangeSchema: false,
  },
  settings: { fsync: "on", full_page_writes: "on", synchronous_commit: "on" },
  skewMs: 12,
  roundTripMs: 3,
  schemaFault: null,
  deniedFunctions: [],
  isPooled: false,
  hearsNotify: true,
  hasCaughtUp: null,
  isReplayPaused: false,
};

test.each([
  [140_012, true],
  [150_000, false],
  [180_004, false],
  [190_000, true],
])("of PostgreSQL %d it is said: %s", (versionNumber, isFault) => {
  expect(version.look({ ...WELL, versionNumber })?.level).toBe(isFault ? "fault" : undefined);
});

test.each([
  [60_000, 3, "60 s ahead of"],
  [-60_000, 3, "60 s behind"],
  [4_000, 3, undefined],
  [8_000, 5_000, undefined], // as far as can be known from so far away
])("a clock that is %d ms off, asked in %d ms: %s", (skewMs, roundTripMs, says) => {
  const found = clock.look({ ...WELL, skewMs, roundTripMs })?.found;
  if (says === undefined) expect(found).toBeUndefined();
  else expect(found).toContain(says);
});

test("notifications that are lost without a pooler are a fault, not a matter of its mode", () => {
  expect(pooler.look({ ...WELL, hearsNotify: false })?.level).toBe("fault");
  expect(pooler.look({ ...WELL, hearsNotify: false, isPooled: true })?.level).toBe("advice");
  expect(pooler.look({ ...WELL, hearsNotify: true, isPooled: true })).toBeNull();
});

test("copies that are late, or broken, are a fault", () => {
  const well = { lineage: "a", mainLineage: "a", isLed: true, behindMs: 900, brokenScopes: 0 };
  expect(copies.look(well)).toBeNull();
  expect(copies.look({ ...well, behindMs: 100_000 })?.found).toContain("for 100 s");
  expect(copies.look({ ...well, brokenScopes: 2 })?.found).toContain("2 scopes");
});
