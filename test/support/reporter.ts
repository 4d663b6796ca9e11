import type { SerializedError } from "vitest";
import {
  DefaultReporter,
  type TestCase,
  type TestModule,
  type TestRunEndReason,
} from "vitest/node";

/** How a run ended. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}

/** Vitest's own report, then every skip with its reason, then one line that says it all. */
export default class ClosingReporter extends DefaultReporter {
  override onTestRunEnd(
    modules: readonly TestModule[],
    errors: readonly SerializedError[],
    reason: TestRunEndReason,
  ): void {
    super.onTestRunEnd(modules, errors, reason);
    const tally = tallyOf(modules, errors.length);
    // A run in which nothing ran proves nothing, however green it is.
    if (tally.failed > 0 || tally.passed === 0) process.exitCode = 1;
    for (const line of closingLines(tally)) process.stdout.write(`${line}\n`);
  }
}

/** The end of the report. Its last line is read by programs: keep its form. */
export function closingLines({ passed, failed, skipped }: Tally): readonly string[] {
  const counts = [`${passed} passed`, `${failed} failed`];
  if (skipped.length > 0) counts.push(`${skipped.length} skipped`);
  return [
    ...skipped.map(({ name, reason }) => `skipped: ${name}: ${reason}`),
    ...(passed + failed === 0 ? ["no test ran: that counts as a failure"] : []),
    counts.join(", "),
  ];
}

function tallyOf(modules: readonly TestModule[], unhandled: number): Tally {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const inState = (state: string): TestCase[] => tests.filter((t) => t.result().state === state);
  // A file that could not be loaded, or whose hooks failed, counts even where no test of it did.
  const broken = modules.filter(
    (module) => module.state() === "failed" && ![...module.children.allTests("failed")].length,
  );
  return {
    passed: inState("passed").length,
    failed: inState("failed").length + broken.length + unhandled,
    skipped: inState("skipped").map((skipped) => ({
      name: skipped.fullName,
      reason: noteOf(skipped) ?? "no reason was given",
    })),
  };
}

function noteOf(skipped: TestCase): string | undefined {
  const result = skipped.result();
  return result.state === "skipped" ? result.note : undefined;
}
