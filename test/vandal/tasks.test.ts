import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { CheckName } from "../../src/state/fsck.ts";
import type { Task } from "../../src/state/task.ts";
import { named, Scene } from "./scene.ts";

const ME = { worker: "w", incarnation: "1" };

let scene: Scene;
let under: Task;
let held: Task;

/** No sweep of tasks puts right by itself what is to be found: it lets another one go first, which ends with the scene. */
beforeAll(async () => {
  scene = await Scene.open();
  const other = await scene.bench.connect();
  await other.query("select pg_advisory_lock(hashtext('agent_state.sweep_tasks'))");
});
afterAll(() => scene.close());

/** A stack of two: the newer one is being worked on. */
beforeEach(async () => {
  await scene.setUp();
  const { tasks } = scene.manager;
  under = await tasks.push(scene.scope, { kind: "under" });
  await tasks.push(scene.scope, { kind: "above", preempt: "never" });
  held = await claim();
  await scene.follower.drain();
});

async function claim(): Promise<Task> {
  const [task] = await scene.manager.tasks.claim({ ...ME, stacks: [scene.scope] });
  return task!;
}

const no = (id: string): string => `(select state_no from agent_state.states where id = '${id}')`;
const stack = (): string =>
  `stack_no = (select stack_no from agent_state.tasks where task_no = ${no(held.id)})`;

/** A child of the task that is held, which waits for it; then nothing is held. */
async function waitForChild(): Promise<Task> {
  const child = await scene.manager.tasks.push(scene.scope, {
    parent: held.id,
    parentEpoch: held.epoch,
    priority: 9,
  });
  await scene.manager.tasks.wait(held.id, { epoch: held.epoch, wait: { for: "child" } });
  return child;
}

interface Case {
  readonly what: string;
  readonly check: CheckName;
  /** What follows from that. */
  readonly also?: readonly CheckName[];
  readonly by: () => string | Promise<string>;
}

const repaired: readonly Case[] = [
  {
    what: "a lease that ended long ago",
    check: "C8",
    by: () => "update agent_state.workers set lease_until = now() - interval '1 hour'",
  },
  {
    what: "a worker that was deleted",
    check: "C8",
    by: () => "delete from agent_state.workers",
  },
  {
    what: "an epoch that went back",
    check: "C9",
    by: () => `update agent_state.tasks set epoch = 0 where task_no = ${no(held.id)}`,
  },
  {
    what: "a stack that forgot what is next",
    check: "C10",
    by: async () => {
      await scene.manager.tasks.complete(held.id, { epoch: held.epoch });
      return `update agent_state.stacks set ready_since = null, ready_kind = null where ${stack()}`;
    },
  },
  {
    what: "a task that lost its turn",
    check: "C10",
    by: () => `update agent_state.tasks set turn = null where task_no = ${no(under.id)}`,
  },
  {
    what: "a second one that is held",
    check: "C10",
    by: () =>
      `update agent_state.tasks t set phase = 'working', turn = null, worker_no = h.worker_no from agent_state.tasks h
        where t.task_no = ${no(under.id)} and h.task_no = ${no(held.id)}`,
  },
  {
    what: "a stack that forgot who is held",
    check: "C10",
    by: () => `update agent_state.stacks set working_no = null where ${stack()}`,
  },
  {
    what: "a stack that waits for a task that nobody holds",
    check: "C10",
    by: async () => {
      await scene.manager.tasks.complete(held.id, { epoch: held.epoch });
      return `update agent_state.stacks set working_no = ${no(held.id)} where ${stack()}`;
    },
  },
  {
    what: "a stack that is gone",
    check: "C10",
    by: () => `delete from agent_state.stacks where ${stack()}`,
  },
  {
    what: "a task that was ended past its state",
    check: "C10",
    by: () =>
      `update agent_state.tasks set phase = 'completed', turn = null, ended_at = now() where task_no = ${no(under.id)}`,
  },
  {
    what: "a child that was waited for, and is gone",
    check: "C11",
    also: ["C10"],
    by: async () =>
      `delete from agent_state.tasks where task_no = ${no((await waitForChild()).id)}`,
  },
];

test.each(repaired)("$what is found by $check, and put right", async ({ check, also = [], by }) => {
  await scene.vandalize(await by());
  const found = await scene.look();
  expect(named(found)).toEqual([...also, check]);
  expect(await scene.isHeld()).toBe(false);

  const plan = await scene.look({ plan: true });
  expect(plan.map(({ safe }) => safe)).not.toContain(false);
  expect(named(await scene.look()), "a plan does nothing").toEqual(named(found));
  const fixed = await scene.look({ fix: "safe" });
  expect(fixed.map(({ resolvedAt }) => resolvedAt)).not.toContain(null);
  expect(named(await scene.look())).toEqual([]);
  await workOff();
});

/** All that is left runs to its end, each once at a time. */
async function workOff(): Promise<void> {
  const { tasks } = scene.manager;
  for (const { id, phase, epoch } of await tasks.stack(scene.scope)) {
    if (phase === "working") await tasks.complete(id, { epoch }).catch(() => undefined);
  }
  for (let left = 9; left > 0; left--) {
    const task = await claim();
    if (task === undefined) break;
    await tasks.complete(task.id, { epoch: task.epoch });
  }
  expect(await tasks.stack(scene.scope)).toEqual([]);
}

test("who was given back is fenced, above every epoch that was given out", async () => {
  await scene.vandalize(`update agent_state.tasks set epoch = 0 where task_no = ${no(held.id)}`);
  await scene.look({ fix: "safe" });
  const late = scene.manager.tasks.complete(held.id, { epoch: held.epoch });
  await expect(late).rejects.toMatchObject({ code: "EPOCH_FENCED" });
  expect((await claim()).epoch).toBeGreaterThan(held.epoch);
  await workOff();
});

test("an end that no parent was told of is told once", async () => {
  const child = await waitForChild();
  const { epoch } = await claim();
  await scene.manager.tasks.complete(child.id, { epoch, result: 7 });
  await scene.vandalize(
    `update agent_state.tasks set is_told = false, ended_at = now() - interval '1 hour' where task_no = ${no(child.id)}`,
  );
  expect(named(await scene.look())).toEqual(["C11"]);
  await scene.look({ fix: "safe" });
  expect(named(await scene.look())).toEqual([]);
  const { results } = await scene.manager.tasks.get(held.id);
  expect(results).toEqual([{ from: "task", id: child.id, phase: "completed", result: 7 }]);
  await workOff();
});

test("an effect that nobody will tell of any more is told, and left to a person", async () => {
  const { tasks } = scene.manager;
  await tasks.effect(held.id, { epoch: held.epoch, key: "mail" });
  await tasks.complete(held.id, { epoch: held.epoch });
  const [found] = await scene.look({ fix: "safe" });
  expect(found).toMatchObject({ check: "C12", kind: "unlive", safe: false, resolvedAt: null });
  expect(found!.detail).toContain('"mail"');
  await workOff();
});

test("a task that is claimed over and over is told", async () => {
  const { tasks } = scene.manager;
  for (let times = 1; times < 10; times++) {
    expect(named(await scene.look())).toEqual([]);
    await tasks.release(held.id, { epoch: held.epoch });
    held = await claim();
  }
  const [found] = await scene.look({ fix: "safe" });
  expect(found).toMatchObject({ check: "C17", kind: "sterile", safe: false });
  await tasks.checkpoint(held.id, { epoch: held.epoch, resumePoint: { step: 1 } });
  await scene.look({ fix: "safe" });
  expect(named(await scene.look())).toEqual([]);
  await workOff();
});

test("an end that is superseded out of the rollback database leaves all copies well", async () => {
  const { pair, follower } = scene;
  await scene.manager.tasks.complete(held.id, { epoch: held.epoch, result: 7 });
  await follower.drain();
  const { source, states } = await pair.manager.rollback(scene.scope);
  expect(source).toBe("rollback");
  expect(states).toMatchObject([{ id: held.id, action: "supersede", phase: "completed" }]);
  await follower.drain();
  expect(named(await scene.look())).toEqual([]);
  const [next] = await pair.manager.tasks.stack(scene.scope);
  expect(next).toMatchObject({ id: states[0]!.supersededBy, phase: "ready", supersedes: held.id });
});
