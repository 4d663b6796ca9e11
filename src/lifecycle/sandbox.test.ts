import fc from "fast-check";
import { expect, test } from "vitest";
import type { Json, JsonObject } from "../state/json.ts";
import { parseFact } from "../state/lifecycle-fact.ts";
import type { LifecycleFact } from "../state/lifecycle-fact.ts";
import { mayMove } from "../state/lifecycle.ts";
import { sandboxPatch } from "./follow-agent.ts";
import { applyToSandbox, sandboxJson, sandboxOf, standingOfSandbox } from "./sandbox.ts";
import type { Sandbox, SandboxStanding } from "./sandbox.ts";

const MADE = Date.parse("2026-11-26T10:00:00Z");

/** The form of a Sandbox object with that number, read so many seconds after it was made. */
function tell(
  fact: string,
  version: number | null,
  told: { readonly [field: string]: Json; readonly seconds?: number } = {},
): LifecycleFact {
  const { seconds = version ?? 0, ...more } = told;
  return parseFact({
    source: "sandbox",
    podUid: "uid-1",
    podName: "alice-box",
    namespace: "agents",
    fact,
    at: new Date(MADE + seconds * 1000).toISOString(),
    ...(version === null ? {} : { incarnation: String(version) }),
    labels: { "agentruntime.dev/agent": "alice" },
    ...more,
  });
}

function sandboxFrom(facts: readonly LifecycleFact[]): Sandbox {
  return facts.reduce<Sandbox | null>(applyToSandbox, null)!;
}

/** Everything that must not depend on the order in which it came. */
function settled(sandbox: Sandbox): object {
  const { late: _, ...others } = sandbox;
  return { ...others, ...standingOfSandbox(sandbox) };
}

const MADE_FACT = tell("create", null);
// Numbers, and not words: 9 comes before 10.
const LIFE: readonly LifecycleFact[] = [
  MADE_FACT,
  tell("create", 2, { desired: "running" }),
  tell("start", 5, { desired: "running", reason: "DependenciesNotReady" }),
  tell("ready", 8, { desired: "running", node: "node-1" }),
  tell("ready", 9, { desired: "paused", node: "node-1" }),
  tell("preStop", 10, { desired: "paused", reason: "PodTerminating", seconds: 10 }),
  tell("paused", 11, { desired: "paused", reason: "PodTerminated", seconds: 10 }),
  tell("paused", 100, { desired: "running", reason: "PodTerminated", seconds: 10 }),
  tell("start", 101, { desired: "running", reason: "DependenciesNotReady", seconds: 10 }),
  tell("exit", 102, { desired: "running", reason: "PodFailed" }),
  tell("preStop", 103, { desired: "deleted" }),
];

test.each<readonly [number, SandboxStanding]>([
  [2, { desired: "running", observed: "requested", reason: null, ready: false }],
  [3, { desired: "running", observed: "creating", reason: "DependenciesNotReady", ready: false }],
  [4, { desired: "running", observed: "running", reason: null, ready: true }],
  // What is wanted, and what is.
  [5, { desired: "paused", observed: "running", reason: null, ready: true }],
  [6, { desired: "paused", observed: "stopping", reason: "PodTerminating", ready: false }],
  [7, { desired: "paused", observed: "paused", reason: "PodTerminated", ready: false }],
  [8, { desired: "running", observed: "paused", reason: "PodTerminated", ready: false }],
  [9, { desired: "running", observed: "creating", reason: "DependenciesNotReady", ready: false }],
  [10, { desired: "running", observed: "failed", reason: "PodFailed", ready: false }],
  [11, { desired: "deleted", observed: "stopping", reason: null, ready: false }],
])("the first %i facts of its life come to where it stands", (count, standing) => {
  expect(standingOfSandbox(sandboxFrom(LIFE.slice(0, count)))).toEqual(standing);
});

test("one that is gone stays gone, and is wanted no more", () => {
  const gone = [...LIFE.slice(0, 4), tell("deleted", null, { seconds: 20 }), LIFE[4]!];
  expect(standingOfSandbox(sandboxFrom(gone))).toMatchObject({
    observed: "deleted",
    desired: "deleted",
    ready: false,
  });
});

test("reordered and doubled, facts end in one state, and each move there is legal", () => {
  const all = [...LIFE, tell("deleted", null, { seconds: 20 })];
  // Only what is told without a form: that it was asked for, and that it is gone.
  const withoutForm = [all[0]!, all.at(-1)!];
  const some = fc
    .subarray(all, { minLength: 1 })
    .chain((kept) =>
      fc.tuple(fc.constant(kept), fc.shuffledSubarray([...kept, ...kept], { minLength: 1 })),
    )
    .filter(([kept, told]) => kept.every((fact) => told.includes(fact)));
  fc.assert(
    fc.property(some, ([kept, told]) => {
      let sandbox: Sandbox | null = null;
      for (const fact of told) {
        const before = sandbox;
        sandbox = applyToSandbox(sandbox, fact);
        if (before === null) continue;
        const [from, to] = [before, sandbox].map((each) => standingOfSandbox(each).observed);
        expect([from, to, mayMove("lifecycle", from!, to!, "change")]).toEqual([from, to, true]);
        expect(applyToSandbox(sandbox, fact)).toBe(sandbox);
      }
      expect(settled(sandbox!)).toEqual(settled(sandboxFrom(kept)));
    }),
    { examples: [[[withoutForm, withoutForm.toReversed()]]] },
  );
});

test("what was told late is kept, a bounded number of it, and each once", () => {
  const [ready, starting] = [LIFE[3]!, LIFE[2]!];
  const { late } = sandboxFrom([ready, starting, starting]);
  expect(late).toEqual([{ version: "5", fact: "start", at: starting.at }]);
  const many = Array.from({ length: 40 }, (_, n) => tell("start", n + 10));
  expect(sandboxFrom([tell("ready", 100), ...many]).late).toHaveLength(16);
});

test("its document holds all of it, and what is none is begun anew", () => {
  const sandbox = sandboxFrom(LIFE.slice(0, 6));
  expect(sandboxOf(sandboxJson(sandbox), LIFE[0]!)).toEqual(sandbox);
  expect(sandboxOf({ ...sandboxJson(sandbox), late: "none" }, LIFE[0]!)).toBeNull();
  expect(sandboxOf({ ...sandboxJson(sandbox), uid: "uid-2" }, LIFE[0]!)).toBeNull();
  expect(sandboxOf(["a"], LIFE[0]!)).toBeNull();
});

test("the pod is that of its name, or one that was made before it", () => {
  expect(sandboxFrom(LIFE.slice(0, 2)).pod).toBe("alice-box");
  const labels = { "agents.x-k8s.io/pod-name": "pool-7" };
  expect(sandboxFrom([...LIFE.slice(0, 2), tell("start", 7, { labels })]).pod).toBe("pool-7");
});

test("an agent is told of its sandbox; of two, of the one that was made later", () => {
  const first = sandboxFrom(LIFE.slice(0, 4));
  const patch = sandboxPatch(null, first);
  expect(patch).toEqual({
    sandbox: {
      uid: "uid-1",
      name: "alice-box",
      namespace: "agents",
      pod: "alice-box",
      since: MADE_FACT.at,
      desired: "running",
      phase: "running",
      reason: null,
      ready: true,
    },
  });
  const knowing = { phase: "idle", data: patch as JsonObject };
  expect(sandboxPatch(knowing, first)).toBeNull();
  const gone = applyToSandbox(first, tell("deleted", null, { seconds: 30 }));
  expect(sandboxPatch(knowing, gone)).toMatchObject({ sandbox: { phase: "deleted" } });
  expect(sandboxPatch(null, gone)).toBeNull();
  const other = (seconds: number): Sandbox =>
    sandboxFrom([tell("create", null, { seconds, podUid: "uid-2" })]);
  expect(sandboxPatch(knowing, other(-5))).toBeNull();
  expect(sandboxPatch(knowing, other(5))).toMatchObject({ sandbox: { uid: "uid-2" } });
});
