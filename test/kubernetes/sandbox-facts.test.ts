import { describe, expect, test } from "vitest";
import { Memory } from "../../src/reflector/memory.ts";
import { sandboxKind } from "../../src/reflector/sandbox-facts.ts";
import type { SandboxObject } from "../../src/reflector/sandbox-facts.ts";
import { parseFact, factJson } from "../../src/state/lifecycle-fact.ts";
import { second } from "./pods.ts";
import { newSandbox, ready, saying, suspended, wanted } from "./sandbox-objects.ts";

const kind = sandboxKind({ version: () => "v1beta1", all: false });
const NEW = newSandbox("a", "uid-a", 0);
const SUSPENDING = saying(
  saying(wanted(NEW, "Suspended"), "Ready", ["False", "SandboxSuspended"], 5),
  "Suspended",
  ["False", "PodTerminating"],
  5,
);
const ENDED = saying(NEW, "Ready", ["False", "PodFailed"], 6);

const formOf = (sandbox: SandboxObject): object => {
  const facts = kind.factsOf(sandbox);
  expect(facts).toHaveLength(2);
  const { fact, reason, desired } = facts[1]!;
  return { fact, reason, desired };
};

test.each<readonly [string, SandboxObject, readonly [string, string | undefined, string]]>([
  ["nobody has looked at", NEW, ["create", undefined, "running"]],
  [
    "waits",
    saying(NEW, "Ready", ["False", "DependenciesNotReady"], 1),
    ["start", "DependenciesNotReady", "running"],
  ],
  [
    "has no room",
    saying(
      saying(NEW, "Ready", ["False", "DependenciesNotReady"], 1),
      "PodScheduled",
      ["False", "Unschedulable"],
      1,
    ),
    ["start", "Unschedulable", "running"],
  ],
  ["is ready", ready(NEW, 2), ["ready", undefined, "running"]],
  [
    "is ready and is to be suspended",
    wanted(ready(NEW, 2), "Suspended"),
    ["ready", undefined, "paused"],
  ],
  ["is being suspended", SUSPENDING, ["preStop", "PodTerminating", "paused"]],
  ["is suspended", suspended(wanted(NEW, "Suspended"), 6), ["paused", "PodTerminated", "paused"]],
  ["is suspended and is to go on", suspended(NEW, 6), ["paused", "PodTerminated", "running"]],
  ["goes on", ready(suspended(NEW, 6), 9), ["ready", undefined, "running"]],
  ["failed", saying(ENDED, "Finished", ["True", "PodFailed"], 6), ["exit", "PodFailed", "running"]],
  [
    "did its work",
    saying(ENDED, "Finished", ["True", "PodSucceeded"], 6),
    ["exit", "PodSucceeded", "running"],
  ],
  [
    "has expired",
    saying(NEW, "Ready", ["False", "SandboxExpired"], 7),
    ["exit", "SandboxExpired", "stopped"],
  ],
  [
    "is being deleted",
    { ...ready(NEW, 2), metadata: { ...NEW.metadata, deletionTimestamp: second(8) } },
    ["preStop", undefined, "deleted"],
  ],
  [
    "is suspended in v1alpha1",
    { ...suspended(NEW, 6), spec: { replicas: 0 } },
    ["paused", "PodTerminated", "paused"],
  ],
])("one that %s", (_, sandbox, [fact, reason, desired]) => {
  expect(formOf(sandbox)).toEqual({ fact, reason, desired });
  for (const each of kind.factsOf(sandbox)) expect(parseFact(factJson(each))).toEqual(each);
});

test("it is said of which form that is, and since when by the cluster's clock", () => {
  const metadata = {
    ...NEW.metadata,
    resourceVersion: "77",
    managedFields: [{ time: second(20) }, { time: second(12) }, {}],
  };
  const [made, form] = kind.factsOf(ready({ ...NEW, metadata }, 15));
  expect(made).toMatchObject({ fact: "create", incarnation: null, at: "2026-01-01T00:00:00.000Z" });
  expect(form).toMatchObject({
    source: "sandbox",
    podUid: "uid-a",
    podName: "a",
    incarnation: "77",
    at: "2026-01-01T00:00:20.000Z",
  });
});

test("which agent it is for, its own labels or annotations say, or else those of its pod", () => {
  const agentOf = (sandbox: SandboxObject): unknown =>
    kind.identityOf(sandbox).labels["agentruntime.dev/agent"];
  expect(agentOf(NEW)).toBe("agent-a");
  const annotations = { "agentruntime.dev/agent": "bob", "else/where": "x" };
  const own = { ...NEW, metadata: { ...NEW.metadata, annotations } };
  expect(agentOf(own)).toBe("bob");
  expect(kind.identityOf(own).labels).not.toHaveProperty("else/where");
  expect(kind.isOurs({ ...NEW, spec: {} })).toBe(false);
  expect(sandboxKind({ version: () => "v1", all: true }).isOurs({ ...NEW, spec: {} })).toBe(true);
});

describe("what is new of it", () => {
  const at = (sandbox: SandboxObject, version: number): SandboxObject => ({
    ...sandbox,
    metadata: { ...sandbox.metadata, resourceVersion: String(version) },
  });
  const told = (
    memory: Memory<SandboxObject>,
    sandbox: SandboxObject,
    isListed = false,
  ): string[] =>
    memory.take(sandbox, 0, isListed).map(({ fact, incarnation }) => `${fact} ${incarnation}`);

  test("a form that says the same as the one before is told once", () => {
    const memory = new Memory(kind);
    expect(told(memory, at(ready(NEW, 2), 3))).toEqual(["create null", "ready 3"]);
    expect(told(memory, at(ready(NEW, 2), 4))).toEqual([]);
    expect(told(memory, at(wanted(ready(NEW, 2), "Suspended"), 5))).toEqual(["ready 5"]);
    expect(told(memory, at(ready(NEW, 2), 6))).toEqual(["ready 6"]);
  });

  test("after a gap it is told again: it may have been another one meanwhile", () => {
    const memory = new Memory(kind);
    told(memory, at(ready(NEW, 2), 3));
    expect(told(memory, at(ready(NEW, 2), 3), true)).toEqual([]);
    expect(told(memory, at(ready(NEW, 2), 9), true)).toEqual(["create null", "ready 9"]);
  });

  test("one that names no agent any more is forgotten, and nothing is told of its end", () => {
    const memory = new Memory(kind);
    told(memory, NEW);
    expect(told(memory, { ...NEW, spec: {} })).toEqual([]);
    expect(memory.size).toBe(0);
    expect(memory.drop({ ...NEW, spec: {} }, 0)).toEqual([]);
    expect(memory.drop(NEW, 0).map(({ fact }) => fact)).toEqual(["create", "create", "deleted"]);
  });
});
