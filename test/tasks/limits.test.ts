import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { TaskStore } from "../../src/state/task-port.ts";
import { auditDatabase } from "../model/audit.ts";
import { describeOnHomes, oneHome } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { pushOf, Tasks } from "../support/tasks.ts";

describeOnHomes(
  "what one task may have",
  (home) => {
    let bench: Bench;
    let store: TaskStore;
    let namespace = "";
    let tasks: Tasks;
    let count = 0;

    beforeAll(async () => {
      bench = await openBench(home);
      ({ tasks: store } = bench.openStore());
    });

    afterAll(() => bench.close());

    beforeEach(() => {
      namespace = `n${++count}`;
      tasks = new Tasks(store, namespace);
    });

    const numberOf = (id: string): string =>
      `(select s.state_no from agent_state.states s where s.namespace = '${namespace}' and s.id = '${id}')`;

    test("of children is bounded, as it is told of each", async () => {
      await tasks.push(pushOf("parent"));
      await bench.sql(
        `insert into agent_state.tasks (task_no, stack_no, priority, depth, max_attempts, backoff_ms, max_backoff_ms, preempt, phase, kind, parent_no)
         select -g, t.stack_no, 0, 1, 1, 0, 0, 'step', 'ready', 'child', t.task_no from agent_state.tasks t, generate_series(1, 9999) g
          where t.task_no = ${numberOf("parent")}`,
      );
      const child = (id: string): ReturnType<typeof pushOf> =>
        pushOf(id, { parent: "parent", stack: "t" });
      expect((await tasks.push(child("last")))[0]!.code).toBeNull();
      expect((await tasks.push(child("one more")))[0]).toMatchObject({
        code: "TASK_TOO_WIDE",
        detail: "parent",
      });
    });

    test("of effects is bounded; those that it has are answered as ever", async () => {
      await tasks.push(pushOf("a"));
      const { epoch } = await tasks.claimOne("w");
      const record = (
        key: string,
        receipt: string | null = null,
      ): ReturnType<TaskStore["recordEffect"]> =>
        store.recordEffect(namespace, { id: "a", epoch, key, receipt, again: false });
      await record("first", "1");
      await bench.sql(
        `insert into agent_state.effects (task_no, key, epoch, begun_at) select ${numberOf("a")}, 'k' || g, 1, now() from generate_series(1, 9998) g`,
      );
      expect((await record("last")).standing).toBe("begun");
      expect((await record("one more")).code).toBe("PAYLOAD_TOO_LARGE");
      expect(await record("last", "2")).toMatchObject({ code: null, standing: "done" });
      expect(await record("first")).toMatchObject({ standing: "done", receipt: "1" });
    });

    test("of events that nobody waits for is bounded; what it waits for comes through", async () => {
      await tasks.push(pushOf("a"));
      const answer = (event: string, data = "1"): ReturnType<TaskStore["answer"]> =>
        store.answer(namespace, "a", { event, data, actor: null });
      const held = await tasks.claimOne("w");
      await tasks.report(held, "wait", { body: { for: "event", name: "go" } });
      await bench.sql(
        `update agent_state.tasks set events = array(select 'e' || g from generate_series(1, 1000) g) where task_no = ${numberOf("a")}`,
      );
      expect((await answer("another")).code).toBe("PAYLOAD_TOO_LARGE");
      expect((await answer("e7")).code).toBeNull();
      await bench.sql(
        `update agent_state.tasks set events = null where task_no = ${numberOf("a")}`,
      );
      const large = JSON.stringify("x".repeat(1_000_000));
      const codes = [];
      for (let n = 0; n < 6; n++) codes.push((await answer(`large ${n}`, large)).code);
      expect(codes).toEqual([null, null, null, null, null, "PAYLOAD_TOO_LARGE"]);
      expect(await answer("go")).toMatchObject({ code: null, phase: "ready" });
      await auditDatabase(bench, namespace);
    });

    test("of results is bounded: where a parent has many, they are read from the children", async () => {
      await tasks.push(pushOf("parent", { stack: "p" }));
      const parent = await tasks.claimOne("w", { stacks: ["p"] });
      await tasks.report(parent, "wait", { body: { for: "event", name: "never" } });
      const body = "x".repeat(60_000);
      let n = 0;
      for (const children of [75, 2]) {
        const stacks = Array.from({ length: children }, () => `c${n++}`);
        await tasks.push(...stacks.map((stack) => pushOf(stack, { stack, parent: "parent" })));
        const claimed = await tasks.claim("w", { stacks, limit: children });
        expect(claimed).toHaveLength(children);
        for (const task of claimed) await tasks.report(task, "complete", { body });
      }
      const { results } = await tasks.read("parent");
      const isLarge = results.map((result) => result.from === "task" && result.isLarge === true);
      expect(isLarge.slice(0, 60)).not.toContain(true);
      expect(isLarge.slice(75)).toEqual([true, true]);
      expect((await tasks.read("c76")).result).toBe(body);
      await auditDatabase(bench, namespace);
    });
  },
  oneHome(),
);
