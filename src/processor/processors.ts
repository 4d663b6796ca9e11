import { LifoTaskProcessor } from "./lifo-task-processor.ts";
import type { ProcessorParts, TaskHandler } from "./lifo-task-processor.ts";
import type { ProcessorOptions } from "./options.ts";

/** The processors that were started on one face, so that they stop before it closes. */
export class Processors {
  readonly #parts: Omit<ProcessorParts, "onStopped">;
  readonly #running = new Set<LifoTaskProcessor>();

  constructor(parts: Omit<ProcessorParts, "onStopped">) {
    this.#parts = parts;
  }

  start(handler: TaskHandler, options?: ProcessorOptions): LifoTaskProcessor {
    const onStopped = (processor: LifoTaskProcessor): void => void this.#running.delete(processor);
    const processor = new LifoTaskProcessor({ ...this.#parts, onStopped }, handler, options);
    this.#running.add(processor);
    return processor;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#running].map((processor) => processor.stop()));
  }
}
