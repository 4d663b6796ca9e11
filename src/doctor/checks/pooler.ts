import { advice, fault } from "../check.ts";
import type { Check } from "../check.ts";
import type { DatabaseFacts } from "../facts.ts";

/** Whether LISTEN works; a pooler that hands out connections by the transaction takes it away. */
export const pooler: Check<DatabaseFacts> = {
  name: "pooler and LISTEN",
  look: ({ isPooled, hearsNotify }) => {
    if (hearsNotify !== false) return null;
    if (!isPooled) {
      return fault(
        "what is told with NOTIFY is not heard",
        "look at the server's log: its queue of notifications may be full",
      );
    }
    return advice(
      "a pooler in transaction mode stands before it: LISTEN is not heard",
      "all works; workers of other services see a pushed task at their next poll. To hear of it at once: a direct URL, or one through a pooler in session mode",
    );
  },
};
