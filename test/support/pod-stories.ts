import type { JsonObject } from "../../src/state/json.ts";
import type { Standing } from "../../src/lifecycle/standing.ts";

/** The life of a pod, as its sources tell it: containerd's events on its node, the API server, hooks. */
export interface PodStory {
  /** In the order in which it happened. */
  readonly facts: readonly JsonObject[];
  readonly ends: Partial<Standing> & Pick<Standing, "observed">;
  /** Which facts alone say where it ends, whatever becomes of the others. */
  readonly decisive: readonly number[];
}

const POD = { podUid: "3f5c0a6e-uid", podName: "agent-7", namespace: "agents", node: "node-1" };
const LABELS = { "agentruntime.dev/agent": "alice", "agentruntime.dev/container": "main" };

type Source = "kata" | "pod" | "hook";

/** A fact of that pod, so many tenths of a second after it began. */
export function tell(
  source: Source,
  [fact, tenths]: readonly [string, number],
  told: JsonObject = {},
): JsonObject {
  const ms = Date.UTC(2026, 10, 26, 10) + tenths * 100;
  // The API server tells whole seconds.
  const at = new Date(source === "pod" ? Math.floor(ms / 1_000) * 1_000 : ms).toISOString();
  return { source, ...POD, container: null, incarnation: null, fact, at, labels: LABELS, ...told };
}

const MAIN = { container: "main", incarnation: "c-1" };
const AGAIN = { container: "main", incarnation: "c-2" };
const SANDBOX = { incarnation: "s-1" };

/** Until it runs. */
const BEGINNING: readonly JsonObject[] = [
  tell("pod", ["create", 0]),
  tell("pod", ["scheduled", 2]),
  tell("kata", ["create", 5], SANDBOX),
  tell("kata", ["start", 7], SANDBOX),
  tell("kata", ["create", 12], MAIN),
  tell("kata", ["start", 14], MAIN),
  tell("hook", ["postStart", 15], { container: "main" }),
  tell("pod", ["start", 14], MAIN),
  tell("pod", ["ready", 30]),
];
const NEXT = BEGINNING.length;

export const PREPARED_STOP: readonly JsonObject[] = [
  ...BEGINNING,
  tell("pod", ["preStop", 100]),
  tell("hook", ["preStop", 101], { container: "main" }),
  tell("kata", ["exit", 130], { ...MAIN, exitCode: 143 }),
  tell("pod", ["exit", 130], { ...MAIN, exitCode: 143 }),
  tell("kata", ["delete", 131], MAIN),
  tell("kata", ["exit", 132], { ...SANDBOX, exitCode: 137 }),
  tell("kata", ["delete", 133], SANDBOX),
];

/** As the API server tells it: which containers its specification has beside those that prepare and help. */
const AGENT = { "agentruntime.dev/agent": "alice" };
const SPECIFIED = { labels: { ...AGENT, "agentruntime.dev/containers": "main,second" } };
const HELPER = { labels: AGENT };
const PREPARES = { ...HELPER, container: "prepare", incarnation: "i-1" };
const HELPS = { ...HELPER, container: "proxy", incarnation: "p-1" };

/** Until an init container is done, and the image of the others is on its way. */
const PREPARED: readonly JsonObject[] = [
  tell("pod", ["create", 0], SPECIFIED),
  tell("kata", ["create", 5], { ...SANDBOX, ...HELPER }),
  tell("kata", ["start", 7], { ...SANDBOX, ...HELPER }),
  tell("kata", ["create", 12], PREPARES),
  tell("kata", ["start", 14], PREPARES),
];

export const POD_STORIES: Readonly<Record<string, PodStory>> = {
  "a pod that runs": {
    facts: BEGINNING,
    ends: { observed: "running", reason: null, ready: true, incarnation: "c-1", endedAt: null },
    decisive: [5],
  },
  "a pod of whose containers nobody told, and whose sandbox is gone": {
    facts: [tell("kata", ["create", 5], SANDBOX), tell("kata", ["delete", 60], SANDBOX)],
    ends: { observed: "unknown", reason: "Lost", exitCode: null },
    decisive: [1],
  },
  "the same, and it was to go": {
    facts: [
      tell("pod", ["create", 0]),
      tell("kata", ["start", 7], SANDBOX),
      tell("pod", ["preStop", 50]),
      tell("kata", ["exit", 60], { ...SANDBOX, exitCode: 137 }),
    ],
    ends: { observed: "stopped", reason: "Stopped" },
    decisive: [2, 3],
  },
  "a sandbox that could not be made, and the next one": {
    facts: [
      tell("kata", ["create", 5], SANDBOX),
      tell("kata", ["delete", 9], SANDBOX),
      tell("kata", ["create", 12], { incarnation: "s-2" }),
    ],
    ends: { observed: "creating", reason: null },
    decisive: [2],
  },
  "a sandbox that is gone before the API server says that it runs": {
    facts: [
      tell("kata", ["create", 5], SANDBOX),
      tell("kata", ["delete", 9], SANDBOX),
      tell("pod", ["ready", 40]),
    ],
    ends: { observed: "running" },
    decisive: [2],
  },
  "a stop that was asked for": {
    facts: PREPARED_STOP,
    ends: { observed: "stopped", reason: "Stopped", exitCode: 143, signal: 15 },
    decisive: [NEXT, NEXT + 2],
  },
  "a pod that is deleted": {
    facts: [...PREPARED_STOP, tell("pod", ["deleted", 140])],
    ends: { observed: "deleted", exitCode: 143 },
    decisive: [PREPARED_STOP.length],
  },
  "a container that fails": {
    facts: [...BEGINNING, tell("kata", ["exit", 90], { ...MAIN, exitCode: 2 })],
    ends: { observed: "failed", reason: "Error", exitCode: 2, signal: null, ready: false },
    decisive: [NEXT],
  },
  "a container that is out of memory": {
    facts: [
      ...BEGINNING,
      tell("kata", ["oom", 88], MAIN),
      tell("kata", ["exit", 90], { ...MAIN, exitCode: 137 }),
      tell("pod", ["exit", 90], { ...MAIN, exitCode: 137, reason: "OOMKilled" }),
      tell("kata", ["delete", 91], MAIN),
    ],
    ends: { observed: "failed", reason: "OOMKilled", exitCode: 137, signal: 9 },
    decisive: [NEXT, NEXT + 1],
  },
  "an agent that is done": {
    facts: [
      ...BEGINNING,
      tell("kata", ["exit", 90], { ...MAIN, exitCode: 0 }),
      tell("kata", ["delete", 91], MAIN),
    ],
    ends: { observed: "stopped", reason: "Exited", exitCode: 0 },
    decisive: [NEXT],
  },
  "an end that is told twice": {
    facts: [
      ...BEGINNING,
      tell("kata", ["exit", 90], { ...MAIN, exitCode: 3 }),
      tell("kata", ["exit", 95], { ...MAIN, exitCode: 137 }),
      tell("pod", ["exit", 90], { ...MAIN, exitCode: 3 }),
    ],
    ends: { observed: "failed", reason: "Error", exitCode: 3 },
    decisive: [NEXT],
  },
  "a crash loop": {
    facts: [
      ...BEGINNING,
      tell("kata", ["exit", 90], { ...MAIN, exitCode: 1 }),
      tell("pod", ["create", 100], { container: "main", reason: "CrashLoopBackOff" }),
    ],
    ends: { observed: "creating", reason: "CrashLoopBackOff", ready: false },
    decisive: [NEXT + 1],
  },
  "a container that runs again": {
    facts: [
      ...BEGINNING,
      tell("kata", ["exit", 90], { ...MAIN, exitCode: 1 }),
      tell("kata", ["create", 110], AGAIN),
      tell("kata", ["start", 112], AGAIN),
      tell("pod", ["start", 112], AGAIN),
    ],
    ends: { observed: "running", ready: false, incarnation: "c-2" },
    decisive: [NEXT + 2],
  },
  "a sandbox that is lost": {
    facts: [...BEGINNING, tell("kata", ["exit", 90], { ...SANDBOX, exitCode: 255 })],
    ends: { observed: "failed", reason: "SandboxLost" },
    // Which of its containers lived is part of it.
    decisive: [5, NEXT],
  },
  "a shim that was killed": {
    facts: [
      ...BEGINNING,
      tell("kata", ["exit", 90], { ...MAIN, exitCode: 137 }),
      tell("kata", ["delete", 90], MAIN),
      tell("kata", ["exit", 91], { ...SANDBOX, exitCode: 137 }),
      tell("kata", ["delete", 91], SANDBOX),
    ],
    ends: { observed: "failed", reason: "Error", exitCode: 137, signal: 9 },
    decisive: [NEXT],
  },
  "a pause": {
    facts: [
      ...BEGINNING,
      tell("kata", ["paused", 50], MAIN),
      tell("kata", ["resumed", 60], MAIN),
      tell("kata", ["paused", 70], MAIN),
    ],
    ends: { observed: "paused", ready: false },
    decisive: [5, NEXT + 2],
  },
  "a pause that ended": {
    facts: [...BEGINNING, tell("kata", ["paused", 50], MAIN), tell("kata", ["resumed", 60], MAIN)],
    ends: { observed: "running" },
    decisive: [5, NEXT + 1],
  },
  "an eviction": {
    facts: [
      ...BEGINNING,
      tell("pod", ["evicted", 80], { reason: "Evicted" }),
      tell("pod", ["preStop", 80]),
      tell("kata", ["exit", 82], { ...MAIN, exitCode: 143 }),
    ],
    ends: { observed: "failed", reason: "Evicted" },
    decisive: [NEXT],
  },
  "an eviction, and the pod is gone": {
    facts: [
      ...BEGINNING,
      tell("pod", ["evicted", 80], { reason: "Evicted" }),
      tell("pod", ["preStop", 80]),
      tell("pod", ["deleted", 95]),
    ],
    ends: { observed: "deleted", reason: "Evicted" },
    decisive: [NEXT, NEXT + 2],
  },
  "a drain of its node": {
    facts: [
      ...BEGINNING,
      tell("pod", ["preStop", 80], { reason: "EvictionByEvictionAPI" }),
      tell("hook", ["preStop", 81], { container: "main" }),
      tell("kata", ["exit", 95], { ...MAIN, exitCode: 0 }),
    ],
    ends: { observed: "stopped", reason: "EvictionByEvictionAPI", exitCode: 0 },
    decisive: [NEXT, NEXT + 2],
  },
  "a node that is lost, and whose pods are to go": {
    facts: [
      ...BEGINNING,
      tell("pod", ["nodeLost", 400]),
      tell("pod", ["preStop", 700], { reason: "DeletionByTaintManager" }),
    ],
    ends: { observed: "unknown", reason: "NodeLost" },
    decisive: [NEXT],
  },
  "a node that is lost": {
    facts: [...BEGINNING, tell("pod", ["nodeLost", 400])],
    ends: { observed: "unknown", reason: "NodeLost" },
    decisive: [NEXT],
  },
  "a node that comes back": {
    facts: [
      ...BEGINNING,
      tell("pod", ["nodeLost", 400]),
      tell("pod", ["ready", 900]),
      tell("kata", ["start", 910], { ...MAIN, incarnation: "c-1" }),
    ],
    ends: { observed: "running" },
    decisive: [5, NEXT + 2],
  },
  "an image that cannot be pulled": {
    facts: [
      tell("pod", ["create", 0]),
      tell("pod", ["scheduled", 2]),
      tell("kata", ["create", 5], SANDBOX),
      tell("pod", ["create", 40], { container: "main", reason: "ImagePullBackOff" }),
    ],
    ends: { observed: "creating", reason: "ImagePullBackOff", incarnation: null },
    decisive: [3],
  },
  "a pod that no node has room for": {
    facts: [tell("pod", ["create", 0], { reason: "Unschedulable" })],
    ends: { observed: "requested", reason: "Unschedulable" },
    decisive: [0],
  },
  "a run whose end nobody saw": {
    facts: [...BEGINNING, tell("kata", ["delete", 90], MAIN)],
    ends: { observed: "unknown", reason: "Lost" },
    decisive: [NEXT],
  },
  "an init container that is done, while the next image comes": {
    facts: [...PREPARED, tell("kata", ["exit", 30], { ...PREPARES, exitCode: 0 })],
    ends: { observed: "creating", reason: null, endedAt: null, exitCode: null },
    decisive: [0, 2],
  },
  "an init container that fails and is tried again": {
    facts: [
      ...PREPARED,
      tell("kata", ["exit", 30], { ...PREPARES, exitCode: 1 }),
      tell("pod", ["create", 40], { ...PREPARES, incarnation: null, reason: "CrashLoopBackOff" }),
    ],
    ends: { observed: "creating", reason: "CrashLoopBackOff", endedAt: null },
    decisive: [0, 2, PREPARED.length + 1],
  },
  "a pod that failed for its init container": {
    facts: [
      ...PREPARED,
      tell("kata", ["exit", 30], { ...PREPARES, exitCode: 3 }),
      tell("pod", ["exit", 30], { ...PREPARES, exitCode: 3 }),
      tell("pod", ["exit", 30], { ...SPECIFIED, exitCode: 3 }),
      tell("kata", ["exit", 35], { ...SANDBOX, ...HELPER, exitCode: 137 }),
    ],
    ends: { observed: "failed", exitCode: 3, reason: "Error" },
    decisive: [0, PREPARED.length + 2],
  },
  "an agent that is done, and then what helped it is told to end": {
    facts: [
      ...PREPARED,
      tell("kata", ["exit", 15], { ...PREPARES, exitCode: 0 }),
      tell("kata", ["start", 16], HELPS),
      tell("kata", ["start", 18], { ...HELPER, ...MAIN }),
      tell("kata", ["start", 20], { ...HELPER, container: "shell", incarnation: "e-1" }),
      tell("kata", ["exit", 40], {
        ...HELPER,
        container: "shell",
        incarnation: "e-1",
        exitCode: 130,
      }),
      tell("kata", ["exit", 90], { ...HELPER, ...MAIN, exitCode: 0 }),
      tell("kata", ["exit", 95], { ...HELPS, exitCode: 143 }),
    ],
    ends: { observed: "stopped", reason: "Exited", exitCode: 0 },
    decisive: [0, PREPARED.length + 5],
  },
  "a container that is stopped for a probe, and runs again in the same second": {
    facts: [
      ...BEGINNING,
      tell("hook", ["preStop", 101], { container: "main" }),
      tell("kata", ["exit", 102], { ...MAIN, exitCode: 143 }),
      tell("pod", ["exit", 102], { ...MAIN, exitCode: 143 }),
      tell("kata", ["create", 103], AGAIN),
      tell("kata", ["start", 105], AGAIN),
      tell("pod", ["start", 105], AGAIN),
    ],
    ends: { observed: "running", reason: null, incarnation: "c-2" },
    decisive: [NEXT + 1, NEXT + 4],
  },
  "the same, of which only the API server tells the runs": {
    facts: [
      ...BEGINNING.filter(({ source }) => source !== "kata"),
      tell("hook", ["preStop", 101], { container: "main" }),
      tell("pod", ["exit", 102], { ...MAIN, exitCode: 143 }),
      tell("pod", ["start", 105], AGAIN),
    ],
    ends: { observed: "running", reason: null, incarnation: "c-2" },
    decisive: [BEGINNING.length - 4 + 1, BEGINNING.length - 4 + 2],
  },
  "a container that fails in the second in which it said that it began": {
    facts: [
      tell("hook", ["postStart", 15], { container: "main" }),
      tell("pod", ["start", 14], MAIN),
      tell("pod", ["exit", 17], { ...MAIN, exitCode: 1 }),
    ],
    ends: { observed: "failed", exitCode: 1 },
    decisive: [2],
  },
  "a container that fails before its hook has come": {
    facts: [
      ...BEGINNING.filter(({ source }) => source !== "hook"),
      tell("kata", ["exit", 40], { ...MAIN, exitCode: 1 }),
      tell("hook", ["postStart", 41], { container: "main" }),
    ],
    ends: { observed: "failed", exitCode: 1 },
    decisive: [BEGINNING.length - 1],
  },
  "a container that fails and begins anew in one second": {
    facts: [
      tell("kata", ["create", 12], { ...MAIN, incarnation: "z" }),
      tell("pod", ["start", 13], { ...MAIN, incarnation: "z" }),
      tell("kata", ["exit", 14], { ...MAIN, incarnation: "z", exitCode: 1 }),
      tell("kata", ["create", 16], { ...MAIN, incarnation: "a" }),
      tell("kata", ["start", 17], { ...MAIN, incarnation: "a" }),
      tell("pod", ["start", 17], { ...MAIN, incarnation: "a" }),
      tell("pod", ["ready", 18]),
    ],
    ends: { observed: "running", incarnation: "a", ready: true },
    decisive: [0, 2, 4],
  },
};
