import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseFact } from "../../src/state/lifecycle-fact.ts";
import { mayMove } from "../../src/state/lifecycle.ts";
import { apply } from "../../src/lifecycle/apply.ts";
import type { Pod } from "../../src/lifecycle/pod.ts";
import { standingOf } from "../../src/lifecycle/standing.ts";
import { expectOnePhase, expectOneState, podOf } from "../support/any-order.ts";
import { proofLength } from "../support/length.ts";
import { POD_STORIES, PREPARED_STOP } from "../support/pod-stories.ts";

const RUNS = proofLength({ short: 30, full: 2_000 });

describe.each(Object.entries(POD_STORIES))("%s", (_, { facts, ends, decisive }) => {
  const parsed = facts.map((fact) => parseFact(fact));

  test("ends as it should", () => {
    expect(standingOf(podOf(parsed))).toMatchObject(ends);
  });

  test("reordered and doubled, it ends in one state", () => {
    expectOneState(parsed);
  });

  test("with all facts lost but those that decide, in any order, it ends in the same phase", () => {
    expectOnePhase(parsed, (_fact, index) => decisive.includes(index));
  });

  test("on every way there, each move is legal", () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(parsed, { minLength: 1 }), (told) => {
        let pod: Pod | null = null;
        let from: string | null = null;
        for (const fact of told) {
          pod = apply(pod, fact);
          const { observed } = standingOf(pod);
          if (from !== null)
            expect([from, observed, mayMove("lifecycle", from, observed, "change")]).toEqual([
              from,
              observed,
              true,
            ]);
          from = observed;
        }
      }),
      { numRuns: RUNS },
    );
  });
});

test("a fact that tells nothing new leaves the pod as it is, the same object", () => {
  const facts = PREPARED_STOP.map((fact) => parseFact(fact));
  const pod = podOf(facts);
  for (const fact of facts) expect(apply(pod, fact)).toBe(pod);
});

test("what can grow is bounded", () => {
  const at = (n: number): string => new Date(Date.UTC(2026, 10, 26) + n).toISOString();
  const base = { source: "kata", podUid: "u", podName: "p", namespace: "n" } as const;
  let pod: Pod | null = null;
  for (let n = 0; n < 200; n++) {
    const run = { ...base, container: "main", incarnation: `run-${n}`, at: at(n) };
    pod = apply(pod, parseFact({ ...run, fact: "start" }));
    const exit = {
      ...run,
      incarnation: "run-x",
      fact: "exit",
      exitCode: n % 100,
      at: at(1_000 + n),
    };
    pod = apply(pod, parseFact(exit));
    pod = apply(pod, parseFact({ ...run, container: `c${n}`, fact: "start" }));
  }
  expect(pod!.containers.length).toBe(64);
  const main = pod!.containers.find(({ name }) => name === "main")!;
  expect(main.attempts.length).toBe(8);
  expect(JSON.stringify(pod).length).toBeLessThan(64 * 1024);
});

test("the first end that a runtime saw counts; one that differs is kept beside it", () => {
  const { facts } = POD_STORIES["an end that is told twice"]!;
  const [main] = podOf(facts.map((fact) => parseFact(fact))).containers;
  expect(main!.attempts[0]!.exit).toMatchObject({ exitCode: 3, source: "kata" });
  expect(main!.attempts[0]!.otherExits).toMatchObject([{ exitCode: 137 }]);
});
