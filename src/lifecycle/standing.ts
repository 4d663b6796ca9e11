import { HOOK_CONTAINER, beganAt, currentAttempt, lastOf } from "./pod.ts";
import type { Container, Exit, Pod } from "./pod.ts";

/** The phases that facts lead to. */
export type ObservedPhase =
  | "requested"
  | "pending"
  | "creating"
  | "running"
  | "paused"
  | "stopping"
  | "stopped"
  | "failed"
  | "unknown"
  | "deleted";

/** Where a pod stands, and why. */
export interface Standing {
  readonly observed: ObservedPhase;
  readonly reason: string | null;
  readonly exitCode: number | null;
  readonly signal: number | null;
  readonly ready: boolean;
  /** Which run of its main container this is about; null: none began. */
  readonly incarnation: string | null;
  /** When it ended, where it ended. */
  readonly endedAt: string | null;
}

type Status = "creating" | "running" | "paused" | "stopping" | "stopped" | "failed" | "lost";

interface Run {
  readonly status: Status;
  readonly reason: string | null;
  readonly exitCode?: number | null;
  readonly signal?: number | null;
  readonly endedAt?: string;
}

/** Clocks of nodes and of the API server differ, and the latter tells whole seconds. */
const CLOCKS_MS = 5_000;
const TERM_CODES: readonly (number | null)[] = [137, 143];
const SANDBOX_LOST = 255;

/** What all that is known of a pod comes to. */
export function standingOf(pod: Pod): Standing {
  const { observed, reason, exitCode = null, signal = null, endedAt = null } = observe(pod);
  const main = mainOf(pod);
  const attempt = main.map(currentAttempt).find((each) => each !== undefined);
  const began = attempt === undefined ? "" : beganAt(attempt);
  const readyAt = [pod.readyAt, attempt?.ready, ...main.map(({ hints }) => hints.ready)];
  const isReady = readyAt.some((at) => typeof at === "string" && lastOf(at) >= began);
  return {
    observed,
    reason,
    exitCode,
    signal,
    ready: observed === "running" && isReady,
    incarnation: attempt?.id ?? null,
    endedAt,
  };
}

type Observation = Omit<Run, "status"> & { readonly observed: ObservedPhase };

function observe(pod: Pod): Observation {
  if (pod.deleted !== null) return { ...ended(pod), observed: "deleted", endedAt: pod.deleted };
  if (pod.evicted !== null) {
    return { observed: "failed", reason: pod.evictedFor ?? "Evicted", endedAt: pod.evicted };
  }
  const runs = mainOf(pod).map((container) => runOf(pod, container));
  const whole = because(pod, together(pod, runs));
  const isLost = pod.nodeLost !== null && pod.nodeLost > (pod.seen ?? "");
  const isOver = ["stopped", "failed"].includes(whole.observed);
  return isLost && !isOver ? { observed: "unknown", reason: "NodeLost" } : whole;
}

/** One that stops, or did as it was told to, does so for the reason that was given. */
function because({ stopping, evictedFor }: Pod, whole: Observation): Observation {
  const isStop = stopping !== null && ["stopping", "stopped"].includes(whole.observed);
  return isStop && evictedFor !== null ? { ...whole, reason: evictedFor } : whole;
}

/** How it had ended before it was deleted, for people to read. */
function ended(pod: Pod): Omit<Observation, "observed"> {
  const { reason, exitCode = null, signal = null } = observe({ ...pod, deleted: null });
  return { reason, exitCode, signal };
}

function together(pod: Pod, runs: readonly Run[]): Observation {
  const live = runs.filter(({ endedAt }) => endedAt === undefined);
  if (live.length > 0) return { reason: null, observed: livePhase(pod, live), ...waiting(live) };
  if (pod.exit !== null && runs.length === 0)
    return verdictPhase(verdict(pod.exit, pod.stopping !== null));
  if (runs.length > 0) return verdictPhase(toBlame(runs));
  const sandboxEnd = lonelySandboxEnd(pod);
  const others = othersOf(pod).map((container) => runOf(pod, container));
  if (sandboxEnd !== null) {
    const failed = others.filter(({ status }) => status === "failed");
    if (failed.length > 0) return verdictPhase(toBlame(failed));
    const isWished = pod.stopping !== null;
    const reason = isWished ? "Stopped" : "Lost";
    return { observed: isWished ? "stopped" : "unknown", reason, endedAt: sandboxEnd };
  }
  const observed = earlyPhase(pod);
  if (observed === "requested") return { observed, reason: pod.waitingFor };
  return { observed, reason: null, ...(observed === "stopping" ? {} : waiting(others)) };
}

/** Of those that failed the first, for what followed may have followed from it; else the one that ended last. */
function toBlame(runs: readonly Run[]): Run {
  const byEnd = runs.toSorted((a, b) => (a.endedAt! < b.endedAt! ? -1 : 1));
  const first = (status: Status): Run | undefined => byEnd.find((run) => run.status === status);
  return first("failed") ?? first("lost") ?? byEnd.at(-1)!;
}

function livePhase(pod: Pod, live: readonly Run[]): ObservedPhase {
  if (pod.stopping !== null || live.every(({ status }) => status === "stopping")) return "stopping";
  const order = ["running", "paused", "creating", "stopping"] as const;
  return order.find((status) => live.some((run) => run.status === status)) ?? "running";
}

function waiting(live: readonly Run[]): { readonly reason?: string } {
  const reason = live.find(
    ({ status, reason: why }) => status === "creating" && why !== null,
  )?.reason;
  return typeof reason === "string" ? { reason } : {};
}

/** Before any of its containers proper began. */
function earlyPhase(pod: Pod): ObservedPhase {
  if (pod.stopping !== null) return "stopping";
  if (pod.started !== null || pod.readyAt !== null) return "running";
  if (currentAttempt(pod.sandbox) !== undefined || pod.containers.length > 0) return "creating";
  return pod.scheduled === null ? "requested" : "pending";
}

function verdictPhase(run: Run): Observation {
  const { status, ...told } = run;
  if (status === "lost") return { ...told, observed: "unknown" };
  return { ...told, observed: status === "failed" ? "failed" : "stopped" };
}

/** Those that decide. */
function mainOf({ main, proper, containers }: Pod): readonly Container[] {
  const named = containers.filter(({ name }) => name === main);
  if (named.length > 0) return named;
  return containers.filter(
    ({ name }) => name !== HOOK_CONTAINER && proper?.includes(name) !== false,
  );
}

/** Those that prepare the pod, or help it. */
function othersOf(pod: Pod): readonly Container[] {
  const main = mainOf(pod);
  return pod.containers.filter((container) => !main.includes(container));
}

/** How the newest run of a container does. */
function runOf(pod: Pod, container: Container): Run {
  const attempt = currentAttempt(container);
  const { hints } = container;
  const began = attempt === undefined ? (hints.started ?? "") : beganAt(attempt);
  const since = (at: string | null | undefined): at is string =>
    typeof at === "string" && at >= began;
  const exit = attempt?.exit ?? (since(hints.exit?.at) ? hints.exit : null);
  const isOwnStop = since(hints.stopping) && !isOfRunBefore(container, hints.stopping);
  const stoppingAt = attempt?.stopping ?? (isOwnStop ? hints.stopping : pod.stopping);
  const isOom = (attempt?.oom ?? null) !== null || since(hints.oom);
  const end = exit?.at ?? attempt?.removed ?? null;
  const next = end === null ? null : nextRun(container, end);
  if (next !== null) return next;
  if (exit !== null) return verdict(exit, isWanted(stoppingAt, exit), isOom);
  if (end !== null) return { status: "lost", reason: "Lost", endedAt: end };
  const sandboxEnd = sandboxEndAfter(pod, began);
  if (sandboxEnd !== null) {
    if (stoppingAt !== null) return { status: "stopped", reason: "Stopped", endedAt: sandboxEnd };
    return { status: "failed", reason: "SandboxLost", endedAt: sandboxEnd };
  }
  if (stoppingAt !== null) return { status: "stopping", reason: null };
  if (isPaused(pod, container, since)) return { status: "paused", reason: null };
  const startedAt = [attempt?.started, attempt?.ready, since(hints.started) ? hints.started : null]
    .filter((at) => typeof at === "string")
    .toSorted()
    .at(-1);
  // Waiting for its next run: that this one ended was not told.
  const isWaiting = hints.waitingFor !== null && later(hints.created, startedAt ?? "");
  if (startedAt !== undefined && !isWaiting) return { status: "running", reason: null };
  return { status: "creating", reason: since(hints.created) ? hints.waitingFor : null };
}

/**
 * The run after one that ended, whose id nobody told yet. A hook may be heard of after the end of the very run that it
 * tells of; so one that comes close behind it tells nothing of another.
 */
function nextRun({ hints }: Container, end: string): Run | null {
  const { created, started, waitingFor } = hints;
  if (later(created, lastOf(end)) && !later(started, created)) {
    return { status: "creating", reason: waitingFor };
  }
  return isAfter(started, end) ? { status: "running", reason: null } : null;
}

/** Whether somebody told that of the run before: it ended just then, and who told is not its runtime. */
function isOfRunBefore({ attempts }: Container, at: string): boolean {
  const before = attempts.at(-2);
  const end = before?.exit?.at ?? before?.removed ?? null;
  return end !== null && !isAfter(at, end);
}

function isAfter(at: string | null, end: string): boolean {
  return at !== null && Date.parse(at) > Date.parse(lastOf(end)) + CLOCKS_MS;
}

function isPaused(pod: Pod, container: Container, since: (at: string | null) => boolean): boolean {
  const own = currentAttempt(container);
  const { hints } = container;
  const { hints: whole } = pod.sandbox;
  const sandbox = currentAttempt(pod.sandbox);
  const all = [own, hints, sandbox, whole].filter((each) => each !== undefined);
  const last = (field: "paused" | "resumed"): string =>
    all
      .map((each) => each[field])
      .filter((at): at is string => at !== null && since(at))
      .toSorted()
      .at(-1) ?? "";
  return last("paused") > last("resumed");
}

/** When the sandbox ended, where that is after a run in it began. */
function sandboxEndAfter({ sandbox }: Pod, began: string): string | null {
  const attempt = currentAttempt(sandbox);
  const end = attempt?.exit?.at ?? attempt?.removed ?? null;
  return end !== null && end >= began ? end : null;
}

/**
 * When the sandbox of a pod ended of whose containers nobody told: they came and went unseen, or never came.
 * Another sandbox, or a word of the API server after that, and it lives.
 */
function lonelySandboxEnd(pod: Pod): string | null {
  const end = sandboxEndAfter(pod, "");
  const alive = [pod.started, pod.readyAt].filter((at) => at !== null).toSorted();
  return end !== null && end > (alive.at(-1) ?? "") ? end : null;
}

function later(at: string | null, than: string | null): boolean {
  return at !== null && at > (than ?? "");
}

/** Whether it had been told to stop before it ended. */
function isWanted(stoppingAt: string | null, exit: Exit): boolean {
  return stoppingAt !== null && Date.parse(stoppingAt) <= Date.parse(exit.at) + CLOCKS_MS;
}

function verdict(exit: Exit, wasStopping: boolean, isOom = false): Run {
  const { exitCode, at } = exit;
  const signal =
    exit.signal ?? (exitCode !== null && exitCode > 128 && exitCode < 255 ? exitCode - 128 : null);
  const told = { exitCode, signal, endedAt: at };
  if (exitCode === null) return { ...told, status: "lost", reason: exit.reason ?? "Lost" };
  // A virtual machine that was killed may tell 0 as well: what its agent did is what counts as success.
  if (exitCode === 0) return { ...told, status: "stopped", reason: exit.reason ?? "Exited" };
  if (isOom || exit.reason === "OOMKilled")
    return { ...told, status: "failed", reason: "OOMKilled" };
  if (wasStopping && TERM_CODES.includes(exitCode))
    return { ...told, status: "stopped", reason: "Stopped" };
  if (exitCode === SANDBOX_LOST) return { ...told, status: "failed", reason: "SandboxLost" };
  return { ...told, status: "failed", reason: exit.reason ?? "Error" };
}
