import { fault } from "../check.ts";
import type { Check } from "../check.ts";
import type { DatabaseFacts } from "../facts.ts";

/** Whether the schema is the one that this program needs. */
export const schema: Check<DatabaseFacts> = {
  name: "schema",
  look: ({ schemaFault, role }) =>
    schemaFault === null
      ? null
      : fault(
          schemaFault,
          role === "readonly"
            ? "it has what main has: look at main, and at whether the replica follows it"
            : `agent_runtime state migrate --role ${role} --database-url postgres://... (as the owner of the schema)`,
        ),
};
