import type { Json, JsonObject } from "../state/json.ts";
import { phasePath } from "../state/phase-path.ts";
import { beganAt, currentAttempt } from "./pod.ts";
import type { Pod } from "./pod.ts";
import { standingOfSandbox } from "./sandbox.ts";
import type { Sandbox } from "./sandbox.ts";
import { standingOf } from "./standing.ts";
import type { Standing } from "./standing.ts";

/** What an agent's state says of the pod that it runs in. */
interface AgentPod {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly node: string | null;
  readonly incarnation: string | null;
  readonly phase: string;
  /** When it was first heard of: of two pods the later one is the agent's. */
  readonly since: string;
}

/** An agent's state, or what of it matters here. */
export interface KnownAgent {
  readonly phase: string;
  readonly data: JsonObject;
}

/** What becomes of an agent's state. */
export interface AgentMove {
  /** One after the other; none: it stays in its own. */
  readonly phases: readonly string[];
  /** RFC 7396. */
  readonly patch: JsonObject;
}

/** What its pod makes of an agent; null: nothing. An agent that is not known yet is `registered`. */
export function moveOf(agent: KnownAgent | null, pod: Pod, standing: Standing): AgentMove | null {
  const before = agent === null ? null : podIn(agent.data);
  const now = agentPod(pod, standing);
  // Another pod has it by now.
  if (before !== null && before.uid !== now.uid && before.since > now.since) return null;
  const wasStopped = now.phase === "deleted" && STOPS.includes(endOf(pod));
  const phases = phasesOf(agent?.phase ?? "registered", { before, now, wasStopped });
  const isSame = before !== null && JSON.stringify(sorted(before)) === JSON.stringify(sorted(now));
  if (isSame && phases.length === 0) return null;
  return { phases, patch: { pod: { ...now } } };
}

/**
 * What an agent's document says of the Sandbox object that it is for; null: what it says already. Of two of them the one
 * that was made later is the agent's. One that is gone makes no agent.
 */
export function sandboxPatch(agent: KnownAgent | null, sandbox: Sandbox): JsonObject | null {
  const { observed, ...standing } = standingOfSandbox(sandbox);
  if (agent === null && observed === "deleted") return null;
  const { uid, name, namespace, requested, at } = sandbox;
  const own = { uid, name, namespace, pod: sandbox.pod, since: requested ?? at };
  const now = { ...own, ...standing, phase: observed };
  const before = agent === null ? undefined : agent.data["sandbox"];
  const { uid: other, since = "" } = (before ?? {}) as Partial<Record<"uid" | "since", Json>>;
  const isOthers = typeof other === "string" && other !== uid;
  if (isOthers && typeof since === "string" && since > now.since) return null;
  const isSame = JSON.stringify(sorted(before ?? null)) === JSON.stringify(sorted(now));
  return isSame ? null : { sandbox: now };
}

type PodPhase = Standing["observed"];

/** From which phases a pod's phase leads an agent where. */
const LEADS: Readonly<Record<PodPhase, readonly [from: readonly string[], to: string]>> = {
  requested: [["registered", "failed", "stopped"], "starting"],
  pending: [["registered", "failed", "stopped"], "starting"],
  creating: [["registered", "failed", "stopped"], "starting"],
  running: [["registered", "starting", "stopped", "unreachable"], "idle"],
  paused: [["idle", "busy"], "paused"],
  stopping: [["registered", "starting", "idle", "busy", "paused"], "draining"],
  stopped: [
    ["registered", "starting", "idle", "busy", "paused", "unreachable", "draining"],
    "stopped",
  ],
  failed: [
    ["registered", "starting", "idle", "busy", "paused", "unreachable", "draining"],
    "failed",
  ],
  unknown: [["idle", "busy"], "unreachable"],
  deleted: [["starting", "idle", "busy", "paused", "unreachable"], "failed"],
};

/** How a pod that is deleted was before that: one that was to stop has not failed. */
function endOf(pod: Pod): PodPhase {
  return standingOf({ ...pod, deleted: null }).observed;
}

const STOPS: readonly PodPhase[] = ["stopping", "stopped"];

interface Turn {
  readonly before: AgentPod | null;
  readonly now: AgentPod;
  readonly wasStopped: boolean;
}

function phasesOf(phase: string, { before, now, wasStopped }: Turn): readonly string[] {
  const isNext = before !== null && isNextRun(before, now);
  const isLiving = ["requested", "pending", "creating", "running", "paused"].includes(now.phase);
  // What it was in is gone, and nobody told so: it failed, and begins anew.
  if (isNext && isLiving && phase !== "registered" && phase !== "stopped") {
    const begins = now.phase === "running" || now.phase === "paused" ? "idle" : "starting";
    return [...path(phase, "failed"), ...path("failed", begins)];
  }
  if (now.phase === "running" && phase === "paused" && before?.phase === "paused") return ["idle"];
  if (now.phase === "deleted" && phase === "draining") return ["stopped"];
  const [from, to] = LEADS[now.phase as PodPhase];
  return from.includes(phase) ? path(phase, wasStopped ? "stopped" : to) : [];
}

function isNextRun(before: AgentPod, now: AgentPod): boolean {
  if (before.uid !== now.uid) return true;
  return before.incarnation !== null && before.incarnation !== now.incarnation;
}

function path(from: string, to: string): readonly string[] {
  // It is busy where a task of it is worked on, and only then.
  return phasePath("agent", { from, to, avoid: ["busy"] }) ?? [];
}

function agentPod(pod: Pod, { incarnation, observed }: Standing): AgentPod {
  const { podUid: uid, podName: name, namespace, node } = pod;
  return { uid, name, namespace, node, incarnation, phase: observed, since: sinceOf(pod) };
}

function sinceOf(pod: Pod): string {
  const runs = [pod.sandbox, ...pod.containers].map(currentAttempt);
  const began = runs.flatMap((attempt) => (attempt === undefined ? [] : [beganAt(attempt)]));
  const own = [pod.requested, pod.scheduled, pod.started, pod.seen, pod.deleted, pod.nodeLost];
  const times = [...own.filter((at) => at !== null), ...began];
  return times.toSorted()[0] ?? "";
}

function podIn(data: JsonObject): AgentPod | null {
  const given = data["pod"];
  if (typeof given !== "object" || given === null || Array.isArray(given)) return null;
  const { uid, since, phase, incarnation } = given as JsonObject;
  const isWhole = [uid, since, phase].every((each) => typeof each === "string");
  if (!isWhole || !["string", "object"].includes(typeof incarnation)) return null;
  return given as unknown as AgentPod;
}

function sorted(told: object | Json): readonly (readonly [string, unknown])[] {
  return Object.entries(told ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
}
