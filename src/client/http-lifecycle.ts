import type { FactOptions, LifecycleFace } from "../state/fact-sink.ts";
import { factJson } from "../state/lifecycle-fact.ts";
import type { LifecycleFact } from "../state/lifecycle-fact.ts";
import type { Call } from "./transport.ts";

type Send = (options: FactOptions, call: Call) => Promise<unknown>;

/** Tells a running service what happens to pods. */
export class HttpLifecycle implements LifecycleFace {
  readonly #send: Send;

  constructor(send: Send) {
    this.#send = send;
  }

  async publish(facts: readonly LifecycleFact[], options: FactOptions = {}): Promise<void> {
    const body = JSON.stringify({ facts: facts.map(factJson) });
    await this.#send(options, { method: "POST", path: "/v1/lifecycle/facts", body });
  }
}
