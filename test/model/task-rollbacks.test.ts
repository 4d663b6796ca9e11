import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { AgentRuntimeError } from "../../src/state/errors.ts";
import type { TaskStore } from "../../src/state/task-port.ts";
import type { Task } from "../../src/state/task.ts";
import { proveOnPostgres } from "../support/homes.ts";
import { proofLength } from "../support/length.ts";
import { openBench } from "../support/manager.ts";
import type { Bench } from "../support/manager.ts";
import { pushOf, Tasks } from "../support/tasks.ts";
import { until } from "../support/until.ts";
import { auditDatabase } from "./audit.ts";
import { ENDS } from "./task-model.ts";

const numRuns = proofLength({ short: 10, full: 400 });
const STACKS = ["s", "u"] as const;

interface Act {
  readonly do: "push" | "claim" | "checkpoint" | "effect" | "wait" | "complete" | "back";
  readonly stack: (typeof STACKS)[number];
  readonly isChild: boolean;
  /** Which task it may be about; how many steps a scope goes back. */
  readonly pick: number;
}

const act = fc.record<Act>({
  do: fc.constantFrom(
    ...(["push", "push", "claim", "claim", "claim", "checkpoint"] as const),
    ...(["effect", "wait", "complete", "complete", "back"] as const),
  ),
  stack: fc.constantFrom(...STACKS),
  isChild: fc.boolean(),
  pick: fc.nat(9),
});

const one = (doing: Act["do"], pick = 0, isChild = false): Act => {
  return { do: doing, stack: "s", isChild, pick };
};

/** What random acts meet too seldom to be sure of it. */
const RARE: readonly (readonly Act[])[] = [
  // An end is superseded, with a receipt; then that one's end is.
  [
    one("push"),
    one("push"),
    one("claim"),
    one("effect"),
    one("complete"),
    one("claim"),
    one("back", 2),
  ],
  [
    one("push"),
    one("push"),
    one("claim"),
    one("complete"),
    one("claim"),
    one("back", 1),
    one("claim"),
    one("complete"),
    one("claim"),
    one("back", 1),
  ],
  // A parent goes back to where it waited, and its child to where it was worked on.
  [
    one("push"),
    one("claim"),
    one("push", 0, true),
    one("wait"),
    one("claim"),
    one("complete"),
    one("claim"),
    one("back", 2),
  ],
  [one("push"), one("claim"), one("checkpoint"), one("back")],
  // The step before is in quarantine.
  [one("push"), one("claim"), one("checkpoint"), one("back"), one("back")],
  [one("back")],
];

proveOnPostgres("scopes go back with tasks in flight", (home) => {
  let bench: Bench;
  let manager: StateManager;
  let store: TaskStore;
  let count = 0;
  const met = new Set<string>();

  beforeAll(async () => {
    bench = await openBench(home);
    manager = bench.openManager();
    ({ tasks: store } = bench.openStore());
  });

  afterAll(() => bench.close());

  async function play(acts: readonly Act[]): Promise<void> {
    const run = new Run({ manager, store, namespace: `back${++count}` });
    for (const each of acts) {
      met.add(await run.play(each));
      await run.check();
    }
    await run.endAll();
    await auditDatabase(bench, run.namespace);
  }

  test("who worked is fenced, ends and receipts stay, nothing is stranded", async () => {
    await fc.assert(fc.asyncProperty(fc.array(act, { minLength: 10, maxLength: 40 }), play), {
      numRuns,
      examples: RARE.map((acts): [readonly Act[]] => [acts]),
    });
  }, 600_000);

  test("and the random acts meet every case", () => {
    expect([...met].toSorted()).toEqual(
      [
        "push",
        "claim",
        "checkpoint",
        "effect",
        "wait",
        "complete",
        "back",
        "superseded",
        "refused",
        "nothing",
      ].toSorted(),
    );
  });
});

interface Parts {
  readonly manager: StateManager;
  readonly store: TaskStore;
  readonly namespace: string;
}

/** One namespace, and what was ever seen of it. */
class Run {
  readonly namespace: string;
  readonly #manager: StateManager;
  readonly #store: TaskStore;
  readonly #tasks: Tasks;
  readonly #held = new Map<string, Task>();
  readonly #zombies: Task[] = [];
  readonly #ids: string[] = [];
  /** Ends that were told, and receipts: none of them is ever taken back. */
  readonly #ended = new Map<string, string>();
  readonly #receipts = new Map<string, string>();

  constructor({ manager, store, namespace }: Parts) {
    this.namespace = namespace;
    this.#manager = manager;
    this.#store = store;
    this.#tasks = new Tasks(store, namespace);
  }

  async play({ do: doing, stack, isChild, pick }: Act): Promise<string> {
    if (doing === "push") return await this.#push(stack, isChild ? pick : null);
    if (doing === "claim") return await this.#claim(stack);
    if (doing === "back") return await this.#goBack(stack, BigInt(pick) + 1n);
    const held = [...this.#held.values()];
    const task = held[pick % held.length];
    if (task === undefined) return "nothing";
    if (doing === "effect") {
      const effect = { id: task.id, epoch: task.epoch, key: "k", receipt: '"done"', again: false };
      await this.#store.recordEffect(this.namespace, effect);
      this.#receipts.set(task.id, "k");
      return doing;
    }
    const body = doing === "wait" ? { body: { for: "child" } } : {};
    const resume = doing === "checkpoint" ? { resume: pick } : {};
    const { code, phase } = await this.#tasks.report(task, doing, { ...body, ...resume });
    expect(code).toBeNull();
    if (phase !== "working") this.#held.delete(task.id);
    return doing;
  }

  /** No two are held in a stack; what ended is as it ended; receipts are there. */
  async check(): Promise<void> {
    for (const stack of STACKS) {
      const lines = await this.#tasks.stack(stack);
      expect(lines.filter((line) => / (?:working|canceling)$/.test(line)).length).toBeLessThan(2);
    }
    for (const task of await this.#store.read(this.namespace, this.#ids)) {
      const before = this.#ended.get(task.id);
      if (before !== undefined) expect(`${task.id} ${task.phase}`).toBe(`${task.id} ${before}`);
      if (ENDS.includes(task.phase)) this.#ended.set(task.id, task.phase);
      if (this.#receipts.has(task.id)) {
        expect(task.effects).toMatchObject([{ key: "k", standing: "done", receipt: "done" }]);
      }
    }
  }

  /** Workers keep coming: then everything ends, in the order of the stacks, and no zombie does. */
  async endAll(): Promise<void> {
    for (const task of this.#held.values()) await this.#tasks.report(task, "release");
    for (let round = 0; ; round++) {
      if (round > 300) throw new Error(`stranded: ${JSON.stringify(await this.#tasks.stack())}`);
      await until(() => this.#store.sweep(1_000));
      const [task] = await this.#tasks.claim("last");
      if (task === undefined) break;
      await this.#tasks.report(task, "complete");
    }
    for (const stack of STACKS) expect(await this.#tasks.stack(stack)).toEqual([]);
    for (const zombie of this.#zombies) {
      expect((await this.#tasks.report(zombie, "complete")).code).toMatch(/EPOCH_FENCED|NOT_FOUND/);
    }
    await this.check();
  }

  async #push(stack: string, pick: number | null): Promise<string> {
    const held = [...this.#held.keys()];
    const parent = pick === null ? null : (held[pick % held.length] ?? null);
    const id = `t${this.#ids.length}`;
    const [answer] = await this.#tasks.push(pushOf(id, { stack, parent }));
    expect(answer!.code).toBeNull();
    this.#ids.push(id);
    return "push";
  }

  async #claim(stack: string): Promise<string> {
    const [task] = await this.#tasks.claim("w", { stacks: [stack] });
    if (task === undefined) return "nothing";
    this.#held.set(task.id, task);
    if (!this.#ids.includes(task.id)) this.#ids.push(task.id);
    return "claim";
  }

  async #goBack(stack: string, steps: bigint): Promise<string> {
    const { namespace } = this;
    const head = await this.#head(stack);
    if (head === null) return "nothing";
    const toStep = head > steps ? head - steps : 0n;
    try {
      const plan = await this.#manager.rollback(stack, { namespace, toStep, dryRun: true });
      const done = await this.#manager.rollback(stack, { namespace, toStep });
      expect({ ...done, dryRun: true }).toEqual(plan);
      for (const task of this.#held.values()) {
        if (task.stack !== stack) continue;
        this.#zombies.push(task);
        this.#held.delete(task.id);
      }
      const next = done.states.flatMap(({ supersededBy }) => supersededBy ?? []);
      this.#ids.push(...next);
      await until(() => this.#store.sweep(1_000));
      return next.length > 0 ? "superseded" : "back";
    } catch (error) {
      const codes = ["TERMINAL_PUBLISHED", "NO_EARLIER_STEP", "STEP_QUARANTINED"];
      if (!(error instanceof AgentRuntimeError) || !codes.includes(error.code)) throw error;
      return "refused";
    }
  }

  async #head(scope: string): Promise<bigint | null> {
    const { namespace } = this;
    try {
      return (await this.#manager.scope(scope, { namespace, consistency: "strong" })).step;
    } catch (error) {
      if (error instanceof AgentRuntimeError && error.code === "SCOPE_NOT_FOUND") return null;
      throw error;
    }
  }
}
