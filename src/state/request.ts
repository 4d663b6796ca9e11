import type { Json } from "./json.ts";
import type { PatchOperation, Step, Version } from "./state.ts";

interface ChangeTarget {
  readonly id: string;
  /** Only at this version; 0 = only if it does not exist (or was deleted). */
  readonly expectedVersion?: Version;
  /** The phase it enters; default: the one it has, or for a new state its lifecycle's first. */
  readonly phase?: string;
}

/** Create a state, or replace its document. */
export interface UpdateRequest extends ChangeTarget {
  readonly op: "update";
  readonly type: string;
  readonly data: Json;
  /** When the state deletes itself; null removes an earlier expiry; left out, it is kept. */
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
   * Default: the scope that all the states are in. A new state would start a scope of its own, so a
   * changeset with several states, one of them new, must name the scope.
   */
  readonly scope?: string;
  readonly changes: readonly ChangeRequest[];
  /** Only if the scope's HEAD is at this step; 0 = only if it has none. */
  readonly expectedStep?: Step;
  /** Who writes; at most 200 characters. */
  readonly actor?: string;
  /** Why; at most 1,000 characters. */
  readonly cause?: string;
  /** The same key with the same content returns the first result; with other content it is refused. */
  readonly idempotencyKey?: string;
}

/** How long to wait, and when to stop waiting. */
export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds for the whole call. */
  readonly timeoutMs?: number;
  /** The trace that the call belongs to (W3C Trace Context); default, also for an invalid value: the active span's. */
  readonly traceparent?: string;
}

/** How fresh a read must be. `session` (the default): nothing older than what this session wrote or saw. */
export type Consistency = "strong" | "session" | "eventual";

/** One version that a session wrote or saw. */
export interface SessionToken {
  readonly namespace: string;
  readonly id: string;
  readonly version: Version;
  /** The state's scope, and the step that made this version; tokens of older services have neither. */
  readonly scope?: string;
  readonly step?: Step;
}

/** How fresh a read of more than one state must be. */
export interface FreshnessOptions {
  readonly consistency?: Consistency;
  /** What this session wrote or saw elsewhere: nothing older is returned. */
  readonly session?: readonly SessionToken[];
}

/** Conditions and metadata of a write to one state; see Changeset for their meaning. */
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

/** Which version of a state to read, and how fresh. */
export interface ReadOptions extends CallOptions {
  readonly namespace?: string;
  /** As it was at this version; default: the current one. */
  readonly version?: Version;
  readonly consistency?: Consistency;
  /** Nothing older than this version (a session token). */
  readonly minVersion?: Version;
}

/** Which states to list. */
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

/** Which part of a state's history to read. */
export interface HistoryOptions extends CallOptions, FreshnessOptions {
  readonly namespace?: string;
  /** 1 to 1,000; default 100. */
  readonly limit?: number;
  /** Only versions below this one. */
  readonly before?: Version;
}

/** Which two versions to compare. */
export interface DiffOptions extends CallOptions, FreshnessOptions {
  readonly namespace?: string;
  /** Default: the version before `to`. */
  readonly from?: Version;
  /** Default: the current version. */
  readonly to?: Version;
}

/** What changed between two versions of a state. */
export interface Diff {
  readonly id: string;
  readonly from: Version;
  readonly to: Version;
  readonly patch: readonly PatchOperation[];
  /** One line per operation, for people. */
  readonly readable: string;
}

/** Which changes to watch, and from where. */
export interface WatchOptions {
  readonly namespace?: string;
  readonly scope?: string;
  readonly id?: string;
  readonly type?: string;
  /** Resume after this cursor; default: from now on; "0": from the oldest change that is kept. */
  readonly after?: string;
  /** Whether changes include the document; default true. */
  readonly data?: boolean;
  readonly signal?: AbortSignal;
}

export interface ScopeOptions extends CallOptions, FreshnessOptions {
  readonly namespace?: string;
}

/** Which states of a scope to read, and as of which step. */
export interface ScopeStatesOptions extends ScopeOptions {
  /** Default: HEAD. */
  readonly step?: Step;
  readonly limit?: number;
  readonly after?: string;
}
