import fc from "fast-check";
import { expect } from "vitest";
import { apply } from "../../src/lifecycle/apply.ts";
import type { Pod } from "../../src/lifecycle/pod.ts";
import { standingOf } from "../../src/lifecycle/standing.ts";
import type { Standing } from "../../src/lifecycle/standing.ts";
import type { LifecycleFact } from "../../src/state/lifecycle-fact.ts";
import { proofLength } from "./length.ts";

const RUNS = proofLength({ short: 30, full: 2_000 });

/** What these facts of one pod, told in this order, come to. */
export function podOf(facts: readonly LifecycleFact[]): Pod {
  return facts.reduce<Pod | null>(apply, null)!;
}

/** Reordered, and some told twice, facts of one pod end in one state. */
export function expectOneState(facts: readonly LifecycleFact[]): Pod {
  const whole = podOf(facts);
  const any = fc
    .tuple(fc.shuffledSubarray([...facts], { minLength: facts.length }), fc.subarray([...facts]))
    .chain(([all, twice]) =>
      fc.shuffledSubarray([...all, ...twice], { minLength: all.length + twice.length }),
    );
  fc.assert(
    fc.property(any, (told) => {
      expect(podOf(told)).toEqual(whole);
    }),
    { numRuns: RUNS },
  );
  return whole;
}

/** Whatever is lost but those that decide, and in any order, facts of one pod end in one phase. */
export function expectOnePhase(
  facts: readonly LifecycleFact[],
  isDecisive: (fact: LifecycleFact, index: number) => boolean,
): Standing {
  const whole = standingOf(podOf(facts));
  const must = facts.filter(isDecisive);
  const any = fc
    .subarray([...facts])
    .chain((kept) =>
      fc.shuffledSubarray([...new Set([...must, ...kept])], { minLength: must.length }),
    )
    .filter((told) => must.every((fact) => told.includes(fact)));
  fc.assert(
    fc.property(any, (told) => {
      expect(standingOf(podOf(told)).observed).toBe(whole.observed);
    }),
    { numRuns: RUNS },
  );
  return whole;
}
