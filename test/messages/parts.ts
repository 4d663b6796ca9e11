import { Relay } from "../../src/relay/relay.ts";
import type { RelayOptions } from "../../src/relay/relay.ts";
import type { StateManager } from "../../src/manager/state-manager.ts";
import { silentLog } from "../../src/service/log.ts";
import { AgentRuntimeError } from "../../src/state/errors.ts";
import type { MessageProducer, OutgoingMessage } from "../../src/state/message-bus.ts";
import type { StateStore } from "../../src/state/ports.ts";
import { testHomes } from "../support/homes.ts";
import type { TestHome } from "../support/homes.ts";

export const TOPIC = "changes";

/** The first home that is here: what these suites look at is the same on all. */
export function anyHome(): TestHome {
  return testHomes().find(({ available }) => available === true)!;
}

/** What a change's message says. */
export interface Told {
  readonly namespace: string;
  readonly scope: string;
  readonly step: string;
  readonly id: string;
  readonly version: string;
  readonly kind: string;
  readonly digest: string;
  readonly data?: unknown;
}

/**
 * A double of a bus that only records: no broker is behind it. `fate` says what becomes of a message:
 * refused before it was taken, or after, as where the answer is lost; or refused for good.
 */
export class RecordingProducer implements MessageProducer {
  readonly messages: OutgoingMessage[] = [];
  fate: (message: OutgoingMessage) => "taken" | "refused" | "never" | "taken, answer lost" = () =>
    "taken";
  /** Resolves before a message is taken. */
  before: (message: OutgoingMessage, signal?: AbortSignal) => Promise<void> = async () => {};
  /** Of one group, the most that were on their way at the same time. */
  mostInGroup = 0;
  mostAtOnce = 0;
  readonly #inGroup = new Map<string, number>();
  #atOnce = 0;

  async send(message: OutgoingMessage, signal?: AbortSignal): Promise<void> {
    const group = message.group ?? "";
    const inGroup = (this.#inGroup.get(group) ?? 0) + 1;
    this.#inGroup.set(group, inGroup);
    this.#atOnce += 1;
    this.mostInGroup = Math.max(this.mostInGroup, inGroup);
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#atOnce);
    try {
      await this.before(message, signal);
      const fate = this.fate(message);
      if (fate === "never") {
        throw new AgentRuntimeError("PAYLOAD_TOO_LARGE", "the bus will never take this");
      }
      if (fate !== "refused") this.messages.push(message);
      if (fate !== "taken") throw new AgentRuntimeError("UNAVAILABLE", "the bus is away");
    } finally {
      this.#inGroup.set(group, this.#inGroup.get(group)! - 1);
      this.#atOnce -= 1;
    }
  }

  async close(): Promise<void> {}

  told(): Told[] {
    return this.messages.map(toldBy);
  }
}

export function toldBy({ body }: { readonly body: Uint8Array }): Told {
  return (JSON.parse(Buffer.from(body).toString("utf8")) as { readonly data: Told }).data;
}

/** What is left of messages when what came before is dropped: `state id` to the versions, in their order. */
export function firstOfEach(told: readonly Told[]): Map<string, string[]> {
  const versions = new Map<string, string[]>();
  for (const { namespace, id, version } of told) {
    const key = `${namespace}/${id}`;
    const known = versions.get(key) ?? [];
    if (BigInt(version) > BigInt(known.at(-1) ?? 0)) known.push(version);
    versions.set(key, known);
  }
  return versions;
}

/** A relay over a store, as the runtime makes it; not started. */
export function openRelay(
  parts: { readonly store: StateStore; readonly manager: StateManager },
  options: Partial<RelayOptions> & Pick<RelayOptions, "producer">,
): Relay {
  const { store, manager } = parts;
  return new Relay({
    relay: store.relay,
    feed: store.feed,
    readChange: (row) => manager.readChange(row),
    parked: store.parked,
    topic: TOPIC,
    maxInlineBytes: 262_144,
    concurrency: 8,
    pollMs: 20,
    log: silentLog,
    ...options,
  });
}
