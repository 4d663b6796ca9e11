import type { Metrics } from "../service/metrics.ts";
import type { Traced, Tracing } from "../service/tracing.ts";
import { AgentRuntimeError } from "../state/errors.ts";

/** Times every operation, and traces it where that is on: written here once for all. */
export class Operations {
  readonly #metrics: Metrics;
  readonly #tracing: Tracing;

  constructor(metrics: Metrics, tracing: Tracing) {
    this.#metrics = metrics;
    this.#tracing = tracing;
  }

  /**
   * What `run` answers. It is called at once, and let go: only its answer is waited for.
   *
   * @param parent the `traceparent` that the call came with.
   */
  observe<T>(operation: string, run: Traced<T>, parent?: string): Promise<T> {
    const from = performance.now();
    let answer: Promise<T>;
    try {
      answer = this.#tracing.withSpan(`agent_state.${operation}`, {}, run, parent);
    } catch (error) {
      answer = Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
    return this.#time(operation, from, answer);
  }

  // Not async: what waits for a commit is copied by each garbage collection, and this is smaller.
  #time<T>(operation: string, from: number, answer: Promise<T>): Promise<T> {
    return answer.then(
      (value) => {
        this.#note(operation, "ok", from);
        return value;
      },
      (error: unknown) => {
        this.#note(operation, error instanceof AgentRuntimeError ? error.code : "INTERNAL", from);
        throw error;
      },
    );
  }

  #note(operation: string, outcome: string, from: number): void {
    this.#metrics.observe(operation, outcome, (performance.now() - from) / 1_000);
  }
}
