import { numberOf, timeOf } from "./bus-event.ts";
import type { Int64, WireTimestamp } from "./bus-event.ts";

/** A container as containerd keeps it; the sandbox of a pod is one as well. */
export interface ContainerRecord {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  /** What runs it: `io.containerd.kata.v2`. */
  readonly runtime: string;
  readonly createdAt: string | null;
}

export type TaskStatus = "created" | "running" | "stopped" | "paused" | "unknown";

/** The process of a container, where there is one. */
export interface TaskRecord {
  readonly containerId: string;
  readonly status: TaskStatus;
  readonly exitStatus: number;
  readonly exitedAt: string | null;
}

/** How a container or sandbox ended that has no process any more. */
export interface PastEnd {
  /** Null: nobody knows. */
  readonly exitStatus: number | null;
  readonly exitedAt: string | null;
  readonly reason: string | null;
}

export interface WireContainer {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly runtime?: { readonly name: string } | null;
  readonly createdAt?: WireTimestamp | null;
}

export interface WireProcess {
  readonly containerId: string;
  readonly id: string;
  readonly status: number;
  readonly exitStatus: number;
  readonly exitedAt?: WireTimestamp | null;
}

export interface WireContainerStatus {
  readonly state: number;
  /** Nanoseconds. */
  readonly finishedAt: Int64;
  readonly exitCode: number;
  readonly reason: string;
}

/** A process that is about to be paused still runs. */
const STATUSES: readonly TaskStatus[] = [
  "unknown",
  "created",
  "running",
  "stopped",
  "paused",
  "running",
];
const CRI_EXITED = 2;

export function containerOf({ id, labels, runtime, createdAt }: WireContainer): ContainerRecord {
  return { id, labels, runtime: runtime?.name ?? "", createdAt: timeOf(createdAt) };
}

/** A list has the container's id in the place of the process's. */
export function taskOf(process: WireProcess): TaskRecord {
  const { containerId, id, status, exitStatus, exitedAt } = process;
  return {
    containerId: containerId === "" ? id : containerId,
    status: STATUSES[status] ?? "unknown",
    exitStatus,
    exitedAt: timeOf(exitedAt),
  };
}

/** Null: it has not ended. */
export function pastEndOf(status: WireContainerStatus): PastEnd | null {
  if (status.state !== CRI_EXITED) return null;
  const ms = Math.floor(numberOf(status.finishedAt) / 1_000_000);
  const { exitCode, reason } = status;
  return {
    exitStatus: exitCode,
    exitedAt: ms > 0 ? new Date(ms).toISOString() : null,
    reason: ["", "Completed", "Error"].includes(reason) ? null : reason,
  };
}
