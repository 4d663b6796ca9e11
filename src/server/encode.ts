import type { Finding, Findings } from "../state/fsck.ts";
import type { Diff } from "../state/request.ts";
import type {
  Committed,
  HistoryEntry,
  Page,
  ScopeStatus,
  State,
  StateSummary,
  Written,
} from "../state/state.ts";

/*
 * Values as JSON.stringify takes them: 64-bit numbers as text; it makes text of dates by itself.
 * One object a value, no replacer: a replacer costs several times the rest.
 */

export function writtenJson(written: Written): object {
  return {
    namespace: written.namespace,
    id: written.id,
    type: written.type,
    scope: written.scope,
    version: String(written.version),
    step: String(written.step),
    phase: written.phase,
    digest: written.digest,
    updatedAt: written.updatedAt,
    created: written.created,
    replayed: written.replayed,
  };
}

export function committedJson(committed: Committed): object {
  return {
    namespace: committed.namespace,
    scope: committed.scope,
    step: String(committed.step),
    changes: committed.changes.map(writtenJson),
    replayed: committed.replayed,
  };
}

export function summaryJson(state: StateSummary): object {
  return {
    namespace: state.namespace,
    id: state.id,
    type: state.type,
    scope: state.scope,
    version: String(state.version),
    step: String(state.step),
    phase: state.phase,
    digest: state.digest,
    createdAt: state.createdAt,
    updatedAt: state.updatedAt,
    expiresAt: state.expiresAt,
  };
}

export function stateJson(state: State): object {
  return { ...summaryJson(state), data: state.data };
}

export function historyJson(entry: HistoryEntry): object {
  return { ...entry, version: String(entry.version), step: String(entry.step) };
}

export function diffJson(diff: Diff): object {
  return { ...diff, from: String(diff.from), to: String(diff.to) };
}

export function scopeJson(status: ScopeStatus): object {
  const { namespace, scope, step, rollbackStep, hold, holdReason, quarantined } = status;
  return {
    namespace,
    scope,
    step: String(step),
    rollbackStep: rollbackStep === null ? null : String(rollbackStep),
    hold,
    holdReason,
    quarantined: quarantined.map(String),
    rollbacks: status.rollbacks.map((rollback) => ({
      ...rollback,
      step: String(rollback.step),
      restoredStep: String(rollback.restoredStep),
      undoneStep: String(rollback.undoneStep),
    })),
  };
}

export function findingJson(finding: Finding): object {
  const { no, version, step } = finding;
  return {
    ...finding,
    no: String(no),
    version: version === null ? null : String(version),
    step: step === null ? null : String(step),
  };
}

export function findingsJson({ items, runs, next }: Findings): object {
  return { items: items.map(findingJson), runs, next };
}

export function pageJson<Item>(page: Page<Item>, itemJson: (item: Item) => object): object {
  return { items: page.items.map(itemJson), next: page.next };
}
