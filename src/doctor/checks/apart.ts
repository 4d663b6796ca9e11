import { fault } from "../check.ts";
import type { Check } from "../check.ts";
import type { DatabaseFacts } from "../facts.ts";

/** A database beside main. */
export interface Beside {
  readonly main: DatabaseFacts;
  readonly other: DatabaseFacts;
}

/** Whether the replica is one of main's, and the rollback database on a cluster that fails by itself. */
export const apart: Check<Beside> = {
  name: "cluster",
  look: ({ main, other }) => {
    const ids = [main.systemIdentifier, other.systemIdentifier];
    if (ids.includes(null)) return null;
    const isSame = ids[0] === ids[1];
    if (other.role === "readonly" && !isSame) {
      return fault(
        "it is a replica of another cluster",
        "name a replica of main in supabase.readonly",
      );
    }
    if (other.role === "rollback" && isSame) {
      return fault(
        "it is on main's own cluster: what damages one damages the other",
        "name a database of another server in supabase.rollback",
      );
    }
    return null;
  },
};
