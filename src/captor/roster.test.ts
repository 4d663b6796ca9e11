import { expect, test } from "vitest";
import type { ContainerRecord } from "../containerd/records.ts";
import { Roster } from "./roster.ts";

const AT = "2026-01-01T00:00:00.000Z";

function containerOf(id: string): ContainerRecord {
  const labels = {
    "io.cri-containerd.kind": "container",
    "io.kubernetes.container.name": "main",
    "io.kubernetes.pod.uid": `uid-${id}`,
    "io.kubernetes.pod.name": id,
    "io.kubernetes.pod.namespace": "agents",
  };
  return { id, labels, runtime: "io.containerd.kata.v2", createdAt: AT };
}

function rosterOf(maxContainers: number): Roster {
  const listener = { onIgnored() {}, onDisagreement() {} };
  return new Roster({ node: "node-1", isOurs: () => true, maxContainers }, listener);
}

test("it keeps so many containers and no more; the oldest one goes, and is met again by the next listing", () => {
  const roster = rosterOf(2);
  for (const id of ["a", "b", "c"]) roster.meet(containerOf(id), AT);
  expect(roster.size).toBe(2);
  expect(["a", "b", "c"].map((id) => roster.has(id))).toEqual([false, true, true]);
  expect(roster.meet(containerOf("b"), AT)).toEqual([]);
  expect(roster.meet(containerOf("a"), AT)).toMatchObject([{ podUid: "uid-a", fact: "create" }]);
  expect(["a", "b", "c"].map((id) => roster.has(id))).toEqual([true, false, true]);
});
