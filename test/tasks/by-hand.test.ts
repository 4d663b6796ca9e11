import { afterAll, beforeAll, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { Json } from "../../src/state/json.ts";
import type { Task } from "../../src/state/task.ts";
import { describeOnPostgres } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";

describeOnPostgres("a task whose document somebody writes over", (home) => {
  let bench: Bench;
  let manager: StateManager;

  beforeAll(async () => {
    bench = await openBench(home);
    manager = bench.openManager();
  });

  afterAll(() => bench.close());

  async function claim(stack: string): Promise<Task> {
    const [task] = await manager.tasks.claim({ worker: "w", incarnation: "1", stacks: [stack] });
    return task!;
  }

  /** A parent that waits for two children, which are in stacks of their own. */
  async function family(parent: string): Promise<void> {
    await manager.tasks.push(parent, { id: parent, input: "what to do" });
    const { epoch } = await claim(parent);
    for (const id of [`${parent}.c`, `${parent}.d`]) await manager.tasks.push(id, { id, parent });
    await manager.tasks.wait(parent, { epoch, wait: { for: "child" } });
  }

  test.each([
    ["an object without its members", { note: 1 }],
    ["results that are none", { results: "none", input: 1 }],
    ["results that are an object", { results: {} }],
    ["a list", []],
    ["a text", "done"],
    ["null", null],
  ] as const)("%s: its children end, and it hears of them", async (what, data: Json) => {
    const parent = what.replaceAll(" ", "-");
    await family(parent);
    await manager.updateState(parent, "task", data, { scope: parent });
    expect((await manager.tasks.stack(parent)).map(({ id }) => id)).toEqual([parent]);
    const child = await claim(`${parent}.c`);
    await manager.tasks.complete(child.id, { epoch: child.epoch, result: "done" });
    // The other one is ended by the sweep, which does so for everybody.
    await bench.sql(
      `update agent_state.tasks t set deadline = clock_timestamp() from agent_state.states s where s.state_no = t.task_no and s.id = $1`,
      [`${parent}.d`],
    );
    const task = await until(async () => {
      await manager.tasks.sweep();
      const now = await manager.tasks.get(parent);
      return now.phase === "ready" ? now : undefined;
    });
    expect(task.results).toMatchObject([
      { from: "task", id: `${parent}.c`, phase: "completed", result: "done" },
      { from: "task", id: `${parent}.d`, phase: "failed" },
    ]);
    await manager.tasks.answer(parent, { event: "go", data: 1 });
    expect((await claim(parent)).results).toHaveLength(3);
  });

  test("a wait that is none is taken as one that is over", async () => {
    await family("w");
    const data = { wait: { for: "timer", until: "soon", children: "all" } };
    await manager.updateState("w", "task", data, { scope: "w", phase: "ready" });
    await manager.updateState("w", "task", data, { scope: "w", phase: "working" });
    await manager.updateState("w", "task", data, { scope: "w", phase: "waiting" });
    await until(async () => {
      await manager.tasks.sweep();
      return (await manager.tasks.get("w")).phase === "ready";
    });
  });
});
