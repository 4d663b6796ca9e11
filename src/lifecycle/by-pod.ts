import type { LifecycleFact } from "../state/lifecycle-fact.ts";

/** The facts of each pod, in their order. */
export function byPod(facts: readonly LifecycleFact[]): LifecycleFact[][] {
  const pods = new Map<string, LifecycleFact[]>();
  for (const fact of facts) {
    const known = pods.get(fact.podUid);
    if (known === undefined) pods.set(fact.podUid, [fact]);
    else known.push(fact);
  }
  return [...pods.values()];
}
