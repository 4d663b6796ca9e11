import { fault } from "../check.ts";
import type { Check } from "../check.ts";
import type { DatabaseFacts } from "../facts.ts";

/** Of each of the three databases, whether it is what its role says: a replica, or none. */
export const replica: Check<DatabaseFacts> = {
  name: "kind of server",
  look: ({ role, isReplica }) => {
    if (role === "readonly" && !isReplica) {
      return fault(
        "it takes writes, so it follows nobody",
        "name a streaming replica of main in supabase.readonly, or leave it empty",
      );
    }
    if (role !== "readonly" && isReplica) {
      return fault(
        "it is a replica: nothing can be written to it",
        `name the primary in supabase.${role}`,
      );
    }
    return null;
  },
};
