import type { Json } from "./json.ts";
import type { PatchOperation, Step, Version } from "./state.ts";

interface ChangeTarget {
  readonly id: string;
  /** Only at this version; 0 = only if it does not exist (or was deleted). */
  readonly expectedVersion?: Version;
  /** The phase it enters; unsaid, it keeps its own, or starts in its lifecycle's first. */
  readonly phase?: string;
}

/** Create a state, or replace its document. */
export interface UpdateRequest extends ChangeTarget {
  readonly op: "update";
  readonly type: string;
  readonly data: Json;
  /** When the state deletes itself; null takes an earlier wish back; unsaid keeps it. */
  readonly expiresAt?: Date | null;
}

/** RFC 7396: what the patch names is replaced, what it sets to null is removed. */
export interface MergeRequest extends ChangeTarget {
  readonly op: "merge";
  readonly patch: Json;
}

/** RFC 6902: all operations apply, or none. */
export interface PatchRequest extends ChangeTarget {
  readonly op: "patch";
  readonly patch: readonly PatchOperation[];
}

/** Append to the array at a JSON Pointer (RFC 6901). Costs what is added, however long the array is. */
export interface AppendRequest extends ChangeTarget {
  readonly op: "append";
  readonly path: string;
  readonly items: readonly Json[];
}

/** Leave a tombstone, one version up. */
export interface DeleteRequest extends ChangeTarget {
  readonly op: "delete";
}

/** What one changeset does to one state. */
export type ChangeRequest =
  UpdateRequest | MergeRequest | PatchRequest | AppendRequest | DeleteRequest;

/** A changeset: all of it or none, one step of one scope. */
export interface Changeset {
  readonly namespace?: string;
  /**
   * Unsaid: the scope that the states are in, all of them; a new state begins a scope of its own, so
   * that several changes with a new one among them need it said.
   */
  readonly scope?: string;
  readonly changes: readonly ChangeRequest[];
  /** Only if the scope's HEAD is at this step; 0 = only if it has none. */
  readonly expectedStep?: Step;
  /** Who writes; at most 200 characters. */
  readonly actor?: string;
  /** Why; at most 1,000 characters. */
  readonly cause?: string;
  /** The same key with the same content answers the first result; with other content it is refused. */
  readonly idempotencyKey?: string;
}

/** How long to wait, and when to stop waiting. */
export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds for the whole call. */
  readonly timeoutMs?: number;
  /** The trace that the call belongs to, as W3C Trace Context has it; unsaid: the active span's. Anything else counts as unsaid. */
  readonly traceparent?: string;
}

/** How fresh a read must be. `session` (the default): nothing older than what this session wrote or saw. */
export type Consistency = "strong" | "session" | "eventual";

/** What came in on which session: the newest versions that it wrote or saw. */
export interface SessionToken {
  readonly namespace: string;
  readonly id: string;
  readonly version: Version;
  /** The state's scope, and the step that made this version; tokens of older services have neither. */
  readonly scope?: string;
  readonly step?: Step;
}

/** How fresh a read must be that goes beyond one state. */
export interface FreshnessOptions {
  readonly consistency?: Consistency;
  /** What this session wrote or saw elsewhere: nothing older is answered. */
  readonly session?: readonly SessionToken[];
}

export interface WriteOptions extends CallOptions {
  readonly namespace?: string;
  readonly scope?: string;
  readonly phase?: string;
  readonly expectedVersion?: Version;
  readonly expectedStep?: Step;
  readonly actor?: string;
  readonly cause?: string;
  readonly idempotencyKey?: string;
  readonly expiresAt?: Date | null;
}

export interface ReadOptions extends CallOptions {
  readonly namespace?: string;
  /** As it was at this version; unsaid, as it is. */
  readonly version?: Version;
  readonly consistency?: Consistency;
  /** Nothing older than this version (a session token). */
  readonly minVersion?: Version;
}

export interface ListOptions extends CallOptions, FreshnessOptions {
  readonly namespace?: string;
  readonly type?: string;
  readonly scope?: string;
  readonly phase?: string;
  readonly idPrefix?: string;
  /** 1 to 1,000; default 100. */
  readonly limit?: number;
  readonly after?: string;
}

export interface HistoryOptions extends CallOptions, FreshnessOptions {
  readonly namespace?: string;
  /** 1 to 1,000; default 100. */
  readonly limit?: number;
  /** Only versions below this one. */
  readonly before?: Version;
}

export interface DiffOptions extends CallOptions, FreshnessOptions {
  readonly namespace?: string;
  /** Unsaid: the version before `to`. */
  readonly from?: Version;
  /** Unsaid: the current one. */
  readonly to?: Version;
}

/** What changed between two versions of a state. */
export interface Diff {
  readonly id: string;
  readonly from: Version;
  readonly to: Version;
  readonly patch: readonly PatchOperation[];
  /** One line an operation, for people. */
  readonly readable: string;
}

export interface WatchOptions {
  readonly namespace?: string;
  readonly scope?: string;
  readonly id?: string;
  readonly type?: string;
  /** Resume after this cursor; unsaid: from now on; "0": from the oldest change that is kept. */
  readonly after?: string;
  /** Whether changes carry the document; default true. */
  readonly data?: boolean;
  readonly signal?: AbortSignal;
}

export interface ScopeOptions extends CallOptions, FreshnessOptions {
  readonly namespace?: string;
}

/** Which states of a scope, and as they were when. */
export interface ScopeStatesOptions extends ScopeOptions {
  /** Unsaid: as they are. */
  readonly step?: Step;
  readonly limit?: number;
  readonly after?: string;
}
