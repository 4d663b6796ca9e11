import { definedOnly } from "../state/defined.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { FactOptions, LifecycleFace } from "../state/fact-sink.ts";
import { checkNamespace } from "../state/identifiers.ts";
import { MAX_FACTS, factJson, parseFact } from "../state/lifecycle-fact.ts";
import type { LifecycleFact } from "../state/lifecycle-fact.ts";
import type { MessageBus } from "../state/message-bus.ts";
import { busSink } from "./bus-sink.ts";
import type { Lifecycles } from "./lifecycles.ts";

export interface LifecycleFactsOptions {
  readonly lifecycles: Pick<Lifecycles, "applyAll">;
  /** Where facts wait for their turn; null: they are applied at once. */
  readonly bus: Pick<MessageBus, "producer"> | null;
  readonly topic: string;
}

/** What tells facts to this service. */
export class LifecycleFacts implements LifecycleFace {
  readonly #options: LifecycleFactsOptions;

  constructor(options: LifecycleFactsOptions) {
    this.#options = options;
  }

  async publish(facts: readonly LifecycleFact[], options: FactOptions = {}): Promise<void> {
    if (facts.length > MAX_FACTS) {
      const why = `${facts.length} facts are too many at once: tell ${MAX_FACTS} at most`;
      throw new AgentRuntimeError("PAYLOAD_TOO_LARGE", why, { field: "facts" });
    }
    const checked = facts.map((fact, index) => parseFact(factJson(fact), `facts[${index}]`));
    const { namespace: given = "default", signal, timeoutMs, traceparent } = options;
    const namespace = checkNamespace(given);
    const { bus, topic, lifecycles } = this.#options;
    if (bus === null) {
      const call = definedOnly({ signal, timeoutMs, traceparent });
      return await lifecycles.applyAll(namespace, checked, call);
    }
    const traced = definedOnly({ traceparent });
    await busSink(bus.producer, { topic, namespace, ...traced }).publish(checked, signal);
  }
}
