import type { Logger } from "../service/log-port.ts";
import type { Finding, FsckOptions, FsckReport } from "../state/fsck.ts";
import type { ScopeKey } from "../state/ports.ts";
import type { Arbiter, Verdict } from "./arbiter.ts";
import { enter, HOLDING, KEEPING, openFindings } from "./books.ts";
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
  const decided = { verdicts: new Map<bigint, Verdict>(), seen };
  await decideAll(parts, options, { open, decided });
  const findings = await answerOf(parts, open, decided.verdicts);
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

interface Decided {
  readonly verdicts: Map<bigint, Verdict>;
  /** What this run saw before anything was done. */
  readonly seen: ReadonlySet<bigint>;
}

/** Scope by scope: what is told of the one says nothing of the other. */
async function decideAll(
  parts: RunParts,
  { plan, fix }: FsckOptions,
  of: { readonly open: readonly Finding[]; readonly decided: Decided },
): Promise<void> {
  if (plan !== true && fix === undefined) return;
  const scopes = new Map<string, Finding[]>();
  for (const finding of of.open) {
    const key = JSON.stringify([finding.namespace, finding.scope]);
    scopes.set(key, [...(scopes.get(key) ?? []), finding]);
  }
  for (const findings of scopes.values()) {
    const [copies, main] = [findings.filter(isOfCopy), findings.filter((one) => !isOfCopy(one))];
    if (plan === true) {
      for (const finding of inOrder(main)) await judge(parts, finding, of.decided);
      for (const finding of copies) await judgeCopy(parts, finding, { ...of, main });
    } else {
      await settle(parts, inOrder(main), of.decided);
      await settleCopies(parts, copies, of.decided);
    }
  }
}

/** A rollback copy is judged last: it may be what proves main wrong. */
function isOfCopy({ check }: Finding): boolean {
  return check === "C6";
}

const GONE: Verdict = { remedy: "no longer there", safe: true };

/** What was found before, and is put right: nothing is to be done about it. */
function isGone({ statuses }: RunParts, { no, check }: Finding, { seen }: Decided): boolean {
  return !seen.has(no) && statuses.hasRun(check);
}

async function judge(parts: RunParts, finding: Finding, decided: Decided): Promise<void> {
  const gone = isGone(parts, finding, decided);
  decided.verdicts.set(finding.no, gone ? GONE : await parts.arbiter.judge(finding));
}

const MAIN_FIRST: Verdict = {
  remedy: "settle what was found in main first: the copy may be what is right",
  safe: false,
};

async function judgeCopy(
  parts: RunParts,
  finding: Finding,
  of: { readonly main: readonly Finding[]; readonly decided: Decided },
): Promise<void> {
  const isBlocked = of.main.some(({ check }) => HOLDING.includes(check));
  if (isBlocked) of.decided.verdicts.set(finding.no, MAIN_FIRST);
  else await judge(parts, finding, of.decided);
}

async function settle(
  parts: RunParts,
  findings: readonly Finding[],
  decided: Decided,
): Promise<void> {
  for (const finding of findings) {
    const gone = isGone(parts, finding, decided);
    decided.verdicts.set(finding.no, gone ? GONE : await parts.arbiter.settle(finding));
  }
  await conclude(parts, findings, decided);
}

/** Those that are still there once main is well. */
async function settleCopies(
  parts: RunParts,
  findings: readonly Finding[],
  decided: Decided,
): Promise<void> {
  if (findings.length === 0) return;
  const { namespace, scope } = findings[0]!;
  await conclude(parts, findings, decided);
  const open = await openFindings(
    parts.store,
    { namespace: namespace!, scope: scope! },
    FINDINGS_LIMIT,
  );
  const isBlocked = open.some(({ check }) => HOLDING.includes(check));
  for (const finding of findings.filter(({ no }) => open.some((one) => one.no === no))) {
    if (isBlocked) decided.verdicts.set(finding.no, MAIN_FIRST);
    else await settle(parts, [finding], decided);
  }
}

/** Resolves what is no longer there, and takes the detector's own hold back where all is well. */
async function conclude(
  parts: RunParts,
  findings: readonly Finding[],
  { verdicts, seen }: Decided,
): Promise<void> {
  const { store } = parts;
  const [first] = findings;
  if (first === undefined) return;
  const { namespace, scope } = first;
  const scoped = namespace === null || scope === null ? null : { namespace, scope };
  const statuses = scoped === null ? parts.statuses : new Statuses(parts.statuses.asked);
  const again = scoped === null ? null : await surveyScope({ ...parts, statuses }, scoped);
  const still = again === null ? seen : new Set(await enter(store, again.faults, parts.log));
  for (const { no, check } of findings) {
    if (still.has(no) || !statuses.hasRun(check)) continue;
    const verdict = verdicts.get(no);
    await store.resolve([no], verdict?.safe === true ? verdict.remedy : GONE.remedy);
  }
  if (scoped !== null) await store.release(scoped, KEEPING);
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
  return open.map((finding) => ({
    ...(now.get(finding.no) ?? finding),
    ...verdicts.get(finding.no),
  }));
}
