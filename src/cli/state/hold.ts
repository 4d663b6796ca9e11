import type { Command } from "commander";
import { given } from "../given.ts";
import { withExamples } from "../help.ts";
import { callOptions, withClient, withServiceOptions } from "../service-options.ts";
import type { ServiceOptions } from "../service-options.ts";
import type { Terminal } from "../terminal.ts";
import { printScope } from "./scope.ts";

interface HoldFlags extends ServiceOptions {
  readonly reason?: string;
  readonly actor?: string;
}

/** Adds `hold`: stops a scope. */
export function addHold(group: Command, terminal: Terminal): void {
  const command = group
    .command("hold")
    .description("refuse all writes to a scope until it is released")
    .argument("<scope>", "id of the scope, normally an agent")
    .option("--reason <text>", "why; recorded with the hold")
    .option("--actor <name>", "who; recorded with the hold")
    .action(async (scope: string, flags: HoldFlags) => {
      const { reason, actor } = flags;
      await withClient(flags, async (client) => {
        await client.hold(scope, { ...callOptions(terminal), ...given({ reason, actor }) });
        await printScope(terminal, flags, await client.scope(scope, callOptions(terminal)));
      });
    });
  withExamples(withServiceOptions(command), [
    ["agent_runtime state hold agent-1 --reason 'looks wrong'", "nobody can write to it now"],
  ]);
}

/** Adds `release`: lets a scope go on. */
export function addRelease(group: Command, terminal: Terminal): void {
  const command = group
    .command("release")
    .description("end the hold on a scope")
    .argument("<scope>", "id of the scope, normally an agent")
    .action(async (scope: string, flags: ServiceOptions) => {
      await withClient(flags, async (client) => {
        await client.release(scope, callOptions(terminal));
        await printScope(terminal, flags, await client.scope(scope, callOptions(terminal)));
      });
    });
  withExamples(withServiceOptions(command), [
    ["agent_runtime state release agent-1", "accept writes again"],
  ]);
}
