import type { Command } from "commander";
import type { ScopeStatus } from "../../state/state.ts";
import { withExamples } from "../help.ts";
import { toJson } from "../print/json.ts";
import { callOptions, withClient, withServiceOptions } from "../service-options.ts";
import type { ServiceOptions } from "../service-options.ts";
import { writeLine } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

/** Adds `scope`: where a scope stands. */
export function addScope(group: Command, terminal: Terminal): void {
  const command = group
    .command("scope")
    .description("where a scope stands: its step, the one behind it, holds, quarantine")
    .argument("<scope>", "which scope, normally an agent")
    .action(async (scope: string, flags: ServiceOptions) => {
      const status = await withClient(flags, (client) =>
        client.scope(scope, callOptions(terminal)),
      );
      await printScope(terminal, flags, status);
    });
  withExamples(withServiceOptions(command), [["agent_runtime state scope agent-1", "its status"]]);
}

/** A scope's status, as lines or as JSON. */
export async function printScope(
  terminal: Terminal,
  flags: ServiceOptions,
  status: ScopeStatus,
): Promise<void> {
  const { scope, step, rollbackStep, hold, quarantined } = status;
  const lines = [
    `${scope} is at step ${step}${hold ? ", on hold" : ""}`,
    `one step back: ${rollbackStep === null ? "not known to a rollback database" : `step ${rollbackStep}`}`,
    ...(quarantined.length === 0 ? [] : [`quarantined: ${quarantined.join(", ")}`]),
  ];
  await writeLine(terminal.stdout, flags.json ? toJson(status) : lines.join("\n"));
}
