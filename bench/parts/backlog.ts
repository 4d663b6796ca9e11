import { setTimeout as sleep } from "node:timers/promises";
import { Relay } from "../../src/relay/relay.ts";
import { silentLog } from "../../src/service/log.ts";
import type { MessageProducer, OutgoingMessage } from "../../src/state/message-bus.ts";
import type { StateStore } from "../../src/state/ports.ts";
import { openStateStore } from "../../src/supabase/state-store.ts";
import type { Bench } from "../bench.ts";
import type { Library } from "./library.ts";

const LOOK_MS = 5;
/** As a service sends, where nothing else is said. */
export const CONCURRENCY = 64;
const TIME_LIMITS = { connectTimeoutMs: 60_000, statementTimeoutMs: 60_000 };
const MAX_INLINE_BYTES = 262_144;

/** A database whose changes all wait to be sent, and a relay that sends them: again and again. */
export class Backlog {
  readonly changes: number;
  readonly #bench: Bench;
  readonly #database: string;
  readonly #library: Library;
  readonly #store: StateStore;

  private constructor(
    bench: Bench,
    database: string,
    parts: { readonly library: Library; readonly url: string },
  ) {
    this.#bench = bench;
    this.#database = database;
    this.#library = parts.library;
    this.#store = openStateStore({
      address: { url: parts.url },
      ...TIME_LIMITS,
      lanes: 2,
      readers: 2,
      dataBytes: 1_048_576,
      dataDepth: 64,
    });
    bench.workshop.atEnd(() => this.#store.close());
    this.changes = bench.sizes.keys;
  }

  static async open(bench: Bench): Promise<Backlog> {
    const postgres = await bench.postgres();
    const database = await bench.seededDatabase();
    const library = await bench.openLibrary(database);
    return new Backlog(bench, database, { library, url: postgres.url(database) });
  }

  /** All that was sent waits once more. */
  async again(): Promise<void> {
    const postgres = await this.#bench.postgres();
    await postgres.query(
      this.#database,
      "update agent_state.relays set xid = 0, scope_no = 0, step = 0, position = 0",
    );
  }

  /** What a service would run; not started. */
  openRelay(topic: string, producer: MessageProducer): Relay {
    return new Relay({
      relay: this.#store.relay,
      feed: this.#store.feed,
      readChange: (row) => this.#library.readChange(row),
      producer,
      parked: this.#store.parked,
      topic,
      maxInlineBytes: MAX_INLINE_BYTES,
      concurrency: CONCURRENCY,
      pollMs: 250,
      log: silentLog,
    });
  }

  /** The first of the messages that the relay sends, by scope. */
  async messages(topic: string, count: number): Promise<OutgoingMessage[][]> {
    const scopes = new Map<string, OutgoingMessage[]>();
    let recorded = 0;
    const send = (message: OutgoingMessage): Promise<void> => {
      const known = scopes.get(message.group!);
      if (known === undefined) scopes.set(message.group!, [message]);
      else known.push(message);
      recorded += 1;
      return Promise.resolve();
    };
    await this.again();
    const relay = this.openRelay(topic, { send, close: () => Promise.resolve() });
    relay.start();
    await this.sent(relay, () => recorded >= Math.min(count, this.changes));
    await relay.stop();
    return [...scopes.values()];
  }

  /** Resolves once the relay is so far. */
  async sent(relay: Relay, isEnough: (sent: number) => boolean): Promise<void> {
    const { signal } = this.#bench.workshop;
    while (!isEnough(relay.figures.sent)) await sleep(LOOK_MS, undefined, { signal });
  }
}

/** Nothing of a database waits to be sent. */
export async function markSent(bench: Bench, database: string): Promise<void> {
  const postgres = await bench.postgres();
  await postgres.query(
    database,
    `update agent_state.relays set (xid, scope_no, step, position) =
       (select feed_xid::text::bigint, scope_no, step, position from agent_state.changes
         order by feed_xid desc, scope_no desc, step desc, position desc limit 1)`,
  );
}
