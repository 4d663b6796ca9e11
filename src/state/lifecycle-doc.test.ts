import { readFile, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { LIFECYCLES } from "./lifecycle.ts";
import type { Lifecycle } from "./lifecycle.ts";

const PAGE = new URL("../../docs/lifecycle.md", import.meta.url);
const REGENERATE = "UPDATE_DOCS=1 npx vitest run src/state/lifecycle-doc.test.ts";

const INTRODUCTION = `# Lifecycles

<!-- Generated from src/state/lifecycle-tables.ts by: ${REGENERATE} -->

States of the types \`task\`, \`agent\` and \`lifecycle\` have a phase. A change may move a state only as
these tables allow; the database refuses everything else with \`ILLEGAL_TRANSITION\`, whoever writes.
Staying in a phase is always legal. States of other types have no phase.

Transitions marked \`repair\`, which the diagrams leave out, are reserved for rollbacks and repairs: they may take a state
back to any phase that is not terminal, and a deleted state to any phase, but nothing out of a terminal phase.
`;

const TITLES: Record<keyof typeof LIFECYCLES, string> = {
  task: `## Tasks: \`task\`

\`confused\` means that no single history explains what is claimed about the task: a rollback or a
repair continues it, or an operator gives it up. An ended task stays ended: further work is a new task.
`,
  agent: `## Agents: \`agent\`

An agent is \`busy\` while one of its tasks is being worked on. A stopped agent may be registered again, and
a failed one started again, as a new incarnation, which is another holder.
`,
  lifecycle: `## Pods and sandboxes: \`lifecycle\`

The phase is what is observed, not what is wanted. Anything that is not deleted may fail, or be lost from
sight (\`unknown\`); what is seen for the first time may have existed for long.
`,
};

const SYMBOLS = { change: "yes", repair: "repair", stays: "·", never: "" };

test(`docs/lifecycle.md shows the tables (else run: ${REGENERATE})`, async () => {
  const page = [INTRODUCTION, ...Object.entries(LIFECYCLES).map(section)].join("\n");
  if (process.env["UPDATE_DOCS"] !== undefined) await writeFile(PAGE, page);
  expect(await readFile(PAGE, "utf8"), `run: ${REGENERATE}`).toBe(page);
});

function section([type, lifecycle]: [string, Lifecycle]): string {
  const words = (phases: readonly string[]) => phases.map((phase) => `\`${phase}\``).join(", ");
  const ends = lifecycle.terminal.length === 0 ? "none" : words(lifecycle.terminal);
  return [
    TITLES[type as keyof typeof LIFECYCLES],
    `- Initial phases: ${words(lifecycle.initial)}; by default \`${lifecycle.first}\`.`,
    `- Terminal phases: ${ends}.\n`,
    `${diagram(lifecycle)}\n`,
    "Transitions from the row's phase to the column's:\n",
    `${table(lifecycle)}\n`,
  ].join("\n");
}

function diagram({ initial, phases, terminal, transitions }: Lifecycle): string {
  const arrows = phases.flatMap((from) =>
    Object.entries(transitions[from]!)
      .filter(([, via]) => via === "change")
      .map(([to]) => `  ${from} --> ${to}`),
  );
  const begins = initial.map((phase) => `  [*] --> ${phase}`);
  const ends = terminal.map((phase) => `  ${phase} --> [*]`);
  return ["```mermaid", "stateDiagram-v2", ...begins, ...arrows, ...ends, "```"].join("\n");
}

function table({ phases, transitions }: Lifecycle): string {
  const cell = (from: string, to: string) =>
    from === to ? SYMBOLS.stays : SYMBOLS[transitions[from]![to] ?? "never"];
  const rows = [
    ["", ...phases.map((phase) => `\`${phase}\``)],
    ...phases.map((from) => [`\`${from}\``, ...phases.map((to) => cell(from, to))]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    `| ${row.map((text, column) => text.padEnd(widths[column]!)).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [line(rows[0]!), rule, ...rows.slice(1).map(line)].join("\n");
}
