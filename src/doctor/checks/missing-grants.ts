import { fault } from "../check.ts";
import type { Check } from "../check.ts";
import type { DatabaseFacts } from "../facts.ts";

const NAMED = 5;
const GROUPS = {
  main: "agent_state_reader, agent_state_writer, agent_state_operator",
  readonly: "agent_state_reader",
  rollback: "agent_state_rollback",
};

/** Whether the login may call all that this program calls. */
export const missingGrants: Check<DatabaseFacts> = {
  name: "grants",
  look: ({ deniedFunctions, login, role }) => {
    if (deniedFunctions.length === 0) return null;
    const named = deniedFunctions.slice(0, NAMED).join(", ");
    const more = deniedFunctions.length - NAMED;
    return fault(
      `${login.name} may not call ${named}${more > 0 ? ` and ${more} more` : ""}`,
      `grant ${GROUPS[role]} to ${login.name}; where the groups themselves lost a right: agent_runtime state migrate`,
    );
  },
};
