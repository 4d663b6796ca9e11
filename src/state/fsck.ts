import type { Page, Step, Version } from "./state.ts";
import type { CallOptions } from "./request.ts";

/** What is looked at; docs/fsck.md has a row for each. */
export const CHECK_NAMES = [
  "C1",
  "C2",
  "C3",
  "C4",
  "C5",
  "C6",
  "C7",
  "C8",
  "C9",
  "C10",
  "C11",
  "C12",
  "C14",
  "C15",
  "C16",
  "C17",
  "C20",
] as const;

/** One of the checks of docs/fsck.md. */
export type CheckName = (typeof CHECK_NAMES)[number];

/** Copies disagree; a rule is broken; work is said to go on that nobody does; work goes on that leads nowhere. */
export type FindingKind = "divergent" | "illegal" | "unlive" | "sterile";

/** Something that no legal history explains. */
export interface Finding {
  /** Its number in the books; handed back as `before` for older ones. */
  readonly no: bigint;
  readonly check: CheckName;
  readonly kind: FindingKind;
  readonly namespace: string | null;
  readonly scope: string | null;
  /** Null where it is about a scope, or about a state whose name is lost. */
  readonly id: string | null;
  readonly version: Version | null;
  readonly step: Step | null;
  /** What was found. */
  readonly detail: string;
  /** What is done about it; in the answer of a plan, what `fix: "safe"` would do. */
  readonly remedy: string;
  /** Whether `fix: "safe"` does that; null where nobody has asked yet. */
  readonly safe: boolean | null;
  readonly foundAt: Date;
  readonly seenAt: Date;
  readonly resolvedAt: Date | null;
  readonly resolution: string | null;
}

/** How one check went. A check that could not run is not a pass. */
export interface CheckStatus {
  readonly check: CheckName;
  readonly status: "passed" | "failed" | "could not run";
  /** Why it could not run. */
  readonly reason?: string;
}

/** What to check, and whether to repair. */
export interface FsckOptions extends CallOptions {
  readonly namespace?: string;
  /** Default: all scopes of all namespaces. */
  readonly scope?: string;
  /** Default: all. */
  readonly checks?: readonly CheckName[];
  /** Report what `fix: "safe"` would do, and change nothing. */
  readonly plan?: boolean;
  /** Repair what the digests prove, and nothing else. */
  readonly fix?: "safe";
}

/** What a run found. */
export interface FsckReport {
  /** States looked at. */
  readonly checked: number;
  readonly checks: readonly CheckStatus[];
  /** Open ones among what was looked at, and those that this run settled. */
  readonly findings: readonly Finding[];
}

/** Which findings to list. */
export interface FindingsOptions extends CallOptions {
  readonly namespace?: string;
  readonly scope?: string;
  /** Include settled findings. */
  readonly all?: boolean;
  /** 1 to 1,000; default 100. */
  readonly limit?: number;
  /** Only findings older than this number. */
  readonly before?: bigint;
}

/** One page of findings, newest first, and how the newest runs went. */
export interface Findings extends Page<Finding> {
  readonly runs: readonly FsckRun[];
}

/** A run of the detector in this process. */
export interface FsckRun {
  readonly what: "sweep" | "scrub" | "asked";
  readonly endedAt: Date;
  readonly checked: number;
  readonly checks: readonly CheckStatus[];
}
