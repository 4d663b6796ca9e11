import { isUtf8 } from "node:buffer";
import { isNameOfSent } from "../state/change-event.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { pageLimit } from "../state/page.ts";
import type {
  ParkedDetails,
  ParkedFace,
  ParkedListOptions,
  ParkedOptions,
} from "../state/parked-face.ts";
import type { MessageKind } from "../state/message-kind.ts";
import type { ParkedMessage, ParkedStore } from "../state/parked-port.ts";
import type { Committed, Page } from "../state/state.ts";

export interface ParkedMessagesOptions {
  readonly store: ParkedStore;
  /** What the messages of a topic mean. */
  readonly kindOf: (topic: string) => MessageKind;
  readonly limits: { readonly pageItems: number };
}

/** What people do about messages that could not be applied. */
export class ParkedMessages implements ParkedFace {
  readonly #options: ParkedMessagesOptions;

  constructor(options: ParkedMessagesOptions) {
    this.#options = options;
  }

  async list(options: ParkedListOptions = {}): Promise<Page<ParkedMessage>> {
    const { after = "0", namespace = "default" } = options;
    const limit = pageLimit(this.#options.limits.pageItems, options.limit);
    const page = { after: cursorOf(after), limit: limit + 1 };
    const found = await this.#options.store.list(namespace, page);
    const items = found.slice(0, limit);
    return found.length <= limit ? { items } : { items, next: String(items.at(-1)!.number) };
  }

  async get(number: bigint, options: ParkedOptions = {}): Promise<ParkedDetails> {
    const { message, body } = await this.#read(number, options);
    const encoding = isUtf8(body) ? "utf8" : "base64";
    return { ...message, body: Buffer.from(body).toString(encoding), encoding };
  }

  async redrive(number: bigint, options: ParkedOptions = {}): Promise<Committed> {
    const { store, kindOf } = this.#options;
    const { message, body } = await this.#read(number, options);
    if (isNameOfSent(message.messageId)) throw isCommitted(message);
    const { work } = kindOf(message.topic)(body, message.messageId);
    try {
      if (work instanceof AgentRuntimeError) throw work;
      const committed = await work(options);
      await store.drop(message.namespace, number);
      return committed;
    } catch (error) {
      if (error instanceof AgentRuntimeError && !error.retryable) {
        const { code, message: detail } = error;
        await store.park({ ...message, body, code, detail });
      }
      throw error;
    }
  }

  async discard(number: bigint, { namespace = "default" }: ParkedOptions = {}): Promise<void> {
    if (!(await this.#options.store.drop(namespace, number))) throw notFound(number);
  }

  async #read(
    number: bigint,
    { namespace = "default" }: ParkedOptions,
  ): Promise<{ readonly message: ParkedMessage; readonly body: Uint8Array }> {
    const found = await this.#options.store.read(namespace, number);
    if (found === null) throw notFound(number);
    return found;
  }
}

function isCommitted({ number, topic }: ParkedMessage): AgentRuntimeError {
  return new AgentRuntimeError(
    "INVALID_REQUEST",
    `Number ${number} is not an update: it announces a committed change that topic ${topic} refused. Consumers notice the missing version and read the state; discard it.`,
  );
}

function cursorOf(after: string): bigint {
  if (/^[0-9]{1,18}$/.test(after)) return BigInt(after);
  throw new AgentRuntimeError(
    "INVALID_CURSOR",
    "This is not a cursor of parked messages: pass the `next` of the previous page.",
  );
}

function notFound(number: bigint): AgentRuntimeError {
  return new AgentRuntimeError(
    "PARKED_NOT_FOUND",
    `There is no parked message ${number} in this namespace: it was redriven or discarded, or never existed.`,
  );
}
