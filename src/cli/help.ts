import type { Command } from "commander";

/** The command with examples below its help; each is what to type and what that does. */
export function withExamples(
  command: Command,
  examples: readonly (readonly [line: string, does: string])[],
): Command {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, does]) => `  ${line.padEnd(width)}  ${does}`);
  return command.addHelpText("after", `\nExamples:\n${lines.join("\n")}`);
}
