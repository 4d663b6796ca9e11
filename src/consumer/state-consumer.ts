import type { Logger } from "../service/log-port.ts";
import { SieveCache } from "../service/sieve-cache.ts";
import { Tracing } from "../service/tracing.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { StateFace } from "../state/face.ts";
import type { IncomingMessage, MessageConsumer } from "../state/message-bus.ts";
import type { HistoryEntry, Version } from "../state/state.ts";
import { OrderedConsumer } from "./ordered-consumer.ts";
import type { RolledBack } from "../state/rolled-back-event.ts";
import { readReceived } from "./read-received.ts";
import type { Received, ReceivedChange } from "./read-received.ts";

/** Versions of a state that did not come, and are not kept any more or nobody could be asked for. */
export interface MissedVersions {
  readonly from: Version;
  readonly to: Version;
}

/** What a handler is told beside the change. */
export interface ChangeContext {
  /** Right before this change these are missing; null: none that is known of. */
  readonly missed: MissedVersions | null;
  /** Aborts when the consumer is closed: the change comes again, unless the handler ends well all the same. */
  readonly signal: AbortSignal;
}

/** Where a consumer asks for what did not come: a state manager, or the HTTP client to one. */
export type ChangeSource = Pick<StateFace, "getState" | "history">;

export interface StateConsumerOptions {
  readonly consumer: MessageConsumer;
  /**
   * Works on one change. Of one scope they come one after the other, in the order of its steps. Where it throws, the
   * change comes again later, and those behind it in its scope after it.
   */
  readonly onChange: (change: ReceivedChange, context: ChangeContext) => void | Promise<void>;
  /** Told that a scope went back, before the changes by which it did. Where it throws, it is told again. */
  readonly onRolledBack?: (rolledBack: RolledBack) => void | Promise<void>;
  /**
   * Asked for versions that did not come and for documents that were too large to travel. Unsaid: the handler
   * is told which versions are missing, and such documents are absent.
   */
  readonly source?: ChangeSource;
  /** A message that is no event of this program; unsaid, it is logged. Either way it does not come again. */
  readonly onUnreadable?: (message: IncomingMessage, error: AgentRuntimeError) => void;
  /** States whose version is remembered, some 100 bytes each; default 100,000. Of others duplicates come through. */
  readonly remember?: number;
  /** How handlers are traced: as part of the trace that made the change; unsaid: not at all. */
  readonly tracing?: Tracing;
  readonly invisibleMs: number;
  readonly log: Logger;
}

/** What came, since the consumer was opened. */
export interface StateConsumerFigures {
  readonly health: "ok" | "unavailable";
  /** Changes that the handler has done. */
  readonly handled: number;
  /** Messages that were older than what came before, or the same again. */
  readonly dropped: number;
  /** Versions that did not come and were asked for, and those that nobody has any more. */
  readonly fetched: number;
  readonly missed: number;
  readonly unreadable: number;
  readonly retried: number;
  readonly inFlight: number;
  readonly reason?: string;
}

const REMEMBERED = 100_000;
const UNTRACED = new Tracing(false);
/** Versions that are asked for at once; where more are missing, the handler is told. */
const MAX_FETCHED = 1_000;

/**
 * Consumes the changes that services send over a message bus: each scope in order, every change at least once,
 * acknowledged when the handler is done with it. Duplicates and older versions are dropped, and what is missing is asked for.
 */
export class StateConsumer {
  readonly #options: StateConsumerOptions;
  readonly #consumer: OrderedConsumer;
  readonly #versions: SieveCache<string, Version>;
  #handled = 0;
  #dropped = 0;
  #fetched = 0;
  #missed = 0;
  #unreadable = 0;

  constructor(options: StateConsumerOptions) {
    const { consumer, invisibleMs, log, remember = REMEMBERED } = options;
    this.#options = options;
    this.#versions = new SieveCache({ entries: remember, bytes: remember });
    this.#consumer = new OrderedConsumer({
      name: "state consumer",
      consumer,
      take: (message, signal) => this.#take(message, signal),
      invisibleMs,
      log,
    });
  }

  start(): void {
    this.#consumer.start();
  }

  get figures(): StateConsumerFigures {
    return {
      ...this.#consumer.figures,
      handled: this.#handled,
      dropped: this.#dropped,
      fetched: this.#fetched,
      missed: this.#missed,
      unreadable: this.#unreadable,
    };
  }

  /** Waits for the handlers that run. Safe twice. */
  close(): Promise<void> {
    return this.#consumer.stop();
  }

  async #take(message: IncomingMessage, signal: AbortSignal): Promise<"done" | "retry"> {
    const received = this.#read(message);
    if (received === undefined) return "done";
    try {
      if ("change" in received) await this.#takeChange(received.change, signal);
      else if ("rolledBack" in received) await this.#options.onRolledBack?.(received.rolledBack);
      return "done";
    } catch (error) {
      if (!signal.aborted) {
        const { keys, attempt } = message;
        this.#options.log.warn(
          { keys, attempt, error },
          "a message was not worked on, and comes again",
        );
      }
      return "retry";
    }
  }

  async #takeChange(change: ReceivedChange, signal: AbortSignal): Promise<void> {
    const known = this.#versions.get(nameOf(change));
    if (known !== undefined && change.version <= known) this.#dropped += 1;
    else await this.#deliver(change, known, signal);
  }

  #read(message: IncomingMessage): Received | undefined {
    try {
      return readReceived(message.body);
    } catch (error) {
      if (!(error instanceof AgentRuntimeError)) throw error;
      this.#unreadable += 1;
      const { onUnreadable, log } = this.#options;
      if (onUnreadable !== undefined) onUnreadable(message, error);
      else log.error({ messageId: message.messageId, error }, "a message is no change; left out");
      return undefined;
    }
  }

  async #deliver(
    change: ReceivedChange,
    known: Version | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    let missed: MissedVersions | null = null;
    if (known !== undefined && change.version > known + 1n) {
      const gap = { from: known + 1n, to: change.version - 1n };
      const between = await this.#between(change, gap);
      for (const one of between) {
        await this.#hand(one, { missed: missedBefore(one, gap.from, between), signal });
        this.#fetched += 1;
      }
      if (between.length === 0) missed = gap;
    }
    await this.#hand(await this.#whole(change), { missed, signal });
  }

  async #hand(change: ReceivedChange, context: ChangeContext): Promise<void> {
    const { onChange, tracing = UNTRACED } = this.#options;
    const { id, version, traceparent } = change;
    await tracing.withSpan(
      "agent_state.consume",
      { "agent_state.id": id, "agent_state.version": String(version) },
      async () => onChange(change, context),
      traceparent,
    );
    this.#handled += 1;
    if (context.missed !== null) {
      this.#missed += Number(context.missed.to - context.missed.from) + 1;
    }
    this.#versions.set(nameOf(change), change.version, 1);
  }

  /** The versions of a gap that are still kept, the oldest first. */
  async #between(change: ReceivedChange, gap: MissedVersions): Promise<ReceivedChange[]> {
    const { source } = this.#options;
    const count = gap.to - gap.from + 1n;
    if (source === undefined || count > BigInt(MAX_FETCHED)) return [];
    const { namespace, id } = change;
    const page = { namespace, before: change.version, limit: Number(count) };
    const { items } = await source.history(id, page);
    const kept = items.filter(({ version }) => version >= gap.from).toReversed();
    return await Promise.all(kept.map((entry) => this.#whole(changeOf(change, entry))));
  }

  /** With its document, where that was too large to travel and is still kept. */
  async #whole(change: ReceivedChange): Promise<ReceivedChange> {
    const { source } = this.#options;
    if (change.data !== undefined) return change;
    if (change.kind === "delete") return { ...change, data: null };
    if (source === undefined) return change;
    const { namespace, id, version } = change;
    try {
      const { data } = await source.getState(id, { namespace, version });
      return { ...change, data };
    } catch (error) {
      if (!(error instanceof AgentRuntimeError)) throw error;
      if (error.code === "GONE") return { ...change, data: null };
      if (error.code === "VERSION_NOT_FOUND" || error.code === "STATE_NOT_FOUND") return change;
      throw error;
    }
  }
}

/** What is missing before one of the versions of a gap that are still kept: pruning takes the oldest. */
function missedBefore(
  { version }: ReceivedChange,
  from: Version,
  kept: readonly ReceivedChange[],
): MissedVersions | null {
  const isFirst = kept[0]!.version === version;
  return isFirst && version > from ? { from, to: version - 1n } : null;
}

function changeOf(next: ReceivedChange, entry: HistoryEntry): ReceivedChange {
  const { namespace, scope, id, type } = next;
  const { version, step, kind, phase, actor, cause, digest, at } = entry;
  return { namespace, scope, id, type, version, step, kind, phase, actor, cause, digest, at };
}

function nameOf({ namespace, id }: ReceivedChange): string {
  return `${namespace}\u001f${id}`;
}
