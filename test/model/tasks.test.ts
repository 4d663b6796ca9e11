import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { TaskStore } from "../../src/state/task-port.ts";
import { proveOnPostgres } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { LONG_MS, pushOf, Tasks } from "../support/tasks.ts";
import { until } from "../support/until.ts";
import { auditDatabase } from "./audit.ts";
import { act, RARE, REPORTS } from "./task-acts.ts";
import type { Act } from "./task-acts.ts";
import { isAbove, STACKS, TaskModel } from "./task-model.ts";
import type { ModelTask } from "./task-model.ts";
import { bodyOf, meant, told } from "./told-tasks.ts";

const numRuns = proofLength({ short: 25, full: 600 });
proveOnPostgres("tasks do what the model does", (home) => {
  let bench: Bench;
  let store: TaskStore;
  let count = 0;
  const met = new Set<string>();
  const meet = (what: string): void => void met.add(what);

  beforeAll(async () => {
    bench = await openBench(home);
    ({ tasks: store } = bench.openStore());
  });

  afterAll(() => bench.close());

  async function play(acts: readonly Act[]): Promise<void> {
    const run = new Run(bench, store, { namespace: `run${++count}`, meet });
    for (const one of acts) {
      meet(await run.play(one));
      await run.compare();
    }
    await run.endAll();
    await auditDatabase(bench, run.namespace);
  }

  test("whatever is pushed, claimed, reported, lost and canceled; and in the end everything has ended", async () => {
    const acts = fc.array(act, { minLength: 10, maxLength: 50, size: "max" });
    await fc.assert(fc.asyncProperty(acts, play), {
      numRuns,
      examples: RARE.map((one): [readonly Act[]] => [one]),
    });
  }, 600_000);

  test("and the random acts meet every case", () => {
    expect([...met].toSorted()).toEqual(
      [
        "nothing",
        "push",
        "orphan",
        "claim",
        "next",
        "together",
        "zombie",
        "crash",
        "due",
        "event",
        "input",
        "cancel",
        "retry",
        ...new Set(REPORTS),
      ].toSorted(),
    );
  });
});

/** One namespace, in the database and in the model. */
class Run {
  readonly namespace: string;
  readonly #bench: Bench;
  readonly #store: TaskStore;
  readonly #tasks: Tasks;
  readonly #model = new TaskModel();
  /** Epochs that are over. */
  readonly #zombies: { readonly id: string; readonly epoch: bigint }[] = [];

  readonly #meet: (what: string) => void;

  constructor(
    bench: Bench,
    store: TaskStore,
    { namespace, meet }: { readonly namespace: string; readonly meet: (what: string) => void },
  ) {
    this.#meet = meet;
    this.#bench = bench;
    this.#store = store;
    this.namespace = namespace;
    this.#tasks = new Tasks(store, namespace);
  }

  /** Does it in both; answers what it met. */
  async play(one: Act): Promise<string> {
    if (one.do === "push") return await this.#push(one);
    if (one.do === "claim") return await this.#claim(one);
    if (one.do === "crash") return await this.#crash(one.worker);
    if (one.do === "together") return await this.#together(one);
    const held = STACKS.map((stack) => this.#model.held(stack)).filter(
      (task) => task !== undefined,
    );
    const living = this.#model.living();
    const whom: Partial<Record<Act["do"], ModelTask[]>> = {
      report: held,
      next: held,
      due: living.filter(({ isPending }) => isPending),
      event: living,
      input: living.filter(({ phase }) => phase === "input_required"),
      retry: living.filter(
        ({ phase, isPending }) => phase === "confused" || (phase === "ready" && isPending),
      ),
      cancel: [...this.#model.tasks.values()],
    };
    if (one.do === "zombie") return await this.#zombie(one);
    const candidates = whom[one.do]!;
    const task = candidates[one.pick % candidates.length];
    if (task === undefined) return "nothing";
    await this.#about(task, one);
    return "nothing";
  }

  /** The database says of every task and every stack what the model says. */
  async compare(): Promise<void> {
    const ids = [...this.#model.tasks.keys()];
    const found = await this.#store.read(this.namespace, ids);
    expect(found.map(told)).toEqual([...this.#model.tasks.values()].map(meant));
    for (const stack of STACKS) {
      const inStack = this.#model.living().filter((task) => task.stack === stack);
      const order = inStack
        .filter(({ seq }) => seq !== null)
        .toSorted((a, b) => (a.holder !== null || (b.holder === null && isAbove(a, b)) ? -1 : 1));
      const late = inStack.filter(({ seq }) => seq === null);
      const lines = (await this.#tasks.stack(stack)).slice(0, order.length);
      expect(lines).toEqual(order.map(({ id, phase }) => `${id} ${phase}`));
      expect(late.every(({ phase }) => phase === "submitted")).toBe(true);
    }
  }

  /** Workers keep coming and everything that is waited for happens: then everything ends. */
  async endAll(): Promise<void> {
    for (let round = 0; this.#model.living().length > 0; round++) {
      if (round > 200) throw new Error(`stranded: ${JSON.stringify(await this.#tasks.stack())}`);
      for (const stack of STACKS) {
        if (this.#model.held(stack) === undefined) await this.#claim({ stack, worker: "v" });
        const held = this.#model.held(stack);
        if (held !== undefined)
          await this.#about(held, { do: "report", report: "complete", event: "" });
      }
      for (const task of this.#model.living()) {
        if (task.isPending) await this.#about(task, { do: "due" });
        else if (task.phase === "input_required") await this.#about(task, { do: "input" });
        else if (task.phase === "confused") await this.#about(task, { do: "retry" });
        else if (task.wait?.for === "event")
          await this.#about(task, { do: "event", event: task.wait.name! });
      }
      await this.compare();
    }
    for (const pick of this.#zombies.keys()) {
      this.#meet(await this.#zombie({ pick, report: "complete", event: "" }));
    }
  }

  async #push(one: Act): Promise<string> {
    const living = this.#model.living();
    const parent = one.isChild ? (living[one.pick % living.length]?.id ?? null) : null;
    const { stack, priority, preempt, delayed } = one;
    const push = { id: `t${this.#model.tasks.size}`, stack, priority, preempt, parent };
    const retry = { maxAttempts: 2, backoffMs: LONG_MS, maxBackoffMs: LONG_MS };
    const delay = { delayMs: delayed ? LONG_MS : null, retry };
    const [answer] = await this.#tasks.push(pushOf(push.id, { ...push, ...delay }));
    if (answer!.code === "TASK_TOO_DEEP") return "nothing";
    const isCanceling = this.#model.tasks.get(parent ?? "")?.phase === "canceling";
    expect(answer!.code).toBe(isCanceling ? "TASK_ENDED" : null);
    if (isCanceling) return "orphan";
    this.#model.push({ ...push, delayed });
    return "push";
  }

  async #claim({ stack, worker }: Pick<Act, "stack" | "worker">): Promise<string> {
    const [task] = await this.#tasks.claim(worker, { stacks: [stack], limit: 3 });
    const meantTask = this.#model.claim(stack, worker);
    expect([task?.id, task?.epoch]).toEqual([meantTask?.id, meantTask?.epoch]);
    return "claim";
  }

  async #crash(worker: string): Promise<string> {
    for (const { id, epoch, holder } of this.#model.tasks.values())
      if (holder === worker) this.#zombies.push({ id, epoch });
    await this.#bench.sql(
      `update agent_state.workers set lease_until = clock_timestamp() where namespace = $1 and worker = $2`,
      [this.namespace, worker],
    );
    await this.#sweep();
    this.#model.crash(worker);
    return "crash";
  }

  async #zombie(one: Pick<Act, "pick" | "report" | "event">): Promise<string> {
    const zombie = this.#zombies[one.pick % this.#zombies.length];
    if (zombie === undefined) return "nothing";
    const { code } = await this.#tasks.report(zombie, one.report, bodyOf(one));
    expect(code).toBe("EPOCH_FENCED");
    return "zombie";
  }

  async #about(task: ModelTask, one: Partial<Act>): Promise<void> {
    const { namespace } = this;
    const { id } = task;
    this.#meet(one.do === "report" ? one.report! : one.do!);
    const event = one.event ?? "";
    const nobody = { reason: null, actor: null };
    if (one.do === "report") {
      const answer = await this.#tasks.report(
        task,
        one.report!,
        bodyOf({ report: one.report!, event }),
      );
      expect(answer.code).toBeNull();
      this.#model.report(task, one.report!, { event });
    } else if (one.do === "next") {
      await this.#next(task);
    } else if (one.do === "due") {
      await this.#bench.sql(
        `update agent_state.tasks t set run_at = run_at - interval '1 hour', wait_until = wait_until - interval '1 hour'
           from agent_state.states s where s.state_no = t.task_no and s.namespace = $1 and s.id = $2`,
        [namespace, id],
      );
      await this.#sweep();
      this.#model.due(task);
    } else if (one.do === "event") {
      await this.#store.answer(namespace, id, { event, data: "1", actor: null });
      this.#model.event(task, event);
    } else if (one.do === "input") {
      await this.#store.answer(namespace, id, { event: null, data: "1", actor: null });
      this.#model.input(task);
    } else if (one.do === "retry") {
      await this.#store.retry(namespace, id, nobody);
      this.#model.retry(task);
    } else if (one.do === "cancel") {
      await this.#store.cancel(namespace, id, nobody);
      this.#model.cancel(task);
    }
  }

  /** The end of one, and the claim of what is next, in one call. */
  async #next(task: ModelTask): Promise<void> {
    const { stack } = task;
    const worker = task.holder!;
    const { answer, claimed } = await this.#tasks.next(task, "complete", {
      worker,
      body: null,
      stacks: [stack],
    });
    expect(answer.code).toBeNull();
    this.#model.report(task, "complete", { event: "" });
    const meantTask = this.#model.claim(stack, worker);
    expect(claimed.map(({ id, epoch }) => [id, epoch])).toEqual(
      meantTask === undefined ? [] : [[meantTask.id, meantTask.epoch]],
    );
  }

  /** Whoever holds a task says something in one call, whose worker claims what is next. */
  async #together(one: Act): Promise<string> {
    const held = STACKS.map((stack) => this.#model.held(stack)).filter(
      (task) => task !== undefined,
    );
    const parents = held.map(({ parent }) => this.#model.tasks.get(parent ?? ""));
    // One call settles stacks once: with a parent that wakes, not as two calls would.
    if (held.length < 2 || parents.some((parent) => parent?.phase === "waiting")) return "nothing";
    held.sort((a, b) => Number(a.parent === b.id) - Number(b.parent === a.id));
    const { worker, event } = one;
    const reports = held.map((task, place) => {
      const report = place === one.pick % 3 ? one.report : "complete";
      return { task, report, ...bodyOf({ report, event }) };
    });
    const { answers, claimed } = await this.#tasks.together(reports, { worker, limit: 3 });
    expect(answers.map(({ code }) => code)).toEqual(held.map(() => null));
    for (const { task, report } of reports) this.#model.report(task, report, { event });
    const meant = STACKS.map((stack) => this.#model.claim(stack, worker)).filter(
      (task) => task !== undefined,
    );
    expect(answers.map(({ phase }) => phase)).toEqual(held.map(({ phase }) => phase));
    const ids = (tasks: readonly Pick<ModelTask, "id" | "epoch">[]): string[] =>
      tasks.map(({ id, epoch }) => `${id} ${epoch}`).toSorted();
    expect(ids(claimed)).toEqual(ids(meant));
    return "together";
  }

  async #sweep(): Promise<void> {
    await until(() => this.#store.sweep(1_000));
  }
}
