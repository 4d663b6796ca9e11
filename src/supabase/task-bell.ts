import { randomUUID } from "node:crypto";
import pg from "pg";
import { backoffMs } from "../service/backoff.ts";
import type { TaskBell } from "../state/task-port.ts";
import { clientConfig, destroy } from "./connection.ts";
import type { ConnectionOptions } from "./connection.ts";

const CHANNEL = "agent_runtime_tasks";

/** More often need nobody be woken; each ring is a transaction. */
const RING_EVERY_MS = 10;

const RETRY = { firstMs: 500, maxMs: 30_000 };

/** Rings with NOTIFY, and hears with LISTEN on a connection of its own, where no pooler stands between. */
export class PostgresTaskBell implements TaskBell {
  readonly #options: ConnectionOptions;
  readonly #send: (statement: string, values: readonly unknown[]) => Promise<unknown>;
  /** Whoever rang needs not hear it. */
  readonly #own = randomUUID();
  #isResting = false;
  #isWanted = false;
  #onRing: (() => void) | undefined;
  #client: pg.Client | undefined;
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

  ring(): void {
    if (this.#isClosed) return;
    this.#isWanted = this.#isResting;
    if (this.#isResting) return;
    this.#isResting = true;
    const rested = (): void => {
      this.#isResting = false;
      if (this.#isWanted) this.ring();
    };
    // Whether it is heard or not: those who wait also look by themselves.
    void this.#send("select pg_notify($1, $2)", [CHANNEL, this.#own]).catch(() => undefined);
    setTimeout(rested, RING_EVERY_MS).unref();
  }

  listen(onRing: () => void): void {
    if (this.#onRing !== undefined || this.#isClosed) return;
    this.#onRing = onRing;
    void this.#open();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    if (this.#client !== undefined) destroy(this.#client);
  }

  async #open(): Promise<void> {
    const client = new pg.Client(clientConfig(this.#options));
    this.#client = client;
    const lost = (): void => this.#lost(client);
    client.on("error", lost);
    client.on("end", lost);
    client.on("notification", ({ payload }) => {
      if (payload !== this.#own) this.#onRing?.();
    });
    try {
      await client.connect();
      if (await isPooled(client)) return this.#giveUp(client);
      await client.query(`listen ${CHANNEL}`);
      this.#failures = 0;
      this.#onRing?.(); // what rang until now was not heard
    } catch {
      lost();
    }
  }

  /** Behind a pooler that hands out connections by the transaction, nothing would be heard. */
  #giveUp(client: pg.Client): void {
    this.#client = undefined;
    void client.end().catch(() => undefined);
  }

  #lost(client: pg.Client): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    destroy(client);
    if (this.#isClosed) return;
    this.#failures++;
    const ms = backoffMs(this.#failures, RETRY, Math.random());
    this.#retry = setTimeout(() => void this.#open(), ms).unref();
  }
}

/** A pooler tells another process than the one that serves. */
async function isPooled(client: pg.Client): Promise<boolean> {
  const told = (client as unknown as { readonly processID: number }).processID;
  const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
  return rows[0]?.pid !== told;
}
