import { advice, fault } from "../check.ts";
import type { Check } from "../check.ts";
import type { CopiesFacts } from "../facts.ts";

const LATE_MS = 60_000;

/** Whether the rollback database follows this main, and is kept one step behind. */
export const copies: Check<CopiesFacts> = {
  name: "copies of main",
  look: ({ lineage, mainLineage, isLed, behindMs, brokenScopes }) => {
    if (lineage !== null && mainLineage !== null && lineage !== mainLineage) {
      return fault(
        "it has the copies of another main",
        "name the rollback database of this main in supabase.rollback; a main that was restored is followed anew by the service",
      );
    }
    if (!isLed) {
      return advice(
        "no service keeps it one step behind",
        "start one with supabase.rollback set: agent_runtime state",
      );
    }
    if (behindMs !== null && behindMs > LATE_MS) {
      return fault(
        `it has not had all of main for ${Math.round(behindMs / 1_000)} s`,
        "see `rollback` in /v1/info and the service's log: the follower says what it waits for",
      );
    }
    if (brokenScopes === 0) return null;
    return fault(
      `the copies of ${brokenScopes} scopes do not agree with main`,
      "agent_runtime state fsck says which, and what to do",
    );
  },
};
