import type { Logger } from "../service/log-port.ts";
import type { Finding, FsckOptions, FsckReport } from "../state/fsck.ts";
import type { ScopeKey } from "../state/fsck-ports.ts";
import type { Arbiter, Verdict } from "./arbiter.ts";
import { enter, HOLDING, openFindings } from "./books.ts";
import type { Scrubbed } from "./scrub.ts";
import { Statuses } from "./statuses.ts";
import { surveyAll, surveyScope } from "./survey.ts";
import type { SurveyParts } from "./survey.ts";

/** Findings that one run judges or settles, and answers. */
const FINDINGS_LIMIT = 1_000;

/** What a run stands on. */
export interface RunParts extends SurveyParts {
  readonly arbiter: Arbiter;
  readonly log: Logger;
}

/** Looks, enters what it finds, and judges or settles it where that is asked for. */
export async function runOnDemand(parts: RunParts, options: FsckOptions): Promise<FsckReport> {
  const { store, statuses } = parts;
  const scope = scopeOf(options);
  const seen = new Set<bigint>();
  let checked = 0;
  const take = async (page: Scrubbed): Promise<void> => {
    checked += page.checked;
    for (const no of await enter(store, page.faults, parts.log)) seen.add(no);
  };
  const survey = { ...parts, signal: options.signal };
  if (scope === null) await surveyAll(survey, take);
  else await take(await surveyScope(survey, scope));
  const open = await findingsOf(parts, options);
  const verdicts = await decide(parts, options, open);
  if (options.fix === "safe" && options.plan !== true) {
    await concludeAll(parts, open, { verdicts, seen });
  }
  const findings = await answerOf(parts, open, verdicts);
  return { checked, checks: statuses.list(), findings };
}

function scopeOf({ scope, namespace = "default" }: FsckOptions): ScopeKey | null {
  return scope === undefined ? null : { namespace, scope };
}

async function findingsOf({ store, statuses }: RunParts, options: FsckOptions): Promise<Finding[]> {
  const { namespace } = options;
  const of = scopeOf(options) ?? (namespace === undefined ? {} : { namespace });
  const open = await openFindings(store, of, FINDINGS_LIMIT);
  return open.filter(({ check }) => statuses.wants(check));
}

/** Changes before rows, older before newer: what is settled first proves what comes after it. */
function inOrder(findings: readonly Finding[]): Finding[] {
  const rank = ({ check }: Finding): number =>
    check === "C2" ? 0 : check === "C4" ? 1 : check === "C3" ? 2 : 3;
  return findings.toSorted(
    (a, b) => rank(a) - rank(b) || Number((a.version ?? 0n) - (b.version ?? 0n)),
  );
}

async function decide(
  { arbiter }: RunParts,
  { plan, fix }: FsckOptions,
  open: readonly Finding[],
): Promise<Map<bigint, Verdict>> {
  const verdicts = new Map<bigint, Verdict>();
  if (plan !== true && fix === undefined) return verdicts;
  for (const finding of inOrder(open)) {
    const isDry = plan === true;
    verdicts.set(finding.no, await (isDry ? arbiter.judge(finding) : arbiter.settle(finding)));
  }
  return verdicts;
}

interface Outcome {
  readonly verdicts: ReadonlyMap<bigint, Verdict>;
  /** What this run saw before anything was done. */
  readonly seen: ReadonlySet<bigint>;
}

/** Resolves what is no longer there, scope by scope, and takes the detector's own holds back where all is well. */
async function concludeAll(
  parts: RunParts,
  open: readonly Finding[],
  outcome: Outcome,
): Promise<void> {
  const scopes = new Map<string, Finding[]>();
  for (const finding of open) {
    const key = JSON.stringify([finding.namespace, finding.scope]);
    scopes.set(key, [...(scopes.get(key) ?? []), finding]);
  }
  for (const findings of scopes.values()) await conclude(parts, findings, outcome);
}

async function conclude(
  parts: RunParts,
  findings: readonly Finding[],
  { verdicts, seen }: Outcome,
): Promise<void> {
  const { store } = parts;
  const [{ namespace, scope }] = findings as readonly [Finding];
  const scoped = namespace === null || scope === null ? null : { namespace, scope };
  const statuses = scoped === null ? parts.statuses : new Statuses(parts.statuses.asked);
  const again = scoped === null ? null : await surveyScope({ ...parts, statuses }, scoped);
  const still =
    again === null ? seen : new Set(await enter(store, again.faults, parts.log));
  for (const { no, check } of findings) {
    // The copy of a scope is made anew later; until then its findings stay.
    if (still.has(no) || !statuses.hasRun(check) || check === "C6") continue;
    const verdict = verdicts.get(no);
    await store.resolve([no], verdict?.safe === true ? verdict.remedy : "no longer there");
  }
  if (scoped !== null) await store.release(scoped, HOLDING);
}

async function answerOf(
  { store }: RunParts,
  open: readonly Finding[],
  verdicts: ReadonlyMap<bigint, Verdict>,
): Promise<Finding[]> {
  if (open.length === 0) return [];
  const before = open[0]!.no + 1n;
  const page = { namespace: null, scope: null, open: false, before, limit: FINDINGS_LIMIT };
  const now = new Map((await store.findings(page)).map((finding) => [finding.no, finding]));
  return open.map((finding) => ({ ...(now.get(finding.no) ?? finding), ...verdicts.get(finding.no) }));
}
