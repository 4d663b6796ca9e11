import { silentLog } from "../service/log.ts";
import { untilDraining } from "./agent-drain.ts";
import type { AgentStates, DrainWatch } from "./agent-drain.ts";
import { LifoTaskProcessor } from "./lifo-task-processor.ts";
import type { ProcessorParts, TaskHandler } from "./lifo-task-processor.ts";
import type { ProcessorOptions } from "./options.ts";

export interface ProcessorsParts extends Omit<ProcessorParts, "ready" | "onStopped"> {
  /** Where agents are, for processors that drain with theirs. */
  readonly states: AgentStates;
}

/** The processors that were started on one face, so that they stop before it closes. */
export class Processors {
  readonly #parts: ProcessorsParts;
  readonly #running = new Set<LifoTaskProcessor>();

  constructor(parts: ProcessorsParts) {
    this.#parts = parts;
  }

  start(handler: TaskHandler, options?: ProcessorOptions): LifoTaskProcessor {
    const stopped = new AbortController();
    let onLooked: () => void = () => undefined;
    const looked = new Promise<void>((resolve) => (onLooked = resolve));
    const ready = options?.agent === undefined ? undefined : looked;
    const onStopped = (processor: LifoTaskProcessor): void => {
      stopped.abort();
      this.#running.delete(processor);
    };
    const processor = new LifoTaskProcessor({ ...this.#parts, ready, onStopped }, handler, options);
    this.#running.add(processor);
    if (ready !== undefined)
      void this.#drainWith(processor, options!, { signal: stopped.signal, onLooked });
    return processor;
  }

  async #drainWith(
    processor: LifoTaskProcessor,
    { agent, namespace }: ProcessorOptions,
    watch: Pick<DrainWatch, "signal" | "onLooked">,
  ): Promise<void> {
    const { states, log = silentLog } = this.#parts;
    const where = namespace === undefined ? {} : { namespace };
    const isDraining = await untilDraining(states, { agent: agent!, ...where, ...watch, log });
    if (!isDraining) return;
    log.info({ worker: processor.worker, agent }, "the agent drains, so its processor stops");
    await processor.stop();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#running].map((processor) => processor.stop()));
  }
}
