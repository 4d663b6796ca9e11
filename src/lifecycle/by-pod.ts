import type { LifecycleFact } from "../state/lifecycle-fact.ts";

/** The facts of each pod, and of each Sandbox object, in their order. */
export function byPod(facts: readonly LifecycleFact[]): LifecycleFact[][] {
  const pods = new Map<string, LifecycleFact[]>();
  for (const fact of facts) {
    const whose = `${fact.source === "sandbox" ? "sandbox" : "pod"}:${fact.podUid}`;
    const known = pods.get(whose);
    if (known === undefined) pods.set(whose, [fact]);
    else known.push(fact);
  }
  return [...pods.values()];
}
