import type { ContainerState, ObjectMetadata, PodObject } from "../../src/reflector/pod-object.ts";

const BEGIN = Date.parse("2026-01-01T00:00:00Z");

/** Whole seconds, as the API server tells them. */
export function second(n: number): string {
  return new Date(BEGIN + n * 1000).toISOString().replace(".000Z", "Z");
}

export function newPod(name: string, uid: string, at: number): PodObject {
  const labels = { "agentruntime.dev/agent": `agent-${name}` };
  const metadata = { uid, name, namespace: "agents", creationTimestamp: second(at), labels };
  return { metadata, status: { phase: "Pending" } };
}

export function scheduled(pod: PodObject, at: number): PodObject {
  const conditions = [{ type: "PodScheduled", status: "True", lastTransitionTime: second(at) }];
  return { ...pod, spec: { nodeName: "node-1" }, status: { ...pod.status, conditions } };
}

/** Its container in that state, and the run before it as the state before it. */
export function inState(
  pod: PodObject,
  state: ContainerState,
  { run = 1, phase = "Running" } = {},
): PodObject {
  const before = pod.status?.containerStatuses?.[0];
  const lastState =
    before?.state?.terminated === undefined ? (before?.lastState ?? {}) : before.state;
  const containerStatuses = [{ name: "main", state, lastState, containerID: idOf(run) }];
  return { ...pod, status: { ...pod.status, phase, containerStatuses } };
}

export function terminated(
  exitCode: number,
  {
    run = 1,
    from,
    to,
    reason,
  }: {
    readonly run?: number;
    readonly from: number;
    readonly to: number;
    readonly reason?: string;
  },
): ContainerState {
  const why = reason ?? (exitCode === 0 ? "Completed" : "Error");
  const [startedAt, finishedAt] = [second(from), second(to)];
  return { terminated: { exitCode, reason: why, startedAt, finishedAt, containerID: idOf(run) } };
}

export function withCondition(
  pod: PodObject,
  type: string,
  at: number,
  { reason = "", status = "True" } = {},
): PodObject {
  const others = (pod.status?.conditions ?? []).filter((condition) => condition.type !== type);
  const condition = { type, status, reason, lastTransitionTime: second(at) };
  return { ...pod, status: { ...pod.status, conditions: [...others, condition] } };
}

/** Somebody said at that time that it is ready, as the API server notes it. */
export function saidReady(pod: PodObject, at: number): PodObject {
  const fields = { "f:conditions": { 'k:{"type":"Ready"}': { "f:status": {} } } };
  return withMetadata(pod, {
    managedFields: [{ time: second(0) }, { time: second(at), fieldsV1: { "f:status": fields } }],
  });
}

export function withMetadata(pod: PodObject, metadata: Partial<ObjectMetadata>): PodObject {
  return { ...pod, metadata: { ...pod.metadata, ...metadata } };
}

function idOf(run: number): string {
  return `containerd://run-${run}`;
}
