import { randomUUID } from "node:crypto";
import pg from "pg";
import { backoffMs } from "../service/backoff.ts";
import type { Bell } from "../state/bell.ts";
import { clientConfig, destroy } from "./connection.ts";
import type { ConnectionOptions } from "./connection.ts";

/** A ring is a transaction that nobody has to find again, so none waits for the disk. */
const RING = "select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)";

const RETRY = { firstMs: 500, maxMs: 30_000 };

/** Rings with NOTIFY, and hears with LISTEN on one connection of its own, where no pooler stands between. */
export class PostgresBells {
  readonly #options: ConnectionOptions;
  readonly #send: (statement: string, values: readonly unknown[]) => Promise<unknown>;
  /** Whoever rang needs not hear it. */
  readonly #own = randomUUID();
  readonly #listeners = new Map<string, () => void>();
  #client: pg.Client | undefined;
  #isOpen = false;
  #retry: NodeJS.Timeout | undefined;
  #failures = 0;
  #isClosed = false;

  constructor(
    options: ConnectionOptions,
    send: (statement: string, values: readonly unknown[]) => Promise<unknown>,
  ) {
    this.#options = options;
    this.#send = send;
  }

  /** @param everyMs more often nobody rings, and nobody is woken. */
  bell(channel: string, everyMs: number): Bell {
    const ring = atMostEvery(everyMs, () => {
      if (this.#isClosed) return;
      // Whether it is heard or not: those who wait also look by themselves.
      void this.#send(RING, [channel, this.#own]).catch(() => undefined);
    });
    return { ring, listen: (onRing) => this.#listen(channel, atMostEvery(everyMs, onRing)) };
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    if (this.#client !== undefined) destroy(this.#client);
  }

  #listen(channel: string, onRing: () => void): void {
    if (this.#listeners.has(channel) || this.#isClosed) return;
    this.#listeners.set(channel, onRing);
    if (this.#listeners.size === 1) void this.#open();
    else if (this.#isOpen) void this.#hear(this.#client!, channel).catch(() => undefined);
  }

  async #open(): Promise<void> {
    const client = new pg.Client(clientConfig(this.#options));
    this.#client = client;
    const lost = (): void => this.#lost(client);
    client.on("error", lost);
    client.on("end", lost);
    client.on("notification", ({ channel, payload }) => {
      if (payload !== this.#own) this.#listeners.get(channel)?.();
    });
    try {
      await client.connect();
      if (await isPooled(client)) return this.#giveUp(client);
      this.#isOpen = true;
      for (const channel of this.#listeners.keys()) await this.#hear(client, channel);
      this.#failures = 0;
    } catch {
      lost();
    }
  }

  async #hear(client: pg.Client, channel: string): Promise<void> {
    await client.query(`listen ${channel}`);
    this.#listeners.get(channel)?.(); // what rang until now was not heard
  }

  /** Behind a pooler that hands out connections by the transaction, nothing would be heard. */
  #giveUp(client: pg.Client): void {
    this.#client = undefined;
    void client.end().catch(() => undefined);
  }

  #lost(client: pg.Client): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#isOpen = false;
    destroy(client);
    if (this.#isClosed) return;
    this.#failures++;
    const ms = backoffMs(this.#failures, RETRY, Math.random());
    this.#retry = setTimeout(() => void this.#open(), ms).unref();
  }
}

/** Calls at once, and where it was asked again meanwhile once more when the time is over. */
function atMostEvery(ms: number, call: () => void): () => void {
  let isResting = false;
  let isWanted = false;
  const ask = (): void => {
    isWanted = isResting;
    if (isResting) return;
    isResting = true;
    call();
    const rested = (): void => {
      isResting = false;
      if (isWanted) ask();
    };
    setTimeout(rested, ms).unref();
  };
  return ask;
}

/** A pooler tells another process than the one that serves. */
async function isPooled(client: pg.Client): Promise<boolean> {
  const told = (client as unknown as { readonly processID: number }).processID;
  const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
  return rows[0]?.pid !== told;
}
