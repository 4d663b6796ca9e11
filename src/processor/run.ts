import { createHash } from "node:crypto";
import { AgentRuntimeError } from "../state/errors.ts";
import { ID_CHARACTERS } from "../state/identifiers.ts";
import type { Json } from "../state/json.ts";
import type { FailReport, PushRequest } from "../state/task-face.ts";
import type { Task } from "../state/task.ts";
import { failureJson } from "./failure-json.ts";
import { ChildFailed, RunInterrupted } from "./interruption.ts";
import type { Hold } from "./hold.ts";
import { Ledger } from "./ledger.ts";

/** A child to push; its parent is the task that runs. */
export interface ChildRequest extends Omit<
  PushRequest,
  "id" | "parent" | "parentEpoch" | "idempotencyKey" | "namespace"
> {
  /** Default: the same stack. */
  readonly stack?: string;
}

/** What happens to an effect that is in doubt. */
export interface EffectOptions {
  /**
   * What to do if the effect was begun before and nobody knows how far it got, as its run was lost or `act`
   * threw: `fail` (default) throws EFFECT_IN_DOUBT; `again` does it again; a function finds out, and returns
   * the receipt, or undefined if nothing was done: then it is done now.
   */
  readonly inDoubt?: "fail" | "again" | (() => Promise<Json | undefined>);
}

/** What an effect can pass to the other side, so that it recognises a repeat. */
export interface EffectContext {
  /** The same for every attempt at this effect. */
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
}

type Wait = { readonly timeoutMs?: number };

/**
 * What a handler can do with its task. This works only while the task is held: once the run is over, every
 * call throws RunInterrupted, and the handler's return value is ignored.
 *
 * A task that was given back runs again from the start of its handler, with the last checkpoint in
 * `task.resumePoint`. Keys identify which child, effect, sleep or question of an earlier run is meant.
 */
export class Run {
  readonly #hold: Hold;
  readonly #ledger: Ledger;
  /** The newest call of each effect: the next one with its key comes after it. */
  readonly #effects = new Map<string, Promise<unknown>>();
  /** Effects that were begun in this run, however they ended. */
  readonly #acted = new Set<string>();

  constructor(hold: Hold) {
    this.#hold = hold;
    this.#ledger = new Ledger(hold);
  }

  /** Aborts when the run is over; its reason is a RunInterrupted. */
  get signal(): AbortSignal {
    return this.#hold.signal;
  }

  /** Aborts when something newer waits, or the processor is stopping: checkpoint soon. */
  get preempted(): AbortSignal {
    return this.#hold.preempted;
  }

  /** Where the task resumes, as last stored. */
  get resumePoint(): Json | undefined {
    return this.#hold.resumePoint;
  }

  /**
   * Stores where the task resumes; by default, the resume point it has.
   *
   * @throws {RunInterrupted} something newer arrived: the task resumes from here after it.
   */
  checkpoint(resumePoint?: Json): Promise<void> {
    return letPass(() => this.#hold.checkpoint(resumePoint));
  }

  /** Pushes a child, or returns the one that an earlier run pushed. It may run at once, beside this task. */
  push(key: string, { stack, ...request }: ChildRequest = {}): Promise<Task> {
    return letPass(async () => {
      const { task, tasks, where } = this.#hold;
      this.#hold.check();
      const id = childId(await this.#hold.originId(), key);
      try {
        return await this.#hold.do(() =>
          tasks.push(stack ?? task.stack, {
            ...request,
            ...where,
            id,
            parent: task.id,
            parentEpoch: task.epoch,
          }),
        );
      } catch (error) {
        if (!(error instanceof AgentRuntimeError) || error.code !== "ALREADY_EXISTS") throw error;
        const there = await this.#hold.do(() => tasks.get(id, where));
        if (there.parent !== task.id) throw error;
        return there;
      }
    });
  }

  /**
   * The result of a child, which is pushed if it was not yet. Until the child has ended the task waits: this
   * throws RunInterrupted, and returns the result in the next run.
   *
   * @throws {ChildFailed} it failed, or was canceled or rejected.
   */
  child(key: string, request: ChildRequest = {}): Promise<Json> {
    return letPass(async () => {
      const { task, tasks, where } = this.#hold;
      const id = childId(await this.#hold.originId(), key);
      const end = task.results.findLast(
        (result) => result.from === "task" && isOrGoesOn(result.id, id),
      );
      if (end?.from === "task") {
        const told =
          end.isLarge === true ? await this.#hold.do(() => tasks.get(end.id, where)) : end;
        if (end.phase === "completed") return told.result ?? null;
        throw new ChildFailed(told);
      }
      await this.push(key, request);
      return await this.#hold.wait({ for: "child", children: [id] });
    });
  }

  /**
   * Does something outside once: what `act` returns is its receipt, which every later call with the key returns, in this
   * run or another.
   *
   * @throws {AgentRuntimeError} EFFECT_IN_DOUBT, see `options.inDoubt`. If `act` throws, the effect is in doubt.
   */
  effect<Receipt extends Json | undefined | void>(
    key: string,
    act: (context: EffectContext) => Promise<Receipt> | Receipt,
    { inDoubt = "fail" }: EffectOptions = {},
  ): Promise<Receipt> {
    const former = this.#effects.get(key);
    const outcome = letPass(async () => {
      await former?.catch(() => undefined);
      const known = await this.#ledger.begin(key);
      if (known.standing === "done") return known.receipt as Receipt;
      if (known.standing === "in_doubt" || this.#acted.has(key)) {
        const found = typeof inDoubt === "function" ? await inDoubt() : undefined;
        if (found !== undefined) return (await this.#ledger.record(key, found)) as Receipt;
        if (inDoubt === "fail") throw doubt(this.#hold.task.id, key);
        await this.#ledger.begin(key, { again: true });
      }
      this.#hold.check();
      const idempotencyKey = `${await this.#hold.originId()}/${key}`;
      this.#acted.add(key);
      const receipt = await act({ idempotencyKey, signal: this.signal });
      return (await this.#ledger.record(key, receipt ?? null)) as Receipt;
    });
    this.#effects.set(key, outcome);
    return outcome;
  }

  /** Gives the task back until the time is over, so that no worker is held; in the next run, returns at once. */
  sleep(key: string, ms: number): Promise<void> {
    return letPass(async () => {
      const leftMs = await this.#ledger.leftOf(`sleep.${key}`, ms);
      if (leftMs > 0) await this.#hold.wait({ for: "timer", ms: Math.ceil(leftMs) });
    });
  }

  /** A person's answer; until it is there, the task is `input_required`. */
  waitForInput(key: string, options: Wait & { readonly prompt?: Json } = {}): Promise<Json> {
    return this.#ask(key, { ...options, for: "input" });
  }

  /** The same for an authorisation, with the phase `auth_required`. */
  waitForAuth(key: string, options: Wait & { readonly prompt?: Json } = {}): Promise<Json> {
    return this.#ask(key, { ...options, for: "auth" });
  }

  /** The data of the first event with this name, even if it arrived earlier. */
  waitForEvent(name: string, options: Wait = {}): Promise<Json> {
    return letPass(async () => {
      const event = this.#hold.task.results.find(
        (result) => result.from === "event" && result.name === name,
      );
      if (event?.from === "event") return event.data;
      return await this.#hold.wait({ ...options, for: "event", name });
    });
  }

  /** Ends the run: the task failed, and is retried if its policy and `retry` allow; after how long is not exact. */
  fail(error?: unknown, options: Pick<FailReport, "retry" | "retryAfterMs"> = {}): never {
    const { retryAfterMs: ms } = options;
    const after = typeof ms === "number" ? { retryAfterMs: Math.ceil(Math.max(ms, 0)) } : {};
    return this.#hold.end("fail", { error: reasonOf(error), ...options, ...after });
  }

  /** Ends the run: the task will not be done. */
  reject(error?: unknown): never {
    return this.#hold.end("reject", { error: reasonOf(error) });
  }

  /** Answers carry no key: the one that came after the question was put is its own. */
  #ask(
    key: string,
    wait: Wait & { readonly for: "input" | "auth"; readonly prompt?: Json },
  ): Promise<Json> {
    return letPass(async () => {
      const answers = this.#hold.task.results.flatMap((result) =>
        result.from === "input" ? [result.data] : [],
      );
      const place = await this.#ledger.placeOf(`input.${key}`, answers.length);
      if (place < answers.length) return answers[place]!;
      return await this.#hold.wait(wait);
    });
  }
}

/**
 * The same; where nobody awaits it, that the run is over is no unhandled rejection. It would end the process, and the
 * other tasks that it works on, for a handler that forgot an `await`.
 */
function letPass<T>(work: () => Promise<T>): Promise<T> {
  const answer: Promise<T> = work().catch((error: unknown) => {
    if (error instanceof RunInterrupted) answer.catch(() => undefined);
    throw error;
  });
  return answer;
}

/** What a handler gives as the reason of an end: an error is told as if it had been thrown. */
function reasonOf(error: unknown): Json {
  if (error === undefined) return { message: "the handler did not say why" };
  return error instanceof Error ? failureJson(error) : (error as Json);
}

/** Below many levels, or with long keys, an id would be too long: then its beginning is kept, and the rest told apart. */
function childId(parent: string, key: string): string {
  const id = `${parent}.${key}`;
  if (Array.from(id).length <= ID_CHARACTERS) return id;
  const rest = createHash("sha256").update(id).digest("hex").slice(0, 32);
  return `${Array.from(id).slice(0, 100).join("")}.${rest}`;
}

/** Whether it is this child, or one that goes on with it after a rollback: ID~STEP. */
function isOrGoesOn(id: string, child: string): boolean {
  return (
    id === child || (id.startsWith(`${child}~`) && /^(~[0-9]+)+$/.test(id.slice(child.length)))
  );
}

function doubt(id: string, key: string): AgentRuntimeError {
  return new AgentRuntimeError(
    "EFFECT_IN_DOUBT",
    `the effect ${JSON.stringify(key)} of ${JSON.stringify(id)} was begun before, and how it ended was never recorded; ` +
      `find out whether it was done, or let "inDoubt" do so`,
    { mayHaveHappened: true },
  );
}
