import type { Desired, Fact, LifecycleFact } from "../state/lifecycle-fact.ts";
import type { Json, JsonObject } from "../state/json.ts";
import { isLike } from "./pod-json.ts";
import { LABELS } from "./pod.ts";
import type { ObservedPhase } from "./standing.ts";

/** One form of a Sandbox object, as it was read. */
interface Form {
  /** Its `resourceVersion`: of two forms the one with the greater number is the later. Empty: none was read. */
  readonly version: string;
  readonly at: string;
  readonly fact: Fact;
  readonly why: string | null;
  readonly wish: Desired;
  readonly node: string | null;
  /** The name of its pod. */
  readonly pod: string;
}

/** All that facts told of a Sandbox object; where it stands follows from nothing else. */
export interface Sandbox extends Form {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  /** The agent it is for, by its labels. */
  readonly agent: string | null;
  readonly requested: string | null;
  readonly deleted: string | null;
  /** Whether its controller ever said anything of it. */
  readonly begun: boolean;
  /** Forms that were told after a later one. */
  readonly late: readonly Pick<Form, "version" | "fact" | "at">[];
}

/** Where a Sandbox object stands: what is wanted of it, and what its controller says that it is. */
export interface SandboxStanding {
  readonly desired: Desired;
  readonly observed: ObservedPhase;
  readonly reason: string | null;
  readonly ready: boolean;
}

const MAX_LATE = 16;
/** The name of the pod, where it is not that of the Sandbox: one that was made before it. */
const POD_NAME = "agents.x-k8s.io/pod-name";

const PHASE: Readonly<Partial<Record<Fact, ObservedPhase>>> = {
  start: "creating",
  ready: "running",
  paused: "paused",
  preStop: "stopping",
};

/**
 * What is known of a Sandbox object with one more fact. The latest form counts, whatever order they come in; the
 * answer is the same object where the fact told nothing new.
 */
export function applyToSandbox(sandbox: Sandbox | null, fact: LifecycleFact): Sandbox {
  const before = sandbox ?? newSandbox(fact);
  const named = { ...before, agent: before.agent ?? fact.labels[LABELS.agent] ?? null };
  const after = tell(named, fact);
  return sandbox !== null && JSON.stringify(after) === JSON.stringify(sandbox) ? sandbox : after;
}

/** What all that is known of a Sandbox object comes to. */
export function standingOfSandbox(sandbox: Sandbox): SandboxStanding {
  const { fact, why: reason, wish: desired, deleted } = sandbox;
  if (deleted !== null) return { desired: "deleted", observed: "deleted", reason, ready: false };
  return { desired, observed: observedOf(sandbox), reason, ready: fact === "ready" };
}

/** Its document. */
export function sandboxJson(sandbox: Sandbox): JsonObject {
  return structuredClone({ ...sandbox, ...standingOfSandbox(sandbox) });
}

/** What such a document says; null where somebody made something else of it. */
export function sandboxOf(data: Json, fact: LifecycleFact): Sandbox | null {
  const like = newSandbox(fact);
  if (!isLike(data, like)) return null;
  const given = data as JsonObject;
  const told = Object.fromEntries(Object.keys(like).map((field) => [field, given[field] ?? null]));
  return told["uid"] === like.uid ? (told as unknown as Sandbox) : null;
}

function newSandbox({ podUid, podName, namespace, at }: LifecycleFact): Sandbox {
  const form = { version: "", at, fact: "create", why: null, node: null, pod: podName } as const;
  const own = { uid: podUid, name: podName, namespace, agent: null };
  const ever = { requested: null, deleted: null, begun: false, late: [] };
  return { ...own, ...form, wish: "running", ...ever };
}

function tell(sandbox: Sandbox, fact: LifecycleFact): Sandbox {
  const { at, incarnation } = fact;
  // Until a form is read it is as old as the first that was told of it, whatever came first.
  const since = sandbox.version === "" ? earliest(sandbox.at, at) : sandbox.at;
  if (fact.fact === "deleted") {
    return { ...sandbox, at: since, deleted: earliest(sandbox.deleted, at) };
  }
  if (fact.fact === "create" && incarnation === null) {
    return { ...sandbox, at: since, requested: earliest(sandbox.requested, at) };
  }
  const form = formOf(fact);
  const begun = sandbox.begun || form.fact !== "create";
  const order = compareForms(form, sandbox);
  if (order === 0) return { ...sandbox, begun };
  return order > 0 ? { ...sandbox, ...form, begun } : { ...withLate(sandbox, form), begun };
}

function formOf({
  incarnation,
  at,
  fact,
  reason,
  desired,
  node,
  labels,
  podName,
}: LifecycleFact): Form {
  const told = { why: reason ?? null, wish: desired ?? "running" } as const;
  return { version: incarnation ?? "-", at, fact, ...told, node, pod: labels[POD_NAME] ?? podName };
}

function withLate(sandbox: Sandbox, { version, fact, at }: Form): Sandbox {
  const isNoted = sandbox.late.some((each) => each.version === version && each.fact === fact);
  if (isNoted) return sandbox;
  return { ...sandbox, late: [...sandbox.late, { version, fact, at }].slice(-MAX_LATE) };
}

/** A Sandbox never goes back to being only asked for. */
function observedOf({ fact, why, begun }: Pick<Sandbox, "fact" | "why" | "begun">): ObservedPhase {
  if (fact === "exit") return why === "PodFailed" ? "failed" : "stopped";
  return PHASE[fact] ?? (begun ? "creating" : "requested");
}

/** Those of one object are numbers that only grow; everything else is there so that any two have an order. */
function compareForms(a: Form, b: Form): number {
  const [left, right] = [a, b].map(({ version }) => numberOf(version)) as [bigint, bigint];
  if (left !== right) return left > right ? 1 : -1;
  return compare(textOf(a), textOf(b));
}

function numberOf(version: string): bigint {
  if (version === "") return -2n;
  return /^\d{1,40}$/.test(version) ? BigInt(version) : -1n;
}

function textOf({ at, version, fact, why, wish, node, pod }: Form): string {
  return JSON.stringify([at, version, fact, why, wish, node, pod]);
}

function earliest(known: string | null, at: string): string {
  return known === null || at < known ? at : known;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
