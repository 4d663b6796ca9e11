import { setTimeout as sleep } from "node:timers/promises";
import type { HttpStateClient } from "../../client/http-client.ts";
import type { Json } from "../../state/json.ts";
import { isObject } from "../../state/pointer.ts";
import { CommandFailed } from "../failure.ts";
import type { RecordedTask } from "./recorded-task.ts";

type Handler = Parameters<HttpStateClient["startLifoTaskProcessor"]>[0];
type Run = Parameters<Handler>[1];

/** What happened, in order. */
export type StoryEvent =
  | { readonly what: "pushed"; readonly task: string }
  | { readonly what: "begins"; readonly task: string; readonly step: number }
  | { readonly what: "step"; readonly task: string; readonly step: number; readonly did: string }
  | { readonly what: "gives way"; readonly task: string; readonly reason: string }
  | { readonly what: "ends"; readonly task: string }
  | { readonly what: "killed" | "back"; readonly pid: number };

export interface StoryOptions {
  readonly client: HttpStateClient;
  readonly agent: string;
  /** A, B and C: the one that is interrupted, and those that do. */
  readonly tasks: readonly [RecordedTask, RecordedTask, RecordedTask];
  /** Kills the service, and starts it again; unsaid: it is left alone. */
  readonly crash?: (tell: (event: StoryEvent) => Promise<void>) => Promise<void>;
  readonly stepMs: number;
  readonly signal: AbortSignal;
  readonly onEvent: (event: StoryEvent) => Promise<void>;
}

/** How the story ended. */
export interface StoryEnd {
  /** The tasks in the order in which they ended. */
  readonly order: readonly string[];
  /** Of each task, the steps that its runs began with. */
  readonly runs: Readonly<Record<string, readonly number[]>>;
  readonly steps: number;
  /** Steps that were done more than once. */
  readonly doneAgain: number;
}

/** B arrives during this step of A. */
const B_ARRIVES_AT = 4;
/** C arrives during this step of B. */
const C_ARRIVES_AT = 2;
/** Nothing of it takes so long: then somebody else has taken its tasks. */
const SILENCE_MS = 120_000;

/** A is at step 4 when B comes, and B at step 2 when C does, and the service dies. */
export async function playStory(options: StoryOptions): Promise<StoryEnd> {
  const story = new Story(options);
  return await story.play();
}

class Story {
  readonly #options: StoryOptions;
  readonly #ends: string[] = [];
  readonly #runs: Record<string, number[]> = {};
  readonly #acts = new Map<string, number>();
  readonly #over = new AbortController();
  #heard = AbortSignal.timeout(SILENCE_MS);
  #hasCrashed = false;
  #failure: Error | undefined;

  constructor(options: StoryOptions) {
    this.#options = options;
  }

  async play(): Promise<StoryEnd> {
    const { client, agent, tasks } = this.#options;
    await this.#push(tasks[0]);
    const processor = client.startLifoTaskProcessor((task, run) => this.#handle(task.id, run), {
      concurrency: 1,
      stacks: [agent],
      waitMs: 1_000,
    });
    try {
      await this.#end();
    } finally {
      await processor.stop(this.#options.signal.aborted ? { drainMs: 0 } : {});
    }
    const first = await client.tasks.get(this.#idOf(tasks[0]), { signal: this.#options.signal });
    if (first.phase !== "completed") throw failed(`task A is ${first.phase}`);
    return this.#told();
  }

  #told(): StoryEnd {
    const order = [...this.#ends];
    const [a, b, c] = this.#options.tasks.map(({ name }) => name);
    if (order.join() !== [c, b, a].join()) throw failed(`the order was ${order.join(", ")}`);
    const counts = [...this.#acts.values()];
    const doneAgain = counts.filter((count) => count > 1).length;
    return { order, runs: this.#runs, steps: counts.length, doneAgain };
  }

  async #end(): Promise<void> {
    while (!this.#over.signal.aborted) {
      const { signal } = this.#options;
      const any = AbortSignal.any([this.#over.signal, this.#heard, signal]);
      if (!any.aborted) await new Promise((resolve) => any.addEventListener("abort", resolve));
      signal.throwIfAborted();
      if (this.#heard.aborted && !this.#over.signal.aborted)
        throw failed("nothing happens any more");
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #tell(event: StoryEvent): Promise<void> {
    this.#heard = AbortSignal.timeout(SILENCE_MS);
    await this.#options.onEvent(event);
  }

  async #push(task: RecordedTask): Promise<void> {
    const { client, agent, signal } = this.#options;
    const { name, run, request, steps } = task;
    const input = { name, run, request, steps: steps.length };
    await client.tasks.push(agent, { id: this.#idOf(task), kind: "demo", input, signal });
    await this.#tell({ what: "pushed", task: name });
  }

  #idOf({ name }: RecordedTask): string {
    return `${this.#options.agent}.${name}`;
  }

  async #handle(id: string, run: Run): Promise<Json> {
    const task = this.#options.tasks.find((each) => this.#idOf(each) === id);
    if (task === undefined) return run.reject({ message: `${id} is no task of the demo` });
    try {
      return await this.#work(task, run);
    } catch (error) {
      if (run.signal.aborted) {
        const { reason } = run.signal.reason as { readonly reason: string };
        await this.#tell({ what: "gives way", task: task.name, reason });
      } else {
        this.#failure = error instanceof Error ? error : new Error(String(error));
        this.#over.abort();
      }
      throw error;
    }
  }

  /** Does the task's steps from where it was, with a checkpoint after each. */
  async #work(task: RecordedTask, run: Run): Promise<Json> {
    const { name, steps } = task;
    const before = stepOf(run.resumePoint);
    (this.#runs[name] ??= []).push(before + 1);
    await this.#tell({ what: "begins", task: name, step: before + 1 });
    for (let step = before + 1; step <= steps.length; step++) {
      const { did, outcome } = steps[step - 1]!;
      await run.effect(`step ${step}`, () => {
        const key = `${name} ${step}`;
        this.#acts.set(key, (this.#acts.get(key) ?? 0) + 1);
        return outcome;
      });
      await this.#tell({ what: "step", task: name, step, did });
      await sleep(this.#options.stepMs, undefined, { signal: run.signal }).catch(() => undefined);
      await this.#interrupt(name, step);
      await run.checkpoint({ step });
    }
    this.#ends.push(name);
    await this.#tell({ what: "ends", task: name });
    if (task === this.#options.tasks[0]) this.#over.abort();
    return steps.at(-1)?.outcome ?? null;
  }

  async #interrupt(name: string, step: number): Promise<void> {
    const [a, b, c] = this.#options.tasks;
    if (name === a.name && step === B_ARRIVES_AT) await this.#push(b);
    if (name !== b.name || step !== C_ARRIVES_AT || this.#hasCrashed) return;
    this.#hasCrashed = true;
    await this.#push(c);
    await this.#options.crash?.((event) => this.#tell(event));
  }
}

/** The last step that the checkpoint has. */
export function stepOf(resumePoint: Json | undefined): number {
  return isObject(resumePoint ?? null) ? Number((resumePoint as { step?: unknown }).step ?? 0) : 0;
}

function failed(why: string): CommandFailed {
  return new CommandFailed(`the demo did not go as planned: ${why}`, {
    next: "another worker may have taken its tasks: run it without --url, on a service of its own",
  });
}
