import { describe, expect, test } from "vitest";
import {
  inState,
  newPod,
  saidReady,
  scheduled,
  second,
  terminated,
  withCondition,
  withMetadata,
} from "./pods.ts";
import { parseFact } from "../../src/state/lifecycle-fact.ts";
import { factJson } from "../../src/state/lifecycle-fact.ts";
import { factsOf } from "../../src/reflector/pod-facts.ts";
import { PODS } from "../../src/reflector/kind.ts";
import { Memory } from "../../src/reflector/memory.ts";
import type { ContainerStatus, PodObject } from "../../src/reflector/pod-object.ts";
import { standingOf } from "../../src/lifecycle/standing.ts";
import { podOf } from "../support/any-order.ts";

const fresh = newPod("a", "uid-1", 0);
const placed = scheduled(fresh, 1);
const running = inState(placed, { running: { startedAt: second(2) } });

/** The last of a kind. */
function told(pod: PodObject, fact: string): unknown {
  return factsOf(pod).findLast((each) => each.fact === fact);
}

test("all it tells can be told", () => {
  const all = [fresh, placed, running].flatMap((pod) => factsOf(pod));
  for (const fact of all) expect(parseFact(factJson(fact))).toEqual(fact);
});

describe("what the form of a pod tells", () => {
  test("a pod that finds no node", () => {
    const conditions = [{ type: "PodScheduled", status: "False", reason: "Unschedulable" }];
    const pod = { ...fresh, status: { conditions } };
    expect(factsOf(pod)).toMatchObject([{ fact: "create", reason: "Unschedulable" }]);
  });

  test("a container that runs is told with the runtime's own id, the pod's node and labels", () => {
    expect(told(running, "start")).toMatchObject({
      source: "pod",
      container: "main",
      incarnation: "run-1",
      at: "2026-01-01T00:00:02.000Z",
      node: "node-1",
      labels: { "agentruntime.dev/agent": "agent-a" },
    });
  });

  test("an end with its code; OOMKilled with its reason", () => {
    const failed = inState(placed, terminated(3, { from: 2, to: 3 }));
    expect(told(failed, "exit")).toMatchObject({ exitCode: 3, incarnation: "run-1" });
    expect(told(failed, "exit")).not.toHaveProperty("reason");
    const oom = inState(placed, terminated(137, { from: 2, to: 3, reason: "OOMKilled" }));
    expect(told(oom, "exit")).toMatchObject({ exitCode: 137, reason: "OOMKilled" });
  });

  test("an end that nobody saw has no code", () => {
    const state = { terminated: { exitCode: 137, reason: "ContainerStatusUnknown" } };
    const lost = inState(placed, state);
    expect(told(lost, "exit")).not.toHaveProperty("exitCode");
  });

  test("a crash loop: the run before, and that the next one waits", () => {
    const failed = inState(placed, terminated(1, { from: 2, to: 3 }));
    const loop = inState(failed, { waiting: { reason: "CrashLoopBackOff" } }, { run: 1 });
    expect(factsOf(loop).map(({ fact, at }) => [fact, at.slice(17, 23)])).toEqual([
      ["create", "00.000"],
      ["scheduled", "01.000"],
      ["start", "02.000"],
      ["exit", "03.000"],
      ["create", "04.000"],
    ]);
    expect(told(loop, "create")).toMatchObject({ reason: "CrashLoopBackOff", container: "main" });
  });

  test("errors of an image and the pauses after them are one", () => {
    const [error, pause] = ["ErrImagePull", "ImagePullBackOff"].map((reason) =>
      inState(placed, { waiting: { reason } }),
    );
    expect(factsOf(error!)).toEqual(factsOf(pause!));
  });

  test("a deletion began when it was asked for, not when its patience ends", () => {
    const going = withMetadata(running, {
      deletionTimestamp: second(40),
      deletionGracePeriodSeconds: 30,
    });
    expect(told(going, "preStop")).toMatchObject({ at: "2026-01-01T00:00:10.000Z" });
  });

  test("one that is only there because it is held back is gone; one that may still run is not", () => {
    const finalizers = ["agentruntime.dev/state"];
    const held = { finalizers, deletionTimestamp: second(40) };
    const over = withMetadata(running, { ...held, deletionGracePeriodSeconds: 0 });
    expect(told(over, "deleted")).toMatchObject({ at: "2026-01-01T00:00:40.000Z" });
    const runs = withMetadata(running, { ...held, deletionGracePeriodSeconds: 30 });
    expect(told(runs, "deleted")).toBeUndefined();
    const byOthers = withMetadata(over, { finalizers: ["another.dev/one"] });
    expect(told(byOthers, "deleted")).toBeUndefined();
  });

  test("a drain of its node is a deletion for a reason; the pod may stop in good order", () => {
    const asked = withCondition(running, "DisruptionTarget", 9, {
      reason: "EvictionByEvictionAPI",
    });
    expect(told(asked, "evicted")).toBeUndefined();
    const stops = withMetadata(asked, {
      deletionTimestamp: second(40),
      deletionGracePeriodSeconds: 30,
    });
    expect(told(stops, "preStop")).toMatchObject({ reason: "EvictionByEvictionAPI" });
    const stopped = { ...stops, status: { ...stops.status, phase: "Failed" } };
    expect(told(stopped, "evicted")).toBeUndefined();
  });

  test("an eviction by its node, and one of a node that was deleted", () => {
    const status = { ...running.status, phase: "Failed", reason: "Evicted" };
    expect(told({ ...running, status }, "evicted")).toMatchObject({ reason: "Evicted" });
    const byKubelet = withCondition({ ...running, status }, "DisruptionTarget", 9, {
      reason: "TerminationByKubelet",
    });
    expect(told(byKubelet, "evicted")).toMatchObject({ reason: "Evicted" });
    const failed = { ...running, status: { ...status, reason: "" } };
    const left = withCondition(failed, "DisruptionTarget", 9, { reason: "DeletionByPodGC" });
    expect(told(left, "evicted")).toMatchObject({ reason: "DeletionByPodGC" });
  });

  test("a node that is lost takes Ready from its pods, and gives no reason", () => {
    const ready = withCondition(withCondition(running, "ContainersReady", 5), "Ready", 5);
    expect(told(ready, "nodeLost")).toBeUndefined();
    const lost = withCondition(ready, "Ready", 59, { status: "False" });
    expect(told(lost, "nodeLost")).toMatchObject({ at: "2026-01-01T00:00:59.000Z" });
    const gate = { status: "False", reason: "ReadinessGatesNotReady" };
    expect(told(withCondition(ready, "Ready", 59, gate), "nodeLost")).toBeUndefined();
    const back = saidReady(ready, 70);
    expect(told(back, "ready")).toMatchObject({ at: "2026-01-01T00:01:10.000Z" });
    const older = { ...running, status: { ...running.status, reason: "NodeLost" } };
    expect(told(older, "nodeLost")).toMatchObject({ reason: "NodeLost" });
  });

  test("an init container that failed is told when its pod has failed for it", () => {
    const initContainerStatuses = [{ name: "init", state: terminated(1, { from: 1, to: 2 }) }];
    const retried = { ...placed, status: { ...placed.status, initContainerStatuses } };
    expect(told(retried, "exit")).toBeUndefined();
    const over = {
      ...retried,
      status: { ...retried.status, phase: "Failed", containerStatuses: [] },
    };
    expect(told(over, "exit")).toMatchObject({ container: "init", exitCode: 1 });
  });
});

describe("init containers and sidecars", () => {
  const named = (...names: string[]): { name: string }[] => names.map((name) => ({ name }));
  const initContainers = [{ name: "prepare" }, { name: "proxy", restartPolicy: "Always" }];
  const containerStatuses = [{ name: "main", state: { waiting: { reason: "PodInitializing" } } }];
  const spec = { nodeName: "node-1", containers: named("main", "second"), initContainers };
  const withInit = (initContainerStatuses: readonly ContainerStatus[], phase = "Pending") => ({
    ...placed,
    spec,
    status: { ...placed.status, phase, initContainerStatuses, containerStatuses },
  });

  test("each fact says which containers are none of them; too many names are left out", () => {
    const labels = { "agentruntime.dev/containers": "main,second" };
    for (const fact of factsOf(withInit([]))) expect(fact).toMatchObject({ labels });
    const containers = named(..."abcde".split("").map((letter) => letter.repeat(60)));
    const [fact] = factsOf({ ...placed, spec: { ...spec, containers } });
    expect(Object.keys(fact!.labels)).toEqual(["agentruntime.dev/agent"]);
    expect(parseFact(factJson(fact!))).toEqual(fact);
  });

  test("what one waits for is the reason that the pod is not going on", () => {
    const waits = { name: "proxy", state: { waiting: { reason: "CreateContainerConfigError" } } };
    const pod = podOf(factsOf(withInit([waits])));
    expect(standingOf(pod)).toMatchObject({
      observed: "creating",
      reason: "CreateContainerConfigError",
    });
    const runs = { name: "proxy", state: { running: { startedAt: second(9) } } };
    const later = [...factsOf(withInit([waits])), ...factsOf(withInit([runs]))];
    expect(standingOf(podOf(later))).toMatchObject({ observed: "creating", reason: null });
  });

  test("one that fails is tried again, until the pod has failed for it; a sidecar fails none", () => {
    const failed = { name: "prepare", state: terminated(3, { from: 1, to: 2, run: 7 }) };
    const helped = { name: "proxy", state: terminated(143, { from: 1, to: 3, run: 8 }) };
    const standing = (phase: string): unknown =>
      standingOf(podOf(factsOf(withInit([failed, helped], phase))));
    expect(standing("Pending")).toMatchObject({ observed: "creating" });
    expect(standing("Failed")).toMatchObject({ observed: "failed", exitCode: 3 });
    const done = inState(withInit([helped]), terminated(0, { from: 4, to: 5 }), {
      phase: "Succeeded",
    });
    expect(standingOf(podOf(factsOf(done)))).toMatchObject({ observed: "stopped", exitCode: 0 });
  });
});

describe("what is new", () => {
  test("is told once", () => {
    const memory = new Memory(PODS);
    expect(memory.take(placed, 0)).toHaveLength(2);
    expect(memory.take(placed, 0)).toEqual([]);
    expect(memory.take(running, 0)).toMatchObject([{ fact: "start" }]);
  });

  test("another pod in the place of one is told after the end of that one", () => {
    const memory = new Memory(PODS);
    memory.take(fresh, 0);
    const facts = memory.take(newPod("a", "uid-2", 9), 99_000);
    expect(facts).toMatchObject([
      { podUid: "uid-1", fact: "deleted", at: "1970-01-01T00:01:39.000Z" },
      { podUid: "uid-2", fact: "create" },
    ]);
  });

  test("the late end of one does not end who took its place", () => {
    const memory = new Memory(PODS);
    memory.take(newPod("a", "uid-2", 9), 0);
    const uids = memory.drop(fresh, 1).map(({ podUid }) => podUid);
    expect(new Set(uids)).toEqual(new Set(["uid-1"]));
    expect(memory.size).toBe(1);
  });
});
