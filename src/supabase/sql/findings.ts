import type { CheckName, Finding, FindingKind } from "../../state/fsck.ts";
import type { Entry, FsckStore, RecordedFault } from "../../state/fsck-ports.ts";
import type { ScopeKey } from "../../state/ports.ts";
import type { Step } from "../../state/state.ts";
import type { Caller, Operation } from "../caller.ts";
import { bigint, boolean, date, optional, text } from "../rows.ts";

const RECORD_FINDINGS = {
  fn: "record_findings",
  parameters: {
    check: "text[]",
    kind: "text[]",
    namespace: "text[]",
    scope: "text[]",
    id: "text[]",
    version: "bigint[]",
    step: "bigint[]",
    detail: "text[]",
    remedy: "text[]",
    evidence: "json[]",
    hold: "integer[]",
    open_limit: "integer",
  },
  columns: ["n", "finding_no", "is_new"],
  writes: true,
} as const satisfies Operation;

const LIST_FINDINGS = {
  fn: "list_findings",
  parameters: {
    namespace: "text",
    scope: "text",
    open: "boolean",
    before: "bigint",
    limit: "integer",
  },
  columns: [
    "finding_no",
    "check_name",
    "kind",
    "namespace",
    "scope",
    "id",
    "version",
    "step",
    "detail",
    "remedy",
    "found_at",
    "seen_at",
    "resolved_at",
    "resolution",
  ],
  writes: false,
} as const satisfies Operation;

const COUNT_FINDINGS = {
  fn: "count_findings",
  parameters: {},
  columns: ["check_name", "count"],
  writes: false,
} as const satisfies Operation;

const RESOLVE_FINDINGS = {
  fn: "resolve_findings",
  parameters: { finding_no: "bigint[]", resolution: "text" },
  columns: ["resolve_findings"],
  writes: true,
} as const satisfies Operation;

const RELEASE_CHECKED = {
  fn: "release_checked",
  parameters: { namespace: "text", scope: "text", holding: "text[]" },
  columns: ["release_checked"],
  writes: true,
} as const satisfies Operation;

const QUARANTINE_STEP = {
  fn: "quarantine_step",
  parameters: { namespace: "text", scope: "text", step: "bigint", reason: "text" },
  columns: ["quarantine_step"],
  writes: true,
} as const satisfies Operation;

/** Open findings in the books at most: beyond, nothing new is entered. */
const OPEN_LIMIT = 10_000;

/** Enters findings, with the evidence, and holds the scopes of those that ask for it. */
export async function recordFindings(
  writer: Caller,
  faults: readonly RecordedFault[],
): Promise<(Entry | null)[]> {
  const rows = await writer.call(RECORD_FINDINGS, {
    check: faults.map(({ check }) => check),
    kind: faults.map(({ kind }) => kind),
    namespace: faults.map(({ namespace }) => namespace),
    scope: faults.map(({ scope }) => scope),
    id: faults.map(({ id }) => id),
    version: faults.map(({ version }) => version),
    step: faults.map(({ step }) => step),
    detail: faults.map(({ detail }) => detail),
    remedy: faults.map(({ remedy }) => remedy),
    evidence: faults.map(({ evidence }) => evidence),
    hold: faults.map(({ hold }) => Number(hold)),
    open_limit: OPEN_LIMIT,
  });
  const entries = new Map(
    rows.map((row) => [Number(row[0]), { no: bigint(row, 1), isNew: boolean(row, 2) }]),
  );
  return faults.map((_, index) => entries.get(index + 1) ?? null);
}

/** One page of findings, newest first. */
export async function listFindings(
  reader: Caller,
  page: Parameters<FsckStore["findings"]>[0],
): Promise<Finding[]> {
  const rows = await reader.call(LIST_FINDINGS, page);
  return rows.map((row) => ({
    no: bigint(row, 0),
    check: text(row, 1) as CheckName,
    kind: text(row, 2) as FindingKind,
    namespace: row[3] ?? null,
    scope: row[4] ?? null,
    id: row[5] ?? null,
    version: optional(row, 6, bigint),
    step: optional(row, 7, bigint),
    detail: text(row, 8),
    remedy: text(row, 9),
    safe: null,
    foundAt: date(row, 10),
    seenAt: date(row, 11),
    resolvedAt: optional(row, 12, date),
    resolution: row[13] ?? null,
  }));
}

/** How many are open, by check. */
export async function countFindings(reader: Caller): Promise<Map<CheckName, number>> {
  const rows = await reader.call(COUNT_FINDINGS, {});
  return new Map(rows.map((row) => [text(row, 0) as CheckName, Number(row[1])]));
}

/** They are settled, and how. */
export async function resolveFindings(
  writer: Caller,
  nos: readonly bigint[],
  resolution: string,
): Promise<void> {
  await writer.call(RESOLVE_FINDINGS, { finding_no: nos, resolution });
}

/** Takes the detector's own hold back; whether it did. */
export async function releaseChecked(
  writer: Caller,
  scope: ScopeKey,
  holding: readonly CheckName[],
): Promise<boolean> {
  const { namespace, scope: name } = scope;
  const [row] = await writer.call(RELEASE_CHECKED, { namespace, scope: name, holding });
  return boolean(row!, 0);
}

/** Keeps a step as it is, never to be promoted or restored. */
export async function quarantineStep(
  writer: Caller,
  scope: ScopeKey,
  quarantined: { readonly step: Step; readonly reason: string },
): Promise<void> {
  const { namespace, scope: name } = scope;
  await writer.call(QUARANTINE_STEP, { namespace, scope: name, ...quarantined });
}
