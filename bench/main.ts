// `npm run bench`: the figures of docs/performance.md, measured on this machine, as one table.
import { writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { Bench, CannotRun } from "./bench.ts";
import type { Scenario } from "./bench.ts";
import { helpText, readArguments, sizesOf } from "./command-line.ts";
import type { Wanted } from "./command-line.ts";
import type { Figure } from "./figure.ts";
import { isMet } from "./figure.ts";
import { Workshop } from "./parts/workshop.ts";
import { SCENARIOS } from "./scenarios.ts";
import { formatFigures } from "./table.ts";

interface Results {
  readonly figures: (Figure & { readonly scenario: string })[];
  readonly skipped: { readonly scenario: string; readonly why: string }[];
  readonly failures: { readonly scenario: string; readonly error: unknown }[];
}

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => interrupted.abort(new Error(`ended by ${signal}`)));
}
await main();

async function main(): Promise<void> {
  const wanted = read();
  if (wanted === undefined) return;
  if (wanted.help) {
    console.log(helpText(SCENARIOS));
    return;
  }
  const { figures, skipped, failures } = await measure(wanted);
  console.log([machine(), ...formatFigures(figures)].join("\n"));
  if (wanted.quick) console.log("\nquick form: these numbers only show that everything runs");
  if (wanted.json !== undefined) writeFileSync(wanted.json, toJson(wanted, figures));
  for (const { scenario, why } of skipped) console.log(`\nskipped: ${scenario}: ${why}`);
  for (const { scenario, error } of failures) console.error(`\n${scenario} broke:`, error);
  // What broke may have left something running, which would keep this process alive.
  process.exit(failures.length > 0 ? 1 : 0);
}

function read(): Wanted | undefined {
  try {
    return readArguments(process.argv.slice(2), SCENARIOS);
  } catch (error) {
    console.error(`bench: ${(error as Error).message}`);
    process.exitCode = 2;
    return undefined;
  }
}

async function measure(wanted: Wanted): Promise<Results> {
  const results: Results = { figures: [], skipped: [], failures: [] };
  const workshop = new Workshop(interrupted.signal);
  let current = "bench";
  const progress = (text: string): void => console.error(`${current}: ${text}`);
  const { rounds, seconds } = wanted;
  const bench = new Bench({ workshop, sizes: sizesOf(wanted), rounds, seconds, progress });
  try {
    for (const scenario of wanted.scenarios) {
      if (interrupted.signal.aborted) break;
      current = scenario.name;
      const from = performance.now();
      await runOne(scenario, bench, results);
      progress(`done in ${((performance.now() - from) / 1_000).toFixed(1)} s`);
    }
  } finally {
    await workshop.close();
  }
  return results;
}

/** One scenario that breaks does not take the others with it. */
async function runOne(scenario: Scenario, bench: Bench, results: Results): Promise<void> {
  try {
    const figures = await scenario.run(bench);
    results.figures.push(...figures.map((figure) => ({ scenario: scenario.name, ...figure })));
  } catch (error) {
    if (error instanceof CannotRun) {
      results.skipped.push({ scenario: scenario.name, why: error.message });
      return;
    }
    const { aborted, reason } = interrupted.signal;
    results.failures.push({ scenario: scenario.name, error: aborted ? reason : error });
  }
}

function machine(): string {
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${new Date().toISOString().slice(0, 16)}Z, ${cpus().length} × ${cpu?.model.trim()}, ${memory} GiB, Node ${process.versions.node}\n`;
}

function toJson({ rounds, seconds, quick }: Wanted, figures: readonly Figure[]): string {
  const judgedFigures = figures.map((figure) => ({ ...figure, met: isMet(figure) }));
  const run = { at: new Date().toISOString(), machine: machine().trim(), quick, rounds, seconds };
  return `${JSON.stringify({ ...run, figures: judgedFigures }, null, 2)}\n`;
}
