import pg from "pg";
import { AgentRuntimeError } from "../state/errors.ts";
import { Cancellations } from "./cancellations.ts";
import { clientConfig, destroy, FAREWELL_MS, isTimeout } from "./connection.ts";
import type { ConnectionOptions } from "./connection.ts";
import { failureOf, sqlState } from "./failure.ts";
import { AS_TEXT } from "./rows.ts";
import type { Row } from "./rows.ts";

/** Connections for reads, and for writes that need no order among them; any of them answers any. */
export class ReadPool {
  readonly #pool: pg.Pool;
  readonly #clients = new Set<pg.Client>();
  readonly #cancellations = new Cancellations();

  constructor(options: ConnectionOptions, connections: number) {
    this.#pool = new pg.Pool({
      ...clientConfig(options),
      max: connections,
      idleTimeoutMillis: 30_000,
    });
    // A connection that dies while idle is replaced by the next read; there is nobody to tell.
    this.#pool.on("error", () => undefined);
    // The pool does not listen while a read has the connection: an error beside the query's own,
    // as when the server is killed, would end the process.
    this.#pool.on("connect", (client) => {
      client.on("error", () => undefined);
      this.#clients.add(client);
    });
    this.#pool.on("remove", (client) => this.#clients.delete(client));
  }

  /**
   * Rows as text. A read that failed because its connection had died is repeated once on a new one.
   *
   * @throws {AgentRuntimeError} UNAVAILABLE
   */
  async query(statement: string, values: readonly unknown[] = []): Promise<Row[]> {
    try {
      return await this.#once(statement, values);
    } catch (error) {
      if (sqlState(error) !== undefined || isTimeout(error)) throw failureOf(error, false);
    }
    try {
      return await this.#once(statement, values);
    } catch (error) {
      throw failureOf(error, false);
    }
  }

  /**
   * The same for what changes something: never repeated by itself.
   *
   * @throws {AgentRuntimeError} UNAVAILABLE, saying whether the statement may have run.
   */
  async write(statement: string, values: readonly unknown[] = []): Promise<Row[]> {
    let isSent = false;
    try {
      return await this.#once(statement, values, () => (isSent = true));
    } catch (error) {
      throw failureOf(error, isSent);
    }
  }

  /** @param cutAfterMs after which reads that are still under way are cut off; unsaid: never. */
  async close(cutAfterMs?: number): Promise<void> {
    const cut = (): void => this.#clients.forEach(destroy);
    const timer = cutAfterMs === undefined ? undefined : setTimeout(cut, cutAfterMs);
    await this.#pool.end();
    clearTimeout(timer);
    await this.#farewell();
    await this.#cancellations.settled();
  }

  /** The pool does not wait until its connections are gone, and one whose server is silent never would be. */
  async #farewell(): Promise<void> {
    if (this.#clients.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#pool.on("remove", () => {
        if (this.#clients.size === 0) resolve();
      });
      timer = setTimeout(() => {
        this.#clients.forEach(destroy);
        resolve();
      }, FAREWELL_MS);
    });
    clearTimeout(timer);
  }

  async #once(statement: string, values: readonly unknown[], onSent?: () => void): Promise<Row[]> {
    if (this.#pool.ending) throw closed();
    const client = await this.#pool.connect();
    onSent?.();
    try {
      const result = await client.query<string[]>({
        text: statement,
        values: values as unknown[],
        rowMode: "array",
        types: AS_TEXT,
      });
      client.release();
      return result.rows;
    } catch (error) {
      client.release(sqlState(error) === undefined);
      if (isTimeout(error)) this.#cancellations.add(client);
      throw error;
    }
  }
}

function closed(): AgentRuntimeError {
  const why = "The connection to the database was closed here. Nothing happened.";
  return new AgentRuntimeError("UNAVAILABLE", why, { mayHaveHappened: false });
}
