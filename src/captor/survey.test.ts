import { expect, test } from "vitest";
import type { ContainerRecord } from "../containerd/records.ts";
import type { LifecycleFact } from "../state/lifecycle-fact.ts";
import { Roster } from "./roster.ts";
import { survey } from "./survey.ts";
import type { Runtime } from "./survey.ts";

const AT = "2026-01-01T00:00:00.000Z";

function recordOf(id: string): ContainerRecord {
  const labels = {
    "io.cri-containerd.kind": "container",
    "io.kubernetes.container.name": id,
    "io.kubernetes.pod.uid": "uid-1",
    "io.kubernetes.pod.name": "agent-7",
    "io.kubernetes.pod.namespace": "agents",
  };
  return { id, labels, runtime: "io.containerd.kata.v2", createdAt: AT };
}

test("a container whose end the runtime cannot tell holds back none of the others", async () => {
  const runtime: Runtime = {
    containers: () => Promise.resolve(["a", "b", "c"].map(recordOf)),
    tasks: () => Promise.resolve([]),
    container: (id) => Promise.resolve(recordOf(id)),
    sandboxEnded: () => Promise.resolve(false),
    pastEnd: (id) =>
      id === "b"
        ? Promise.reject(new Error("failed to query controller status"))
        : Promise.resolve({ exitStatus: 3, exitedAt: AT, reason: null }),
  };
  const listener = { onIgnored() {}, onDisagreement() {} };
  const roster = new Roster({ node: "node-1", isOurs: () => true, maxContainers: 9 }, listener);
  const unanswered: string[] = [];
  const facts: LifecycleFact[] = [];
  const options = { at: AT, onUnanswered: (id: string) => void unanswered.push(id) };
  for await (const some of survey(runtime, roster, options)) facts.push(...some);
  const ended = facts.filter(({ fact }) => fact === "exit").map(({ container }) => container);
  expect([ended, unanswered]).toEqual([["a", "c"], ["b"]]);
});
