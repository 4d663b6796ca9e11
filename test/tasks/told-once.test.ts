import { afterAll, beforeAll, expect, test } from "vitest";
import type { TaskStore } from "../../src/state/task-port.ts";
import { describeOnHomes, testHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { pushOf, Tasks } from "../support/tasks.ts";
import { until } from "../support/until.ts";

const namespace = "told";

// What is proven is in the function; ways to it do not matter.
const [direct] = testHomes();

describeOnHomes(
  "the end of a child",
  (home) => {
    let bench: Bench;
    let store: TaskStore;

    beforeAll(async () => {
      bench = await openBench(home);
      ({ tasks: store } = bench.openStore());
    });

    afterAll(() => bench.close());

    const setTold = (isTold: boolean): string =>
      `update agent_state.tasks t set is_told = ${isTold} from agent_state.states s
        where s.state_no = t.task_no and s.namespace = '${namespace}' and s.id = 'child'`;

    test("is told once, whatever is noted of it", async () => {
      const tasks = new Tasks(store, namespace);
      await tasks.push(pushOf("parent", { stack: "p" }));
      await tasks.push(pushOf("child", { stack: "c", parent: "parent" }));
      const child = await tasks.claimOne("w", {
        stacks: ["c"],
      });
      await tasks.report(child, "complete", { body: 7 });
      const { results } = await tasks.read("parent");
      expect(results).toEqual([{ from: "task", id: "child", phase: "completed", result: 7 }]);
      await bench.sql(setTold(false));
      expect(await store.sweep(100)).toMatchObject({ reconciled: 1 });
      expect((await tasks.read("parent")).results).toEqual(results);
      expect(await store.sweep(100)).toMatchObject({ reconciled: 0 });
    });

    test("is told once, also where a sweep has seen it untold and another is faster", async () => {
      const tasks = new Tasks(store, namespace);
      const { results } = await tasks.read("parent");
      await bench.sql(setTold(false));
      const other = await bench.connect();
      await other.query("begin");
      await other.query(
        `select from agent_state.stacks k join agent_state.scopes o on o.scope_no = k.stack_no where o.scope = 'p' for update of k`,
      );
      const sweep = store.sweep(100);
      await until(
        async () => {
          const waiting = await bench.sql(
            `select from pg_stat_activity where wait_event_type = 'Lock' and query like '%sweep_tasks%' and datname = current_database()`,
          );
          return waiting.length === 1;
        },
        { timeoutMs: 60_000, what: "a sweep that waits for the stack of the parent" },
      );
      await other.query(setTold(true));
      await other.query("commit");
      await sweep;
      expect((await tasks.read("parent")).results).toEqual(results);
    });
  },
  [direct!],
);
