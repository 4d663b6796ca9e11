import type { Condition } from "../../src/reflector/pod-object.ts";
import type { SandboxObject } from "../../src/reflector/sandbox-facts.ts";
import { second } from "./pods.ts";

/** One that nobody has looked at yet; its pod is for an agent. */
export function newSandbox(name: string, uid: string, at: number): SandboxObject {
  const labels = { "agentruntime.dev/agent": `agent-${name}` };
  return {
    metadata: { uid, name, namespace: "agents", creationTimestamp: second(at) },
    spec: { operatingMode: "Running", podTemplate: { metadata: { labels } } },
  };
}

/** With this condition, as its controller would say it. */
export function saying(
  sandbox: SandboxObject,
  type: string,
  [status, reason]: readonly [status: string, reason: string],
  at: number,
): SandboxObject {
  const others = (sandbox.status?.conditions ?? []).filter((each) => each.type !== type);
  const condition: Condition = { type, status, reason, lastTransitionTime: second(at) };
  return { ...sandbox, status: { ...sandbox.status, conditions: [...others, condition] } };
}

export function wanted(sandbox: SandboxObject, operatingMode: string): SandboxObject {
  return { ...sandbox, spec: { ...sandbox.spec, operatingMode } };
}

export function ready(sandbox: SandboxObject, at: number): SandboxObject {
  return saying(sandbox, "Ready", ["True", "DependenciesReady"], at);
}

/** Suspended, and its pod is gone. */
export function suspended(sandbox: SandboxObject, at: number): SandboxObject {
  const said = saying(sandbox, "Ready", ["False", "SandboxSuspended"], at);
  return saying(said, "Suspended", ["True", "PodTerminated"], at);
}
