import { afterAll, beforeAll, expect, test } from "vitest";
import { auditDatabase } from "../model/audit.ts";
import { describeOnHomes } from "../support/homes.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { LONG_MS, pushOf, Tasks } from "../support/tasks.ts";

/** A call with one report, one with many, and one whose reports have more to them go different ways to the same end. */
describeOnHomes("reports of ends", (home) => {
  let bench: Bench;
  let count = 0;
  let namespace = "";

  beforeAll(async () => {
    bench = await openBench(home);
  });

  afterAll(() => bench.close());

  function open(): Tasks {
    namespace = `n${++count}`;
    return new Tasks(bench.openStore().tasks, namespace);
  }

  async function pushTo(tasks: Tasks, stacks: readonly string[], more = {}): Promise<void> {
    await tasks.push(...stacks.map((stack) => pushOf(`${stack}-old`, { stack, ...more })));
    await tasks.push(...stacks.map((stack) => pushOf(`${stack}-new`, { stack, ...more })));
  }

  async function expire(worker: string): Promise<void> {
    await bench.sql(
      `update agent_state.workers set lease_until = clock_timestamp() where namespace = $1 and worker = $2`,
      [namespace, worker],
    );
  }

  async function hold(scope: string): Promise<void> {
    await bench.sql(
      `insert into agent_state.holds (scope_no) select scope_no from agent_state.scopes where namespace = $1 and scope = $2`,
      [namespace, scope],
    );
  }

  /** All that was written, but for times and digests. */
  async function written(): Promise<unknown[]> {
    return await bench.sql(
      `select s.id, c.version, c.step, c.position, c.kind, c.stored, c.phase, c.actor, c.cause, c.body::text, s.is_scheduled, s.delta_bytes,
              s.delta_count, t.phase as task_phase, t.seq - min(t.seq) over () as seq, t.turn = t.seq as waits, t.epoch, t.attempt, t.is_resumed, t.last_report,
              t.worker_no is null as is_free, t.ended_at is null as lives, k.ready_kind, k.ready_since is null as rests, k.working_no is null as idle
         from agent_state.changes c join agent_state.states s using (state_no) join agent_state.tasks t on t.task_no = c.state_no
         join agent_state.stacks k using (stack_no)
        where s.namespace = $1 order by s.id, c.version`,
      [namespace],
    );
  }

  const stacks = ["s", "t", "u"];

  test.each([["claimed anew" as const], ["not claimed" as const]])(
    "write the same alone and together; the next is %s",
    async (next) => {
      const seen: Record<string, unknown[]> = {};
      for (const way of ["alone", "together", "with more"]) {
        const tasks = open();
        await pushTo(tasks, stacks);
        const held = await tasks.claim("w", { limit: 3 });
        const reports = held.map((task) => ({
          task,
          report: "complete" as const,
          body: { of: task.stack, none: null },
        }));
        const order = { worker: "w", limit: next === "claimed anew" ? 1 : 0 };
        if (way === "together")
          await tasks.together(reports, { ...order, limit: order.limit * reports.length });
        else {
          for (const report of reports) {
            // One that is refused is beside each, so that none of them is a call of its own.
            const beside = { ...report, task: { id: "nothing", epoch: 1n } };
            const { answers } = await tasks.together(
              way === "alone" ? [report] : [report, beside],
              {
                ...order,
                stacks: [report.task.stack],
              },
            );
            expect(answers[0]).toMatchObject({ code: null, phase: "completed" });
          }
        }
        seen[way] = await written();
        await auditDatabase(bench, namespace);
      }
      expect(seen["alone"]).toHaveLength(next === "claimed anew" ? 15 : 12);
      expect(seen["together"]).toEqual(seen["alone"]);
      expect(seen["with more"]).toEqual(seen["alone"]);
    },
  );

  test("have each their own fate in one call", async () => {
    const tasks = open();
    await pushTo(tasks, ["plain", "old", "held", "checkpoint", "fail", "below"]);
    await tasks.push(pushOf("parent", { stack: "parent" }));
    await tasks.push(pushOf("child", { stack: "child", parent: "parent" }));
    await tasks.push(pushOf("late", { stack: "late" }));
    await tasks.claim("zombie", { stacks: ["late"] });
    const held = await tasks.claim("w", { limit: 20 });
    await expire("zombie");
    await hold("held");
    await tasks.push(pushOf("above", { stack: "checkpoint" }));
    // Below the one that works is one that was interrupted: its phase changes with the end.
    await tasks.push(pushOf("below-top", { stack: "below" }));
    const interrupted = held.find(({ id }) => id === "below-new")!;
    await tasks.report(interrupted, "checkpoint", { resume: 1 });
    const top = await tasks.claimOne("w", { stacks: ["below"] });
    const of = (id: string): { id: string; epoch: bigint } =>
      [...held, top].find((task) => task.id === id)!;
    const { answers } = await tasks.together(
      [
        { task: of("plain-new"), report: "complete", body: 1 },
        { task: { ...of("old-new"), epoch: 0n }, report: "complete" },
        { task: of("held-new"), report: "complete" },
        { task: of("checkpoint-new"), report: "checkpoint", resume: 2 },
        { task: of("fail-new"), report: "fail", body: { error: "no" } },
        { task: of("below-top"), report: "complete" },
        { task: of("child"), report: "complete", body: "result" },
        { task: { id: "late", epoch: 1n }, report: "complete" },
        { task: { id: "nothing", epoch: 1n }, report: "complete" },
      ],
      { worker: "w", limit: 0 },
    );
    expect(answers.map(({ code, phase, wanted }) => [code, phase, wanted])).toEqual([
      [null, "completed", null],
      ["EPOCH_FENCED", "working", null],
      ["SCOPE_ON_HOLD", "working", null],
      [null, "suspended", "suspended"],
      [null, "ready", null],
      [null, "completed", null],
      [null, "completed", null],
      ["EPOCH_FENCED", "working", null],
      ["TASK_NOT_FOUND", null, null],
    ]);
    expect((await tasks.read("parent")).results).toEqual([
      { from: "task", id: "child", phase: "completed", result: "result" },
    ]);
    expect(await tasks.stack("below")).toEqual(["below-new ready", "below-old ready"]);
    const again = await tasks.together(
      [
        { task: of("plain-new"), report: "complete", body: 1 },
        { task: of("fail-new"), report: "complete" },
      ],
      { worker: "w", limit: 0 },
    );
    expect(again.answers.map(({ code }) => code)).toEqual(["REPLAYED", "EPOCH_FENCED"]);
    await auditDatabase(bench, namespace);
  });

  test("alone are refused as any: another epoch, a lease that ran out, a hold", async () => {
    const tasks = open();
    await pushTo(tasks, ["s"]);
    const task = await tasks.claimOne("w");
    const end = async (epoch = task.epoch): Promise<string | null> => {
      const order = { worker: "w", body: 1, stacks: ["s"] };
      const { answer, claimed } = await tasks.next({ ...task, epoch }, "complete", order);
      if (answer.code !== null) expect(claimed).toEqual([]);
      return answer.code;
    };
    expect(await end(task.epoch + 1n)).toBe("EPOCH_FENCED");
    await hold("s");
    expect(await end()).toBe("SCOPE_ON_HOLD");
    await bench.sql(`delete from agent_state.holds`);
    const below = await tasks.claim("v", { stacks: ["s"] });
    expect(below).toEqual([]);
    await expire("w");
    const { code } = await tasks.report(task, "complete", { body: 1 });
    expect(code).toBe("EPOCH_FENCED");
    expect(await tasks.stack()).toEqual(["s-new working", "s-old ready"]);
  });

  test("alone give the worker what waited longest, of its kinds, wherever that is", async () => {
    const tasks = open();
    await tasks.push(pushOf("first"), pushOf("second"));
    const first = await tasks.claimOne("w");
    await tasks.push(pushOf("elsewhere", { stack: "t" }));
    await tasks.push(pushOf("other", { stack: "u", kind: "x" }));
    const one = await tasks.next(first, "complete", { worker: "w", body: 1 });
    expect(one.claimed.map(({ id }) => id)).toEqual(["elsewhere"]);
    const two = await tasks.together([{ task: one.claimed[0]!, report: "complete", body: 1 }], {
      worker: "w",
      kinds: ["work"],
    });
    expect(two.claimed.map(({ id }) => id)).toEqual(["first"]);
    const three = await tasks.together([{ task: two.claimed[0]!, report: "complete", body: 1 }], {
      worker: "w",
      kinds: ["work"],
    });
    expect(three.claimed).toEqual([]);
    expect(await tasks.stack("u")).toEqual(["other ready"]);
    await auditDatabase(bench, namespace);
  });

  test("of a worker whose lease is half over renew it with the claim of the next", async () => {
    const tasks = open();
    await pushTo(tasks, ["s"]);
    const task = await tasks.claimOne("w");
    await bench.sql(
      `update agent_state.workers set lease_until = clock_timestamp() + interval '20 s' where namespace = $1`,
      [namespace],
    );
    const { claimed } = await tasks.next(task, "complete", { worker: "w", body: 1, stacks: ["s"] });
    expect(claimed[0]!.lease!.until.getTime() - Date.now()).toBeGreaterThan(LONG_MS / 2);
  });
});
