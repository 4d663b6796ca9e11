import fc from "fast-check";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { ChildFailed, RunInterrupted } from "../../src/processor/interruption.ts";
import { LifoTaskProcessor } from "../../src/processor/lifo-task-processor.ts";
import type { Run } from "../../src/processor/run.ts";
import type { AgentRuntimeError } from "../../src/state/errors.ts";
import type { Json } from "../../src/state/json.ts";
import type { TaskFace } from "../../src/state/task-face.ts";
import type { Task } from "../../src/state/task.ts";
import { describeOnHomes, testHomes } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { until } from "../support/until.ts";
import { auditDatabase } from "./audit.ts";

const LEASE_MS = 1_000;
const MAX_ATTEMPTS = 3;
const numRuns = proofLength({ short: 4, full: 150 });

/** One task, and what it does: it is its own input. */
interface Plan {
  readonly stack: number;
  readonly priority: number;
  readonly preempt: "step" | "now" | "never";
  readonly delayMs: number;
  /** How often it throws before it succeeds. */
  readonly failures: number;
  readonly steps: number;
  readonly sleeps: boolean;
  /** What it waits for, which comes when somebody sees that it does. */
  readonly asks: "nobody" | "event" | "input";
  /** Asked for one after the other; each may have children of its own. */
  readonly children: readonly Plan[];
}

/** What a tree comes to, whoever does it and however often it is interrupted. */
function expected({ failures, children }: Plan): Json {
  const results = children.map(expected);
  return failures >= MAX_ATTEMPTS ? "failed" : results;
}

const { plan } = fc.letrec<{ plan: Plan }>((tie) => ({
  plan: fc.record({
    stack: fc.integer({ min: 0, max: 2 }),
    priority: fc.integer({ min: 0, max: 1 }),
    preempt: fc.constantFrom("step", "now", "never"),
    delayMs: fc.constantFrom(0, 0, 0, 20),
    failures: fc.constantFrom(0, 0, 0, 1, MAX_ATTEMPTS),
    steps: fc.integer({ min: 0, max: 3 }),
    sleeps: fc.constantFrom(false, false, true),
    asks: fc.constantFrom("nobody", "nobody", "nobody", "event", "input"),
    children: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc.constant([]),
      fc.array(tie("plan"), { maxLength: 2, depthIdentifier: "plans" }),
    ),
  }),
}));

interface Disturbance {
  readonly does: "freeze" | "restart" | "cancel" | "back";
  /** Which worker, task or stack. */
  readonly who: number;
  readonly afterMs: number;
}

const disturbances = fc.array(
  fc.record<Disturbance>({
    does: fc.constantFrom("freeze", "restart", "cancel", "back", "back"),
    who: fc.integer({ min: 0, max: 2 }),
    afterMs: fc.integer({ min: 0, max: 60 }),
  }),
  { maxLength: 6 },
);

/** The stacks that a tree is in. */
function stacksOf({ stack, children }: Plan): number[] {
  return [stack, ...children.flatMap(stacksOf)];
}

/** Why a scope does not go back. */
const REFUSED = ["TERMINAL_PUBLISHED", "NO_EARLIER_STEP", "STEP_QUARANTINED", "SCOPE_NOT_FOUND"];

const leaf: Plan = {
  stack: 0,
  priority: 0,
  preempt: "step",
  delayMs: 0,
  failures: 0,
  steps: 3,
  sleeps: false,
  asks: "nobody",
  children: [],
};

/** What chance might miss: each sort of wait, and a stack that goes back in the middle of its work. */
const EXAMPLES: readonly (readonly [readonly Plan[], readonly Disturbance[]])[] = [
  [
    [
      { ...leaf, asks: "event", sleeps: true, children: [leaf, { ...leaf, asks: "input" }] },
      { ...leaf, stack: 1, children: [{ ...leaf, stack: 2 }] },
    ],
    [0, 1, 2, 0, 1].map((who) => ({ does: "back", who, afterMs: 5 })),
  ],
];

const [direct] = testHomes();

describeOnHomes(
  "processors against the plan of their tasks",
  (home) => {
    let bench: Bench;
    let manager: StateManager;
    let runs = 0;
    const met = new Set<string>();

    beforeAll(async () => {
      bench = await openBench(home);
      // Of a worker that is lost again and again no task is to be suspected here.
      manager = bench.openManager({ tasks: { leaseMs: LEASE_MS, crashBudget: 1_000 } });
    });

    afterAll(async () => await bench.close());

    async function push(name: string, { stack, ...rest }: Plan): Promise<string> {
      return (await manager.tasks.push(`${name}-${stack}`, requestOf({ stack, ...rest }))).id;
    }

    async function tryOut(plans: readonly Plan[], all: readonly Disturbance[]): Promise<void> {
      const name = `run${++runs}`;
      const stacks = [0, 1, 2].map((n) => `${name}-${n}`);
      const start = (): Worker => startWorker(manager.tasks, name, stacks);
      const roots = await Promise.all(plans.map((each) => push(name, each)));
      const workers = [start(), start(), start()]; // after them, so that stacks are deep
      const canceled = new Set<string>();
      const wentBack = new Set<number>();
      for (const { does, who, afterMs } of all) {
        await sleep(afterMs);
        const root = roots[who % roots.length]!;
        if (does === "cancel") {
          canceled.add(root);
          await manager.tasks.cancel(root).catch(() => undefined); // it may have ended
        } else if (does === "back") {
          if (await goBack(stacks[who]!)) wentBack.add(who);
        } else if (does === "freeze") workers[who]!.freeze();
        else {
          workers.push(workers[who]!);
          workers[who]!.freeze();
          workers[who] = start();
        }
      }
      for (const worker of workers) worker.thaw(); // what was lost meanwhile is a zombie's now
      await until(async () => (await answerAll(stacks)) === 0, { what: "the end of all" });
      await Promise.all(workers.map(({ processor }) => processor.stop()));
      for (const [n, root] of roots.entries()) {
        if (stacksOf(plans[n]!).some((stack) => wentBack.has(stack))) continue;
        const task = await manager.tasks.get(root);
        const outcome = task.phase === "failed" ? "failed" : task.result;
        if (!canceled.has(root) || task.phase === "completed")
          expect(outcome).toEqual(expected(plans[n]!));
      }
      await expectOrder(name);
      await expectToldOnce(name, wentBack.size > 0);
      await auditDatabase(bench, "default");
    }

    /** Takes back the last step of a stack, whoever works there; whether there was one to take back. */
    async function goBack(stack: string): Promise<boolean> {
      for (;;) {
        try {
          const { states } = await manager.rollback(stack);
          for (const { action } of states) met.add(action);
          return true;
        } catch (error) {
          const { code } = error as AgentRuntimeError;
          if (code === "STEP_CONFLICT") continue; // somebody was faster
          if (REFUSED.includes(code)) return false;
          throw error;
        }
      }
    }

    /** Gives the tasks of these stacks what they wait for; answers how many have not ended. */
    async function answerAll(stacks: readonly string[]): Promise<number> {
      const open = await Promise.all(stacks.map((stack) => manager.tasks.stack(stack)));
      for (const { id, phase, wait } of open.flat()) {
        const isForEvent = (wait as { readonly for?: string } | undefined)?.for === "event";
        const answer = isForEvent ? { event: "go", data: 1 } : { data: 1 };
        if (isForEvent || phase === "input_required")
          await manager.tasks.answer(id, answer).catch(() => undefined); // it may have gone on
      }
      return open.flat().length;
    }

    /**
     * Of each stack, the history from its first step: nobody is claimed while another is held, and who is claimed is the
     * highest. A task that a rollback took back to before it arrived arrives anew, so before that nobody knows its place.
     */
    async function expectOrder(name: string): Promise<void> {
      const rows = await bench.sql<Moved>(
        `select o.scope as stack, s.id, case when c.body is not null or c.stored <> 'f' then c.phase end as phase, t.priority, t.seq::int as seq,
                c.step > coalesce((select max(r.step) from agent_state.rollbacks r where r.scope_no = c.scope_no), 0) as "isPlaced"
           from agent_state.changes c join agent_state.states s using (state_no) join agent_state.tasks t on t.task_no = s.state_no
           join agent_state.scopes o on o.scope_no = c.scope_no
          where o.scope like $1 order by c.scope_no, c.step, c.position`,
        [`${name}-%`],
      );
      const phases = new Map<string, Moved>();
      for (const row of rows) {
        const others = [...phases.values()].filter((o) => o.stack === row.stack && o.id !== row.id);
        if (row.phase === "working" && phases.get(row.id)?.phase === "ready") {
          expect(others.filter(({ phase }) => isIn(phase, "working", "canceling"))).toEqual([]);
          const waiting = others.filter(({ phase }) => isIn(phase, "ready", "suspended"));
          if (row.isPlaced) expect(waiting.filter((other) => isAbove(other, row))).toEqual([]);
        }
        phases.set(row.id, row);
      }
    }

    /** Once; where a scope went back, a child may be gone, or have ended again after its parent did. */
    async function expectToldOnce(name: string, mayBeUntold: boolean): Promise<void> {
      const rows = await bench.sql<{ parent: string; child: string; told: number }>(
        `select q.id as parent, s.id as child, (
                  select count(*)::int from json_array_elements(agent_state.document(q.state_no, q.version) -> 'results') r
                   where r ->> 'from' = 'task' and r ->> 'id' = s.id) as told
           from agent_state.tasks t join agent_state.states s on s.state_no = t.task_no
           join agent_state.states q on q.state_no = t.parent_no
          where s.scope like $1 and q.phase in ('completed', 'failed') and not q.deleted`,
        [`${name}-%`],
      );
      for (const { child, told } of rows) {
        if (mayBeUntold) expect(told, child).toBeLessThan(2);
        else expect(told, child).toBe(1);
      }
    }

    test(
      "all end, in the order of their stacks, each told to its parent once, whatever becomes of workers and scopes",
      { timeout: numRuns * 60_000 },
      async () => {
        const plans = fc.array(plan, { minLength: 1, maxLength: 6 });
        await fc.assert(fc.asyncProperty(plans, disturbances, tryOut), {
          numRuns,
          endOnFailure: true,
          examples: EXAMPLES.map(([some, others]): [readonly Plan[], readonly Disturbance[]] => [
            some,
            others,
          ]),
        });
        expect(met.size, "what rollbacks did").toBeGreaterThan(0);
      },
    );
  },
  [direct!],
);

interface Moved {
  readonly stack: string;
  readonly id: string;
  /** Null: it is gone. */
  readonly phase: string | null;
  readonly priority: number;
  readonly seq: number;
  readonly isPlaced: boolean;
}

function isIn(phase: string | null, ...phases: readonly string[]): boolean {
  return phase !== null && phases.includes(phase);
}

function isAbove(one: Moved, other: Moved): boolean {
  return one.priority > other.priority || (one.priority === other.priority && one.seq > other.seq);
}

function requestOf(plan: Plan): {
  input: Json;
  priority: number;
  preempt: Plan["preempt"];
  delayMs?: number;
  retry: { maxAttempts: number; backoffMs: number; maxBackoffMs: number };
} {
  const { priority, preempt, delayMs } = plan;
  return {
    input: plan as unknown as Json,
    priority,
    preempt,
    ...(delayMs > 0 ? { delayMs } : {}),
    retry: { maxAttempts: MAX_ATTEMPTS, backoffMs: 0, maxBackoffMs: 0 },
  };
}

/** Does a plan. */
async function handle(name: string, task: Task, run: Run): Promise<Json> {
  const { failures, steps, sleeps, asks, children } = task.input as unknown as Plan;
  for (let step = Number(run.resumePoint ?? 0) + 1; step <= steps; step++)
    await run.checkpoint(step);
  if (sleeps) await run.sleep("nap", 10);
  if (asks === "event") await run.waitForEvent("go");
  if (asks === "input") await run.waitForInput("question");
  const results: Json[] = [];
  for (const [n, child] of children.entries()) {
    const request = { ...requestOf(child), stack: `${name}-${child.stack}` };
    results.push(await run.child(String(n), request).catch(endOf));
  }
  // A lost lease takes an attempt as well: what is to fail does not count on how many are left.
  if (failures >= MAX_ATTEMPTS) run.fail("as planned", { retry: false });
  if (task.attempt <= failures) throw new Error("as planned");
  return results;
}

function endOf(error: unknown): Json {
  if (error instanceof ChildFailed) return error.phase;
  if (error instanceof RunInterrupted) throw error;
  throw error;
}

interface Worker {
  readonly processor: LifoTaskProcessor;
  /** From now on none of its calls comes through, its heartbeats neither, until it thaws. */
  freeze(): void;
  thaw(): void;
}

function startWorker(tasks: TaskFace, name: string, stacks: readonly string[]): Worker {
  let thaw = (): void => undefined;
  let gate: Promise<void> | undefined;
  const face = new Proxy(tasks, {
    get:
      (_target, call) =>
      async (...args: unknown[]) => {
        await gate;
        const answer: unknown = await Reflect.apply(
          Reflect.get(tasks, call) as () => unknown,
          tasks,
          args,
        );
        await gate;
        return answer;
      },
  });
  const processor = new LifoTaskProcessor({ tasks: face }, (task, run) => handle(name, task, run), {
    stacks,
    concurrency: 2,
    waitMs: 1_000,
  });
  return {
    processor,
    freeze: () => {
      gate ??= new Promise((resolve) => (thaw = resolve));
    },
    thaw: () => {
      gate = undefined;
      thaw();
    },
  };
}
