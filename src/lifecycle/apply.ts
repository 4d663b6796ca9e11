import type { LifecycleFact } from "../state/lifecycle-fact.ts";
import { LABELS, beganAt, lastOf, newAttempt, newContainer, newPod } from "./pod.ts";
import type { Attempt, Container, Exit, Hints, LateFact, Pod, Times } from "./pod.ts";

const MAX_CONTAINERS = 64;
const MAX_ATTEMPTS = 8;
const MAX_OTHER_EXITS = 4;
const MAX_LATE = 16;

/** Which source is believed where two tell an end differently: the runtime that saw it, before who was told. */
const TRUST = { kata: 0, pod: 1, hook: 2, sandbox: 3 } as const;

/** What is told of a pod by those who do not see it. */
const UNSEEN: readonly LifecycleFact["fact"][] = ["preStop", "nodeLost", "deleted", "evicted"];

/** Which field of a run a fact is about. */
const FIELD = {
  create: "created",
  start: "started",
  postStart: "started",
  ready: "ready",
  paused: "paused",
  resumed: "resumed",
  preStop: "stopping",
  oom: "oom",
  delete: "removed",
} as const satisfies Partial<Record<LifecycleFact["fact"], keyof Times>>;

/** What comes and goes: the last time counts. */
const LAST: readonly (keyof Times)[] = ["paused", "resumed"];

/**
 * What is known of a pod with one more fact. The order of facts makes no difference, nor how often one comes:
 * the answer is the same object where it told nothing new.
 */
export function apply(pod: Pod | null, fact: LifecycleFact): Pod {
  const before = pod ?? newPod(fact.podUid, fact.podName, fact.namespace);
  const told = ofPod(fact) ? TELL[fact.fact](before, fact) : tellContainer(before, fact);
  const after = identify(told, fact);
  return pod !== null && JSON.stringify(after) === JSON.stringify(pod) ? pod : after;
}

/** The same, and the fact is noted among those that came late. */
export function noteLate(pod: Pod, fact: LifecycleFact): Pod {
  const { source, container, at } = fact;
  const late: LateFact = { source, container, fact: fact.fact, at };
  return { ...pod, late: [...pod.late, late].slice(-MAX_LATE) };
}

/** Whether it is about the pod as a whole, and neither about a container nor about the sandbox. */
function ofPod({ source, container, fact }: LifecycleFact): boolean {
  if (["scheduled", "evicted", "nodeLost", "deleted"].includes(fact)) return true;
  return container === null && (source !== "kata" || fact === "preStop");
}

type Tell = (pod: Pod, fact: LifecycleFact) => Pod;

const started: Tell = (pod, { at }) => ({ ...pod, started: earliest(pod.started, at) });
const ofSandbox: Tell = (pod, fact) => ({ ...pod, sandbox: hinted(pod.sandbox, fact) });

/** What each fact tells of the pod as a whole. */
const TELL: Readonly<Record<LifecycleFact["fact"], Tell>> = {
  scheduled: (pod, { at }) => ({ ...pod, scheduled: earliest(pod.scheduled, at) }),
  create: (pod, { at, reason = null }) => ({
    ...pod,
    requested: earliest(pod.requested, at),
    waitingFor: greatest(pod.waitingFor, reason),
  }),
  start: started,
  postStart: started,
  ready: (pod, { at }) => ({ ...pod, readyAt: greatest(pod.readyAt, at) }),
  // A hook without a container speaks of one that goes; the API server says that the pod is to go.
  preStop: (pod, { at, source, reason = null }) => ({
    ...pod,
    stopping: earliest(pod.stopping, at),
    evictedFor: greatest(pod.evictedFor, reason),
    desired: source === "pod" ? "deleted" : pod.desired,
  }),
  exit: (pod, fact) => ({ ...pod, exit: better(pod.exit, exitOf(fact)) }),
  evicted: (pod, { at, reason = null }) => ({
    ...pod,
    evicted: earliest(pod.evicted, at),
    evictedFor: greatest(pod.evictedFor, reason),
  }),
  nodeLost: (pod, { at }) => ({ ...pod, nodeLost: greatest(pod.nodeLost, at) }),
  deleted: (pod, { at }) => ({
    ...pod,
    deleted: earliest(pod.deleted, at),
    desired: "deleted",
  }),
  paused: ofSandbox,
  resumed: ofSandbox,
  oom: ofSandbox,
  delete: ofSandbox,
};

function tellContainer(pod: Pod, fact: LifecycleFact): Pod {
  if (fact.container === null) return { ...pod, sandbox: tellRun(pod.sandbox, fact) };
  const known = pod.containers.find(({ name }) => name === fact.container);
  if (known === undefined && pod.containers.length >= MAX_CONTAINERS) return pod;
  const told = tellRun(known ?? newContainer(fact.container), fact);
  const others = pod.containers.filter((container) => container !== known);
  const containers = [...others, told].toSorted((a, b) => compare(a.name, b.name));
  return { ...pod, containers };
}

function tellRun(container: Container, fact: LifecycleFact): Container {
  const { incarnation } = fact;
  if (incarnation === null) return hinted(container, fact);
  const known = container.attempts.find(({ id }) => id === incarnation);
  const told = tellAttempt(known ?? newAttempt(incarnation), fact);
  const attempts = [...container.attempts.filter((attempt) => attempt !== known), told];
  const inOrder = attempts.toSorted(
    (a, b) =>
      compare(beganAt(a), beganAt(b)) ||
      // In one second, as the API server tells it, one ended and the next one began.
      Number(a.exit === null) - Number(b.exit === null) ||
      compare(a.id, b.id),
  );
  return { ...container, attempts: inOrder.slice(-MAX_ATTEMPTS) };
}

function tellAttempt(attempt: Attempt, fact: LifecycleFact): Attempt {
  if (fact.fact === "exit") return withExit(attempt, exitOf(fact));
  const field = fieldOf(fact);
  if (field === null) return attempt;
  const merge = LAST.includes(field) ? greatest : earliest;
  return { ...attempt, [field]: merge(attempt[field], fact.at) };
}

function withExit(attempt: Attempt, exit: Exit): Attempt {
  const known = attempt.exit === null ? [] : [attempt.exit, ...attempt.otherExits];
  const all = [...known, exit].toSorted(compareExits);
  const distinct = all.filter(
    (each, index) => index === 0 || compareExits(each, all[index - 1]!) !== 0,
  );
  const [first, ...others] = distinct;
  // The same end in other words is no disagreement.
  const differ = others.filter(({ exitCode }) => exitCode !== first!.exitCode);
  return { ...attempt, exit: first!, otherExits: differ.slice(0, MAX_OTHER_EXITS) };
}

/** Of every kind the last one that came without the id of a run. */
function hinted(container: Container, fact: LifecycleFact): Container {
  const { hints } = container;
  return { ...container, hints: tellHints(hints, fact) };
}

function tellHints(hints: Hints, fact: LifecycleFact): Hints {
  const { at, reason = null } = fact;
  if (fact.fact === "exit") {
    const exit = exitOf(fact);
    const isNewer = hints.exit === null || exit.at > hints.exit.at;
    if (isNewer) return { ...hints, exit };
    return exit.at === hints.exit.at ? { ...hints, exit: better(hints.exit, exit) } : hints;
  }
  const field = fieldOf(fact);
  if (field === null) return hints;
  const last = greatest(hints[field], at);
  if (field !== "created") return { ...hints, [field]: last };
  const isOlder = at < last;
  const isSame = at === hints.created;
  const waitingFor = isSame ? greatest(hints.waitingFor, reason) : reason;
  return { ...hints, created: last, ...(isOlder ? {} : { waitingFor }) };
}

function fieldOf({ fact }: LifecycleFact): keyof Times | null {
  return Object.hasOwn(FIELD, fact) ? FIELD[fact as keyof typeof FIELD] : null;
}

function exitOf({ at, source, exitCode, signal, reason }: LifecycleFact): Exit {
  const told = { exitCode: exitCode ?? null, signal: signal ?? null, reason: reason ?? null };
  return { at, source, ...told };
}

/** Of two ends of the same run, the one that counts. */
function better(known: Exit | null, exit: Exit): Exit {
  return known === null || compareExits(exit, known) < 0 ? exit : known;
}

/** One that says how it ended comes first, then who saw it himself, then the earlier one. */
function compareExits(a: Exit, b: Exit): number {
  return (
    Number(a.exitCode === null) - Number(b.exitCode === null) ||
    TRUST[a.source] - TRUST[b.source] ||
    compare(a.at, b.at) ||
    (a.exitCode ?? 0) - (b.exitCode ?? 0) ||
    (a.signal ?? 0) - (b.signal ?? 0) ||
    compare(a.reason ?? "", b.reason ?? "")
  );
}

/** Where it is, what it is for, and that somebody saw it. */
function identify(pod: Pod, fact: LifecycleFact): Pod {
  const { labels, node, source, at } = fact;
  const isSeen = source !== "hook" && !UNSEEN.includes(fact.fact);
  return {
    ...pod,
    node: pod.node ?? node,
    agent: pod.agent ?? labels[LABELS.agent] ?? null,
    worker: pod.worker ?? labels[LABELS.worker] ?? null,
    main: pod.main ?? labels[LABELS.container] ?? null,
    proper: pod.proper ?? (source === "pod" ? (labels[LABELS.proper]?.split(",") ?? null) : null),
    seen: isSeen ? greatest(pod.seen, at) : pod.seen,
  };
}

/** Of a time in whole seconds and a finer one of that second the finer one. */
function earliest(known: string | null, at: string): string {
  if (known === null) return at;
  const order = compare(lastOf(at), lastOf(known)) || compare(at, known);
  return order < 0 ? at : known;
}

function greatest(known: string | null, value: string): string;
function greatest(known: string | null, value: string | null): string | null;
function greatest(known: string | null, value: string | null): string | null {
  if (known === null || value === null) return known ?? value;
  return value > known ? value : known;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
