import type { Desired, Fact, FactSource } from "../state/lifecycle-fact.ts";

/** How one run of a container ended, as one source told it. */
export interface Exit {
  readonly at: string;
  readonly source: FactSource;
  readonly exitCode: number | null;
  readonly signal: number | null;
  readonly reason: string | null;
}

/**
 * When what happened, ISO 8601; of what happens once the first time that anybody told, of what comes and goes
 * the last. Null: nobody told.
 */
export interface Times {
  readonly created: string | null;
  readonly started: string | null;
  readonly ready: string | null;
  readonly paused: string | null;
  readonly resumed: string | null;
  readonly stopping: string | null;
  readonly oom: string | null;
  readonly removed: string | null;
}

/** One run of a container, or of the sandbox that its containers are in. */
export interface Attempt extends Times {
  readonly id: string;
  /** The one that counts; the others told something else, and are kept to be looked at. */
  readonly exit: Exit | null;
  readonly otherExits: readonly Exit[];
}

/** What sources told that do not know the id of a run: it is about the run of that time. Each the last of its kind. */
export interface Hints extends Times {
  readonly exit: Exit | null;
  /** Why its next run does not begin: `ImagePullBackOff`, `CrashLoopBackOff`. */
  readonly waitingFor: string | null;
}

export interface Container {
  readonly name: string;
  /** The oldest first; the newest eight are kept. */
  readonly attempts: readonly Attempt[];
  readonly hints: Hints;
}

/** A fact that came after what it tells of had gone on. */
export interface LateFact {
  readonly source: FactSource;
  readonly container: string | null;
  readonly fact: Fact;
  readonly at: string;
}

/** All that facts told of a pod; its phase follows from nothing else. */
export interface Pod {
  readonly podUid: string;
  readonly podName: string;
  readonly namespace: string;
  readonly node: string | null;
  /** The agent it runs, by its labels. */
  readonly agent: string | null;
  /** The worker whose leases end with it, by its labels. */
  readonly worker: string | null;
  /** The container that decides, by its labels; null: all of them. */
  readonly main: string | null;
  /**
   * The names of its containers proper, as its specification has them: none of those that prepare it or help it. Null: nobody
   * told.
   */
  readonly proper: readonly string[] | null;
  readonly desired: Desired;
  readonly requested: string | null;
  readonly scheduled: string | null;
  readonly started: string | null;
  readonly readyAt: string | null;
  readonly stopping: string | null;
  readonly evicted: string | null;
  readonly evictedFor: string | null;
  readonly nodeLost: string | null;
  readonly deleted: string | null;
  readonly exit: Exit | null;
  /** The last time that somebody saw it alive. */
  readonly seen: string | null;
  /** Why it is not going on, where a source said so: `Unschedulable`. */
  readonly waitingFor: string | null;
  readonly sandbox: Container;
  /** By name. */
  readonly containers: readonly Container[];
  readonly late: readonly LateFact[];
}

/** Labels, or annotations, of a pod that say what it is for. */
export const LABELS = {
  agent: "agentruntime.dev/agent",
  worker: "agentruntime.dev/worker",
  container: "agentruntime.dev/container",
  /** Of the API server's facts: the names of its containers proper, with commas between them. */
  proper: "agentruntime.dev/containers",
} as const;

/** The container that answers hooks; its own life decides nothing. */
export const HOOK_CONTAINER = "agentruntime-hook";

const NO_TIMES: Times = {
  created: null,
  started: null,
  ready: null,
  paused: null,
  resumed: null,
  stopping: null,
  oom: null,
  removed: null,
};

export function newAttempt(id: string): Attempt {
  return { id, ...NO_TIMES, exit: null, otherExits: [] };
}

export function newContainer(name: string): Container {
  return { name, attempts: [], hints: { ...NO_TIMES, exit: null, waitingFor: null } };
}

export function newPod(podUid: string, podName: string, namespace: string): Pod {
  return {
    podUid,
    podName,
    namespace,
    node: null,
    agent: null,
    worker: null,
    main: null,
    proper: null,
    desired: "running",
    requested: null,
    scheduled: null,
    started: null,
    readyAt: null,
    stopping: null,
    evicted: null,
    evictedFor: null,
    nodeLost: null,
    deleted: null,
    exit: null,
    seen: null,
    waitingFor: null,
    sandbox: newContainer(""),
    containers: [],
    late: [],
  };
}

/** The API server tells whole seconds: the last moment that such a time may stand for. */
export function lastOf(at: string): string {
  return at.replace(/\.000Z$/, ".999Z");
}

/** When a run began, as far as anybody told. */
export function beganAt(attempt: Attempt): string {
  const { created, started, ready, stopping, oom, removed, paused, resumed, exit } = attempt;
  const times = [created, started, ready, stopping, oom, paused, resumed, removed, exit?.at];
  return times.filter((at) => typeof at === "string").toSorted()[0] ?? "";
}

/** The run that is, or was the last. */
export function currentAttempt({ attempts }: Container): Attempt | undefined {
  return attempts.at(-1);
}
