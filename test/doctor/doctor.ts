import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Verdict } from "../../src/doctor/check.ts";
import { run } from "../cli/fake-terminal.ts";

/** What the doctor found: `PART, CHECK` and what it says, without what is well. */
export interface Diagnosis {
  readonly code: number;
  readonly verdicts: readonly Verdict[];
  /** By `part, check`. */
  readonly findings: ReadonlyMap<string, Verdict>;
}

/** Lets the doctor look, in an empty folder. */
export async function diagnose(
  env: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): Promise<Diagnosis> {
  const cwd = mkdtempSync(join(tmpdir(), "art-doctor-"));
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }));
  const { code, stdout, stderr } = await run(["state", "doctor", "--json", ...args], { cwd, env });
  if (stdout === "") throw new Error(`the doctor ended with ${code}: ${stderr}`);
  const { verdicts } = JSON.parse(stdout) as { readonly verdicts: readonly Verdict[] };
  const findings = verdicts.filter(({ level }) => level !== "ok");
  const named = findings.map((verdict) => [`${verdict.part}, ${verdict.check}`, verdict] as const);
  return { code, verdicts, findings: new Map(named) };
}
