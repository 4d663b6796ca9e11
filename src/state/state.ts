import type { Json } from "./json.ts";

/** Counts one state's changes: 1, 2, 3 ... Never goes back. Text in JSON, bigint inside. */
export type Version = bigint;

/** Counts one scope's changesets: 1, 2, 3 ..., without a gap. Text in JSON, bigint inside. */
export type Step = bigint;

/** What one step did to one state. */
export type ChangeKind = "update" | "delete" | "rollback" | "repair";

/** A state as it is, or as it was at a version. `data` is deeply frozen. */
export interface State {
  readonly namespace: string;
  readonly id: string;
  readonly type: string;
  readonly scope: string;
  readonly version: Version;
  readonly step: Step;
  /** The phase of its lifecycle; null where its type has none. */
  readonly phase: string | null;
  readonly data: Json;
  /** Chained to the digest of the version before; 64 hexadecimal characters. */
  readonly digest: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly expiresAt: Date | null;
}

/** A state without its data: what a list shows. */
export type StateSummary = Omit<State, "data">;

/** One entry of a state's history: what one step did to it. */
export interface HistoryEntry {
  readonly version: Version;
  readonly step: Step;
  readonly kind: ChangeKind;
  readonly phase: string | null;
  readonly actor: string | null;
  readonly cause: string | null;
  readonly idempotencyKey: string | null;
  readonly digest: string;
  readonly at: Date;
  /** Bytes that this change costs in history: of the delta, or of the full copy. */
  readonly storedBytes: number;
  /** Whether history holds the whole document at this version, or what changed since the one before. */
  readonly stored: "full" | "delta";
}

/** One committed change, as the feed and every watcher carry it. */
export interface Change {
  /** Where the feed stands after this change; opaque; hand it back to resume. */
  readonly cursor: string;
  readonly namespace: string;
  readonly scope: string;
  readonly step: Step;
  readonly id: string;
  readonly type: string;
  readonly version: Version;
  readonly kind: ChangeKind;
  readonly phase: string | null;
  /** The document after this change; null after a delete; absent where not asked for, too large or no longer kept. */
  readonly data?: Json;
  /** RFC 6902 operations from the version before, where the change was kept as a delta. */
  readonly patch?: readonly PatchOperation[];
  readonly cause: string | null;
  readonly actor: string | null;
  readonly digest: string;
  readonly at: Date;
  /** The trace that the call belonged to which made it (W3C Trace Context); messages carry it where it was recorded. */
  readonly traceparent?: string;
}

/** One RFC 6902 (JSON Patch) operation. */
export type PatchOperation =
  | { readonly op: "add" | "replace" | "test"; readonly path: string; readonly value: Json }
  | { readonly op: "remove"; readonly path: string }
  | { readonly op: "move" | "copy"; readonly from: string; readonly path: string };

/** What a write to one state answers. */
export interface Written {
  readonly namespace: string;
  readonly id: string;
  readonly type: string;
  readonly scope: string;
  readonly version: Version;
  readonly step: Step;
  readonly phase: string | null;
  readonly digest: string;
  readonly updatedAt: Date;
  /** True where the state did not exist before, or was deleted. */
  readonly created: boolean;
  /** True where an earlier write with the same idempotency key is answered again. */
  readonly replayed: boolean;
}

/** What a changeset answers: one step. */
export interface Committed {
  readonly namespace: string;
  readonly scope: string;
  readonly step: Step;
  readonly changes: readonly Written[];
  readonly replayed: boolean;
}

/** Where a scope stands. */
export interface ScopeStatus {
  readonly namespace: string;
  readonly scope: string;
  /** HEAD: its newest step; 0 before the first. */
  readonly step: Step;
  /** The step that the rollback database holds; null where there is none. */
  readonly rollbackStep: Step | null;
  readonly hold: boolean;
  /** Why it is on hold; null where it is not, or nobody said. */
  readonly holdReason: string | null;
  readonly quarantined: readonly Step[];
  /** Its last ten, the newest first. */
  readonly rollbacks: readonly PastRollback[];
}

/** A step that went back. */
export interface PastRollback {
  readonly step: Step;
  readonly restoredStep: Step;
  /** HEAD before it. */
  readonly undoneStep: Step;
  /** Where its documents came from: the rollback database, or main's history. */
  readonly source: "rollback" | "history";
  readonly reason: string | null;
  readonly actor: string | null;
  readonly at: Date;
}

/** One page of a list; `next` is handed back as `after` (or `before`) for the page that follows. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next?: string;
}
