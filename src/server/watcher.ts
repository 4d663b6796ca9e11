import type { FastifyReply } from "fastify";
import { setTimeout as sleep } from "node:timers/promises";
import { AgentRuntimeError } from "../state/errors.ts";
import type { WatchOptions } from "../state/request.ts";
import type { Change } from "../state/state.ts";
import { changeJson } from "../state/change-json.ts";
import { EventStream, eventText, positionText } from "./event-stream.ts";
import type { RouteContext } from "./options.ts";
import { problemOf, toRuntimeError } from "./problem.ts";

/** Within this time what cannot be right is refused with a status instead of an event. */
const REFUSAL_MS = 20;

/** One client that watches: from its request to the end of its stream. */
export class Watcher {
  readonly #context: RouteContext;
  readonly #reply: FastifyReply;
  readonly #stream: EventStream;
  readonly #left = new AbortController();
  #options: WatchOptions;
  #changes!: AsyncIterator<Change>;
  #next!: Promise<IteratorResult<Change>>;
  #run: Promise<void> = Promise.resolve();

  constructor(context: RouteContext, reply: FastifyReply, options: WatchOptions) {
    this.#context = context;
    this.#reply = reply;
    this.#options = { ...options, signal: this.#left.signal };
    this.#stream = new EventStream(reply.raw, {
      stallMs: context.limits.watchStallMs,
      onClosed: () => this.#left.abort(),
    });
  }

  /** Begins to read; throws what the state manager refuses at once. */
  async begin(): Promise<void> {
    const { feedHead } = this.#context;
    // With a cursor from the start, a reader cut off before its first change misses nothing.
    const head = this.#options.after === undefined ? await feedHead?.() : undefined;
    if (head !== undefined) this.#options = { ...this.#options, after: head };
    this.#read();
    try {
      await Promise.race([this.#next, sleep(REFUSAL_MS)]);
    } catch (error) {
      if (!isGap(error)) throw error;
    }
  }

  /** Writes events until the reader leaves, the server stops or the changes end in an error. */
  run(): Promise<void> {
    this.#reply.hijack();
    this.#run = this.#writeAll();
    return this.#run;
  }

  /** Ends the stream, and resolves when nothing of it runs any more. */
  async stop(): Promise<void> {
    this.#left.abort();
    await this.#run;
  }

  /** Shows a quiet connection that somebody is there. */
  comment(): void {
    this.#stream.comment();
  }

  async #writeAll(): Promise<void> {
    this.#stream.open(this.#reply.getHeaders());
    if (this.#options.after !== undefined) {
      await this.#stream.write(positionText(this.#options.after));
    }
    while (await this.#writeChanges());
    this.#stream.end();
  }

  /** Writes changes while there are any; true where it is to be called again, from further on. */
  async #writeChanges(): Promise<boolean> {
    try {
      for (;;) {
        const next = await this.#next;
        if (next.done === true || this.#left.signal.aborted) break;
        const data = JSON.stringify(changeJson(next.value));
        await this.#stream.write(eventText("change", data, next.value.cursor));
        this.#next = this.#changes.next();
      }
      await this.#changes.return?.();
      return false;
    } catch (error) {
      return !this.#left.signal.aborted && (await this.#writeError(error));
    }
  }

  async #writeError(error: unknown): Promise<boolean> {
    const { after } = this.#options;
    if (isGap(error) && error.facts.resumeFrom !== after) {
      const resumeFrom = error.facts.resumeFrom!;
      await this.#stream.write(eventText("gap", JSON.stringify({ resumeFrom }), resumeFrom));
      this.#options = { ...this.#options, after: resumeFrom };
      this.#read();
      return true;
    }
    const told = toRuntimeError(error, this.#reply.request.id);
    if (told.code === "INTERNAL") this.#context.log.error({ error }, "a watch broke off");
    await this.#stream.write(eventText("error", JSON.stringify(problemOf(told))));
    return false;
  }

  #read(): void {
    this.#changes = this.#context.face.watch(this.#options)[Symbol.asyncIterator]();
    this.#next = this.#changes.next();
    // Whoever reads it handles the error; until then it must not count as unhandled.
    this.#next.catch(() => undefined);
  }
}

function isGap(error: unknown): error is AgentRuntimeError {
  return (
    error instanceof AgentRuntimeError &&
    error.code === "GAP" &&
    error.facts.resumeFrom !== undefined
  );
}
