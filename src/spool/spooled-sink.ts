import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "../service/log-port.ts";
import { Loop } from "../service/loop.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { FactSink } from "../state/fact-sink.ts";
import type { Json } from "../state/json.ts";
import { factJson, parseFact } from "../state/lifecycle-fact.ts";
import type { LifecycleFact } from "../state/lifecycle-fact.ts";
import type { Spool } from "./spool.ts";

export interface SpooledSinkOptions {
  readonly spool: Spool;
  /** Where the facts go in the end. */
  readonly to: FactSink;
  /** Facts that are handed on together; default 100. */
  readonly batch?: number;
  readonly log: Logger;
}

export interface SpooledSinkFigures {
  readonly waiting: number;
  readonly handedOn: number;
  /** Facts that can never be told, and were given up. */
  readonly refused: number;
  /** Attempts in a row that failed. */
  readonly failures: number;
}

/** Codes of refusals that a fact itself is to blame for; everything else may pass. */
const HOPELESS = /^(INVALID_(?!CONFIG)|UNKNOWN_FIELD|PAYLOAD_TOO_LARGE)/;

/**
 * Takes facts at once, whatever becomes of where they go: they are on disk when `publish` resolves, and are
 * handed on in their order, again and again until they were taken.
 */
export class SpooledSink implements FactSink {
  readonly #options: Required<SpooledSinkOptions>;
  readonly #loop: Loop;
  #handedOn = 0;
  #refused = 0;
  #onEmpty: (() => void) | undefined;

  constructor(options: SpooledSinkOptions) {
    this.#options = { batch: 100, ...options };
    this.#loop = new Loop({
      name: "spool",
      runOnce: (signal) => this.#round(signal),
      pauseMs: 60_000,
      backoff: { firstMs: 100, maxMs: 10_000 },
      log: options.log,
    });
    this.#loop.start();
  }

  get figures(): SpooledSinkFigures {
    const { failures } = this.#loop;
    const waiting = this.#options.spool.figures.records;
    return { waiting, handedOn: this.#handedOn, refused: this.#refused, failures };
  }

  async publish(facts: readonly LifecycleFact[]): Promise<void> {
    await this.#options.spool.append(facts.map((fact) => JSON.stringify(factJson(fact))));
    this.#loop.wake();
  }

  /** Hands on what it can in that time; the rest stays on disk. Safe twice. */
  async close({ drainMs = 0 }: { readonly drainMs?: number } = {}): Promise<void> {
    const { spool } = this.#options;
    if (drainMs > 0 && spool.figures.records > 0) {
      const over = new AbortController();
      const empty = new Promise<void>((resolve) => (this.#onEmpty = resolve));
      await Promise.race([empty, pause(drainMs, undefined, { signal: over.signal })]).catch(
        () => {},
      );
      over.abort();
    }
    await this.#loop.stop();
    await spool.close();
  }

  async #round(signal: AbortSignal): Promise<boolean> {
    const { spool, batch } = this.#options;
    const records = await spool.oldest(batch);
    if (records.length === 0) {
      this.#onEmpty?.();
      return false;
    }
    const facts = records.flatMap((record) => this.#factOf(record));
    await this.#handOn(facts, signal);
    await spool.remove(records.length);
    return true;
  }

  /** All together; where one of them is refused for good, one after the other without it. */
  async #handOn(facts: readonly LifecycleFact[], signal: AbortSignal): Promise<void> {
    if (facts.length === 0) return;
    try {
      await this.#options.to.publish(facts, signal);
      this.#handedOn += facts.length;
    } catch (error) {
      const isHopeless = error instanceof AgentRuntimeError && HOPELESS.test(error.code);
      if (!isHopeless) throw error;
      if (facts.length > 1) {
        for (const fact of facts) await this.#handOn([fact], signal);
        return;
      }
      this.#refused += 1;
      this.#options.log.error(
        { fact: facts[0], error },
        "a fact can never be told and is given up",
      );
    }
  }

  #factOf(record: string): LifecycleFact[] {
    try {
      return [parseFact(JSON.parse(record) as Json)];
    } catch (error) {
      this.#refused += 1;
      this.#options.log.error({ record, error }, "the spool holds what is no fact; it is given up");
      return [];
    }
  }
}
