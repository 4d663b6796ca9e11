import { definedOnly } from "../state/defined.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { parseFact } from "../state/lifecycle-fact.ts";
import type { LifecycleFact } from "../state/lifecycle-fact.ts";

/** The hooks of a container. */
export const HOOKS = ["postStart", "preStop"] as const;
export type Hook = (typeof HOOKS)[number];

/** The pod that this process is in, as the downward API tells it. */
export interface PodIdentity {
  readonly podUid: string;
  readonly podName: string;
  readonly namespace: string;
  readonly node: string | null;
  readonly labels: Readonly<Record<string, string>>;
}

const NEEDED = {
  POD_UID: "metadata.uid",
  POD_NAME: "metadata.name",
  POD_NAMESPACE: "metadata.namespace",
};
const LABELS = {
  AGENT_ID: "agentruntime.dev/agent",
  AGENT_CONTAINER: "agentruntime.dev/container",
  AGENT_WORKER: "agentruntime.dev/worker",
};

/** @throws {AgentRuntimeError} INVALID_CONFIG: what is missing, all of it. */
export function podIdentityOf(env: Readonly<Record<string, string | undefined>>): PodIdentity {
  const missing = Object.entries(NEEDED).filter(([name]) => !env[name]);
  if (missing.length > 0) {
    const list = missing.map(([name, field]) => `${name} (${field})`).join(", ");
    throw new AgentRuntimeError(
      "INVALID_CONFIG",
      `nothing says which pod this is: set ${list} from the downward API (env.valueFrom.fieldRef)`,
      { field: missing[0]![0] },
    );
  }
  const labels = Object.entries(LABELS).map(([name, label]) => [label, env[name] || undefined]);
  return {
    podUid: env["POD_UID"]!,
    podName: env["POD_NAME"]!,
    namespace: env["POD_NAMESPACE"]!,
    node: env["NODE_NAME"] || null,
    labels: definedOnly(Object.fromEntries(labels) as Record<string, string>),
  };
}

/** What a hook of a container of that pod tells. */
export function hookFact(
  pod: PodIdentity,
  { container, hook, at }: { readonly container: string; readonly hook: Hook; readonly at: number },
): LifecycleFact {
  const run = { container, incarnation: null, fact: hook, at: new Date(at).toISOString() };
  return parseFact({ source: "hook", ...pod, labels: { ...pod.labels }, ...run });
}
