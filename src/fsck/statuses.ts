import { AgentRuntimeError } from "../state/errors.ts";
import type { CheckName, CheckStatus } from "../state/fsck.ts";
import type { Fault } from "../state/fsck-ports.ts";

/** How the checks of one run went. What nobody reported has not run, and that is no pass. */
export class Statuses {
  readonly asked: readonly CheckName[];
  readonly #ran = new Set<CheckName>();
  readonly #failed = new Set<CheckName>();
  readonly #reasons = new Map<CheckName, string>();

  constructor(asked: readonly CheckName[]) {
    this.asked = asked;
  }

  wants(check: CheckName): boolean {
    return this.asked.includes(check);
  }

  /** Runs what makes some checks, and takes down how each went; the faults of those that were asked for. */
  async run(checks: readonly CheckName[], make: () => Promise<readonly Fault[]>): Promise<Fault[]> {
    if (!checks.some((check) => this.wants(check))) return [];
    try {
      const faults = (await make()).filter(({ check }) => this.wants(check));
      for (const check of checks) this.#ran.add(check);
      for (const { check } of faults) this.#failed.add(check);
      return faults;
    } catch (error) {
      if (!(error instanceof AgentRuntimeError)) throw error;
      this.missed(checks, error.message);
      return [];
    }
  }

  /** These checks could not run. */
  missed(checks: readonly CheckName[], reason: string): void {
    for (const check of checks) this.#reasons.set(check, reason);
  }

  /** Whether any of these was asked for, and none has been missed. */
  mayRun(checks: readonly CheckName[]): boolean {
    return (
      checks.some((check) => this.wants(check)) && !checks.some((check) => this.#reasons.has(check))
    );
  }

  /** Whether it ran. */
  hasRun(check: CheckName): boolean {
    return this.#ran.has(check) && !this.#reasons.has(check);
  }

  list(): CheckStatus[] {
    return this.asked.map((check) => {
      if (this.#failed.has(check)) return { check, status: "failed" };
      const reason = this.#reasons.get(check);
      if (reason === undefined && this.#ran.has(check)) return { check, status: "passed" };
      return { check, status: "could not run", reason: reason ?? "the run ended before it" };
    });
  }
}
