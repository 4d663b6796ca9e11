import { advice } from "../check.ts";
import type { Check } from "../check.ts";
import type { DatabaseFacts } from "../facts.ts";

/** Whether the login may do more than this program needs: a leaked URL would then be worth more. */
export const excessRights: Check<DatabaseFacts> = {
  name: "least privilege",
  look: ({ login, role }) => {
    const rights = [
      ...(login.isSuperuser ? ["is a superuser"] : []),
      ...(login.mayBypassRules && !login.isSuperuser ? ["bypasses row level security"] : []),
      ...(login.writableTables > 0
        ? [`may write to ${login.writableTables} tables past the functions`]
        : []),
      ...(login.mayChangeSchema ? ["may change the schema"] : []),
    ];
    if (rights.length === 0) return null;
    const group = role === "rollback" ? "agent_state_rollback" : "agent_state_operator";
    return advice(
      `${login.name} ${rights.join(", and ")}`,
      `serve as a login of its own (create role NAME login in role ${group}), and keep this one for agent_runtime state migrate`,
    );
  },
};
