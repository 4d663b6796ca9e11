import { afterAll, beforeAll, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import type { Task } from "../../src/state/task.ts";
import { describeOnPostgres } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";

describeOnPostgres("a task that is canceled while it pushes", (home) => {
  let bench: Bench;
  let manager: StateManager;
  let other: StateManager;

  beforeAll(async () => {
    bench = await openBench(home);
    manager = bench.openManager();
    other = bench.openManager();
  });

  afterAll(() => bench.close());

  async function held(id: string): Promise<Task> {
    await manager.tasks.push(id, { id });
    const [task] = await manager.tasks.claim({ worker: "w", incarnation: "1", stacks: [id] });
    return task!;
  }

  test("has no children any more, in its stack or in another", async () => {
    const { epoch } = await held("p");
    expect(await manager.tasks.cancel("p")).toEqual([{ id: "p", phase: "canceling" }]);
    for (const stack of ["p", "q"]) {
      const push = manager.tasks.push(stack, { id: `${stack}.c`, parent: "p", parentEpoch: epoch });
      await expect(push).rejects.toMatchObject({ code: "TASK_ENDED" });
      await expect(manager.tasks.get(`${stack}.c`)).rejects.toMatchObject({
        code: "TASK_NOT_FOUND",
      });
    }
    expect(await manager.tasks.release("p", { epoch })).toMatchObject({ phase: "canceled" });
  });

  test("leaves none behind that was pushed at the same moment", async () => {
    const pushed: string[] = [];
    for (let round = 0; round < 15; round++) {
      const parent = `race${round}`;
      const { epoch } = await held(parent);
      const children = Array.from({ length: 3 }, (_, n) => `${parent}.${n}`);
      const [, ...answers] = await Promise.allSettled([
        manager.tasks.cancel(parent),
        ...children.map((id) => other.tasks.push(id, { id, parent, parentEpoch: epoch })),
      ]);
      pushed.push(...children.filter((_, n) => answers[n]!.status === "fulfilled"));
    }
    const phases = await Promise.all(pushed.map(async (id) => (await manager.tasks.get(id)).phase));
    expect(phases).toEqual(pushed.map(() => "canceled"));
  });

  test("ends the run of its handler where that pushes one", async () => {
    const reasons: unknown[] = [];
    const processor = manager.startLifoTaskProcessor(
      async (task, run) => {
        await manager.tasks.cancel(task.id);
        await run.push("c").catch((error: unknown) => reasons.push(error));
        return "done";
      },
      { stacks: ["run"] },
    );
    const { id } = await manager.tasks.push("run", {});
    await until(async () => (await manager.tasks.get(id)).phase === "canceled");
    expect(reasons).toMatchObject([{ name: "RunInterrupted", reason: "canceled" }]);
    expect((await manager.tasks.get(id)).children).toEqual([]);
    await processor.stop();
  });
});
