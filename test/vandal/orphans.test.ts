import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { LifecycleFact } from "../../src/state/lifecycle-fact.ts";
import { named, Scene } from "./scene.ts";

let scene: Scene;
let uid: string;
let agent: string;
let count = 0;

beforeAll(async () => {
  scene = await Scene.open();
});
afterAll(() => scene.close());

beforeEach(() => {
  count += 1;
  uid = `uid-${count}`;
  agent = `agent-${count}`;
});

const tell = (...facts: readonly Partial<LifecycleFact>[]): Promise<void> =>
  scene.manager.lifecycle.publish(
    facts.map((fact, second) => ({
      source: "pod",
      podUid: uid,
      podName: agent,
      namespace: "agents",
      node: "node-1",
      container: null,
      incarnation: null,
      fact: "create",
      at: new Date(Date.UTC(2026, 0, 1, 0, count, second)).toISOString(),
      labels: { "agentruntime.dev/agent": agent },
      ...fact,
    })),
  );

const SANDBOX = { source: "kata", incarnation: "sandbox-1" } as const;
const LIVES: readonly Partial<LifecycleFact>[] = [
  {},
  { ...SANDBOX, fact: "create" },
  { ...SANDBOX, fact: "start" },
  { ...SANDBOX, container: "main", incarnation: "main-1", fact: "start" },
];
const ENDS: Partial<LifecycleFact> = { ...SANDBOX, fact: "exit", exitCode: 0 };
const GONE: Partial<LifecycleFact> = { fact: "deleted" };

/** What the detector finds of a state that nobody wrote for a while. */
async function lookAt(id: string, minutes: number): Promise<string[]> {
  await scene.follower.drain();
  await scene.vandalize(
    `update agent_state.states set updated_at = now() - interval '${minutes} minutes' where id in ('pod:${uid}', '${agent}')`,
    true,
  );
  scene.scope = id;
  const findings = await scene.look({ fix: "safe" });
  return named(findings.filter(({ resolvedAt }) => resolvedAt === null));
}

test("an agent that lives is an orphan once its pod is gone, and none where that ended it", async () => {
  await tell(...LIVES);
  expect(await lookAt(agent, 10)).toEqual([]);
  await tell(...LIVES, ENDS, GONE);
  expect(await lookAt(agent, 10)).toEqual([]);
  await scene.manager.mergeState(agent, { by: "hand" }, { phase: "starting" });
  expect(await lookAt(agent, 0)).toEqual([]);
  expect(await lookAt(agent, 10)).toEqual(["C16"]);
  const [found] = await scene.look();
  expect(found).toMatchObject({ id: agent, kind: "unlive" });
  expect(found!.detail).toBe(`it is starting, and its pod "${uid}" is gone`);
  await scene.manager.mergeState(agent, {}, { phase: "failed" });
  expect(await lookAt(agent, 10)).toEqual([]);
});

test("a sandbox is one once its pod is gone, until its end is told, or that its node is lost", async () => {
  await tell(...LIVES, GONE);
  expect(await lookAt(`pod:${uid}`, 1)).toEqual([]);
  expect(await lookAt(`pod:${uid}`, 10)).toEqual(["C16"]);
  const [found] = await scene.look();
  expect(found!.detail).toContain('its sandbox "sandbox-1" on node "node-1"');
  await tell(...LIVES, ENDS);
  expect(await lookAt(`pod:${uid}`, 10)).toEqual([]);
});

test("none is expected to end on a node that is lost", async () => {
  await tell(...LIVES, { fact: "nodeLost" }, GONE);
  expect(await lookAt(`pod:${uid}`, 10)).toEqual([]);
});
