import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { JsonObject } from "../../src/state/json.ts";
import { parseFact } from "../../src/state/lifecycle-fact.ts";
import type { LifecycleFact } from "../../src/state/lifecycle-fact.ts";
import type { State } from "../../src/state/state.ts";
import { anyHome } from "../messages/parts.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";

const UID = "sandbox-uid";
const ID = `sandbox:${UID}`;

let bench: Bench;
let manager: StateManager;
let namespaces = 0;
let namespace = "";

beforeAll(async () => {
  bench = await openBench(anyHome());
  manager = bench.openManager();
});
afterAll(() => bench.close());
beforeEach(() => {
  namespace = `n${(namespaces += 1)}`;
});

function fact(word: string, seconds: number, told: JsonObject = {}): LifecycleFact {
  return parseFact({
    source: "sandbox",
    podUid: UID,
    podName: "alice-box",
    namespace: "agents",
    fact: word,
    at: new Date(Date.UTC(2026, 10, 26, 10, 0, seconds)).toISOString(),
    labels: { "agentruntime.dev/agent": "alice" },
    ...told,
  });
}

const form = (word: string, version: number, told: JsonObject = {}): LifecycleFact =>
  fact(word, version, { incarnation: String(version), desired: "running", ...told });

const ofPod = (word: string, seconds: number, told: JsonObject = {}): LifecycleFact =>
  fact(word, seconds, { source: "pod", podUid: "pod-uid", ...told });

const tell = (...facts: readonly LifecycleFact[]): Promise<void> =>
  manager.lifecycle.publish(facts, { namespace });

const read = (id: string): Promise<State> =>
  manager.getState(id, { namespace, consistency: "strong" });

test("a Sandbox object is a state beside its pod's; its agent knows both", async () => {
  await tell(fact("create", 0), form("start", 3, { reason: "DependenciesNotReady" }));
  expect(await read("alice")).toMatchObject({
    phase: "registered",
    data: { sandbox: { uid: UID, phase: "creating", desired: "running" } },
  });
  await tell(ofPod("create", 1), ofPod("start", 4, { container: "main", incarnation: "c-1" }));
  await tell(form("ready", 5));
  expect(await read(ID)).toMatchObject({
    type: "lifecycle",
    phase: "running",
    data: {
      desired: "running",
      ready: true,
      agent: "alice",
      pod: "alice-box",
      requested: expect.any(String),
    },
  });
  expect(await read("alice")).toMatchObject({
    phase: "idle",
    data: { sandbox: { phase: "running" }, pod: { uid: "pod-uid", phase: "running" } },
  });
});

test("what it says of its pod moves no agent: the pod's own facts do", async () => {
  await tell(ofPod("start", 1, { container: "main", incarnation: "c-1" }));
  await tell(fact("create", 0), form("exit", 9, { reason: "PodFailed" }));
  expect(await read(ID)).toMatchObject({ phase: "failed" });
  expect(await read("alice")).toMatchObject({
    phase: "idle",
    data: { sandbox: { phase: "failed", reason: "PodFailed" } },
  });
  expect(await read("pod:pod-uid")).toMatchObject({ phase: "running" });
});

test("suspended, its pod goes and its agent stops; what is wanted says why", async () => {
  const main = { container: "main", incarnation: "c-1" };
  await tell(ofPod("start", 1, main), fact("create", 0), form("ready", 2));
  await tell(form("ready", 3, { desired: "paused" }));
  expect(await read(ID)).toMatchObject({ phase: "running", data: { desired: "paused" } });
  await tell(
    ofPod("preStop", 4),
    ofPod("exit", 5, { ...main, exitCode: 143 }),
    ofPod("deleted", 6),
  );
  await tell(form("paused", 7, { desired: "paused", reason: "PodTerminated" }));
  expect(await read("alice")).toMatchObject({
    phase: "stopped",
    data: { sandbox: { desired: "paused", phase: "paused" } },
  });
  // It goes on in another pod.
  const next = { podUid: "next-uid", container: "main", incarnation: "c-2" };
  await tell(form("start", 8), ofPod("start", 9, next), form("ready", 10));
  expect(await read("alice")).toMatchObject({
    phase: "idle",
    data: { sandbox: { desired: "running", phase: "running" }, pod: { uid: "next-uid" } },
  });
});

test("late and doubled forms change nothing; one that is gone is kept for a while", async () => {
  const told = [fact("create", 0), form("ready", 12), form("start", 9), form("ready", 12)];
  await tell(...told);
  const { version, data } = await read(ID);
  expect(data).toMatchObject({ observed: "running", late: [{ version: "9", fact: "start" }] });
  await tell(...told.toReversed());
  expect((await read(ID)).version).toBe(version);
  await tell(fact("deleted", 20), form("paused", 19));
  const gone = await read(ID);
  expect(gone).toMatchObject({ phase: "deleted", data: { desired: "deleted" } });
  expect(gone.expiresAt).not.toBeNull();
  expect(await read("alice")).toMatchObject({ data: { sandbox: { phase: "deleted" } } });
});

test("a pod and a Sandbox object with one uid are two", async () => {
  await tell(form("paused", 3), ofPod("create", 1, { podUid: UID }));
  expect(await read(ID)).toMatchObject({ phase: "paused" });
  expect(await read(`pod:${UID}`)).toMatchObject({ phase: "requested" });
});
