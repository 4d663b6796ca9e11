import pg from "pg";
import { Cancellations } from "./cancellations.ts";
import { failureOf, sqlState } from "./failure.ts";
import { AS_TEXT } from "./rows.ts";
import type { Row } from "./rows.ts";

/** How long a server may take to answer a farewell; one that is silent is left without. */
export const FAREWELL_MS = 1_000;

/** How to reach a database: a `postgres://` URL, or a folder of unix sockets. */
export type Address =
  | { readonly url: string }
  | {
      readonly host: string;
      readonly port: number;
      readonly user: string;
      readonly database: string;
    };

export interface ConnectionOptions {
  readonly address: Address;
  readonly connectTimeoutMs: number;
  /** After this a statement is given up and its connection with it. */
  readonly statementTimeoutMs: number;
}

/**
 * What `pg` would otherwise take from PG* variables, which may be there for somebody else's database:
 * the embedded servers speak no TLS, and their sessions are as this program sets them up.
 */
const OF_SOCKETS = { ssl: false, sslnegotiation: "postgres", options: " " } as const;

/** What `pg` needs to know. Only unnamed statements are ever sent: transaction poolers lose named ones. */
export function clientConfig(options: ConnectionOptions): pg.ClientConfig {
  const { address, connectTimeoutMs, statementTimeoutMs } = options;
  return {
    ...("url" in address ? { connectionString: address.url } : { ...address, ...OF_SOCKETS }),
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: statementTimeoutMs,
    keepAlive: true,
    application_name: "agent_runtime",
  };
}

/**
 * One connection that heals: it connects when it is first needed, and again after it broke.
 * One query at a time: each waits until those before it have ended.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  #client: pg.Client | undefined;
  #connecting: Promise<pg.Client> | undefined;
  #opening: pg.Client | undefined;
  #last: Promise<unknown> = Promise.resolve();
  readonly #cancellations = new Cancellations();

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** @throws {AgentRuntimeError} UNAVAILABLE, saying whether the statement may have run. */
  query(statement: string, values: readonly unknown[]): Promise<Row[]> {
    const turn = this.#last.then(() => this.#query(statement, values));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #query(statement: string, values: readonly unknown[]): Promise<Row[]> {
    let sent = false;
    let client: pg.Client | undefined;
    try {
      client = this.#client ?? (await this.#connect());
      sent = true;
      const result = await client.query<string[]>({
        text: statement,
        values: values as unknown[],
        rowMode: "array",
        types: AS_TEXT,
      });
      return result.rows;
    } catch (error) {
      const failure = failureOf(error, sent);
      // A statement that got no answer leaves the connection in the middle of something.
      if (client !== undefined && failure.code === "UNAVAILABLE") this.#giveUp(client, error);
      throw failure;
    }
  }

  async close(): Promise<void> {
    let client = this.#client;
    const cut = setTimeout(() => {
      const silent = client ?? this.#opening;
      if (silent !== undefined) destroy(silent);
    }, FAREWELL_MS);
    client ??= await this.#connecting?.catch(() => undefined);
    this.#client = undefined;
    await client?.end().catch(() => undefined);
    await this.#cancellations.settled();
    clearTimeout(cut);
  }

  async #connect(): Promise<pg.Client> {
    this.#connecting ??= this.#open().finally(() => (this.#connecting = undefined));
    return this.#connecting;
  }

  async #open(): Promise<pg.Client> {
    const client = new pg.Client(clientConfig(this.#options));
    client.on("error", () => this.#drop(client));
    client.on("end", () => this.#drop(client));
    this.#opening = client;
    try {
      await client.connect();
    } catch (error) {
      destroy(client);
      throw error;
    } finally {
      this.#opening = undefined;
    }
    this.#client = client;
    return client;
  }

  #giveUp(client: pg.Client, error: unknown): void {
    this.#drop(client);
    if (isTimeout(error)) this.#cancellations.add(client);
  }

  #drop(client: pg.Client): void {
    if (this.#client === client) this.#client = undefined;
    destroy(client);
  }
}

/** Whether a statement, or an attempt to connect, took longer than is waited here; the server may still be at it. */
export function isTimeout(error: unknown): boolean {
  return error instanceof Error && sqlState(error) === undefined && /timeout/i.test(error.message);
}

/** Ends a connection without a word: the server may not be there to hear it. */
export function destroy(client: pg.Client): void {
  (
    client as unknown as { connection: { stream: { destroy(): void } } }
  ).connection.stream.destroy();
}
