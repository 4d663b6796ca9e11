import { readFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import { ErrorReply, createClient } from "@redis/client";
import { withDeadline } from "../service/deadline.ts";
import type { Logger } from "../service/log-port.ts";
import { Loop } from "../service/loop.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { SharedCache, SharedEntry } from "../state/shared-cache.ts";
import { guardedWrite } from "./guarded-write.ts";

export interface DragonflyOptions {
  /** `redis://` or `rediss://`, with user, password and database where they are needed. */
  readonly url: string;
  /** A file in PEM: the authority that signed the server's certificate; unsaid: those that Node trusts. */
  readonly tlsAuthority?: string;
  /** Before every key, so that several systems can share a server. */
  readonly prefix: string;
  readonly ttlMs: number;
  readonly entryBytes: number;
  /** How long a call may take; after that its reader goes on without. */
  readonly timeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly log: Logger;
}

/** Of the keys' form and the entries'. */
const FORMAT = 2;

/** So many calls in a row without an answer, and the connection is given up. */
const MAX_FAILURES = 3;
/** Writes that wait for an answer; more are left undone. */
const MAX_WRITES = 1_000;
const MAX_COMMANDS = 20_000;
const CHECK_EVERY_MS = 1_000;

const ENTRY = /^(\d{1,19}) (\d{1,16}) (\d{1,10}) /;

type Client = ReturnType<typeof createClient>;

/**
 * The shared cache in a DragonflyDB, or in anything else that speaks Redis's protocol.
 *
 * Nothing waits for it: while it cannot be reached it has nothing, and what it does not answer in time it
 * does not have. A connection on which calls fail is given up, and made anew in the background.
 */
export class DragonflyCache implements SharedCache {
  readonly #options: DragonflyOptions;
  readonly #loop: Loop;
  #client: Client | null = null;
  #trouble: string | null = "it was not reached yet";
  #failures = 0;
  #errors = 0;
  #writes = 0;
  /** This connection answers no MGET. */
  #isOneByOne = false;
  #hasRefused = false;
  #isClosed = false;

  constructor(options: DragonflyOptions) {
    this.#options = options;
    this.#loop = new Loop({
      name: "shared cache",
      pauseMs: CHECK_EVERY_MS,
      runOnce: async () => {
        await (this.#client === null ? this.#connect() : this.#check(this.#client));
        return false;
      },
      log: options.log,
    });
    this.#loop.start();
  }

  get ttlMs(): number {
    return this.#options.ttlMs;
  }

  get entryBytes(): number {
    return this.#options.entryBytes;
  }

  get trouble(): string | null {
    return this.#trouble;
  }

  get errors(): number {
    return this.#errors;
  }

  async get(keys: readonly string[]): Promise<(SharedEntry | undefined)[]> {
    const client = this.#client;
    if (client === null) return keys.map(() => undefined);
    try {
      const answers = await this.#inTime(() => this.#ask(client, keys));
      this.#failures = 0;
      const entries = answers.map(entryOf);
      // The client's queue leaves each command that is done linked to the next one: once one of them is old, young
      // collections keep all that follow it, with their answers.
      answers.length = 0;
      return entries;
    } catch (error) {
      this.#failed(client, error);
      return keys.map(() => undefined);
    }
  }

  put(key: string, { version, settled, text }: SharedEntry, ttlMs: number): void {
    const client = this.#client;
    if (client === null || this.#writes >= MAX_WRITES) return;
    this.#writes++;
    const send = (command: readonly string[]): Promise<unknown> => client.sendCommand([...command]);
    const summed = `${sumOf(version, settled, text)} ${text}`;
    const values = [`${version}`, `${settled}`, summed, `${ttlMs}`] as const;
    this.#inTime(() => guardedWrite(send, this.#keyOf(key), values))
      .catch((error: unknown) => this.#failed(client, error))
      .finally(() => this.#writes--);
  }

  /** Safe twice. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#giveUp("it is closed");
    await this.#loop.stop();
  }

  /** All in one command: each by itself costs the client and the server several times as much. */
  async #ask(client: Client, keys: readonly string[]): Promise<unknown[]> {
    const names = keys.map((key) => this.#keyOf(key));
    if (names.length > 1 && !this.#isOneByOne) {
      try {
        return await client.sendCommand<unknown[]>(["MGET", ...names]);
      } catch (error) {
        if (!isRefused(error)) throw error;
        this.#isOneByOne = true;
      }
    }
    return await Promise.all(names.map((name) => client.sendCommand(["GET", name])));
  }

  #keyOf(key: string): string {
    return `${this.#options.prefix}${FORMAT}:${key}`;
  }

  /** Of every read, so it makes no more than it needs. */
  #inTime<T>(call: () => Promise<T>): Promise<T> {
    const { timeoutMs } = this.#options;
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
      call()
        .then(resolve, reject)
        .finally(() => clearTimeout(timer));
    });
  }

  async #connect(): Promise<void> {
    const { connectTimeoutMs } = this.#options;
    const client = newClient(this.#options);
    // Each failure also rejects what waited for it; without a listener it would end the process.
    client.on("error", (error: unknown) => this.#lost(client, error));
    try {
      await withDeadline({ what: "Connecting to the cache", timeoutMs: connectTimeoutMs }, () =>
        client.connect(),
      );
      await this.#inTime(() => client.sendCommand(["PING"]));
    } catch (error) {
      client.destroy();
      this.#trouble = reasonOf(error);
      throw error;
    }
    if (this.#isClosed) return client.destroy();
    this.#client = client;
    this.#isOneByOne = false;
    this.#hasRefused = false;
    this.#failures = 0;
    this.#trouble = null;
    this.#options.log.info({}, "the shared cache serves reads");
  }

  async #check(client: Client): Promise<void> {
    try {
      await this.#inTime(() => client.sendCommand(["PING"]));
    } catch (error) {
      if (error instanceof ErrorReply) this.#lost(client, error);
      else this.#failed(client, error);
    }
  }

  #failed(client: Client, error: unknown): void {
    this.#errors++;
    // It answered: that one command is refused, as where it is full or somebody keeps a list there, is no fault of the connection.
    if (error instanceof ErrorReply) return this.#refused(error);
    this.#failures++;
    if (client === this.#client && this.#failures >= MAX_FAILURES) this.#lost(client, error);
  }

  /** Told once a connection: with a full cache it is every write. */
  #refused({ message: reason }: ErrorReply): void {
    if (!this.#hasRefused) this.#options.log.warn({ reason }, "the shared cache refuses a command");
    this.#hasRefused = true;
  }

  #lost(client: Client, error: unknown): void {
    if (client !== this.#client) return;
    const reason = reasonOf(error);
    this.#options.log.warn({ reason }, "the shared cache serves no reads");
    this.#giveUp(reason);
    this.#loop.wake();
  }

  #giveUp(reason: string): void {
    this.#trouble = reason;
    this.#client?.destroy();
    this.#client = null;
  }
}

/** A connection to be made, which is not made anew by itself. */
export function newClient({
  url,
  tlsAuthority,
  connectTimeoutMs,
}: Pick<DragonflyOptions, "url" | "tlsAuthority" | "connectTimeoutMs">): Client {
  const socket = {
    connectTimeout: connectTimeoutMs,
    reconnectStrategy: false, // the loop does that; the client would try a wrong password for ever, and tell nobody
  } as const;
  const authority =
    tlsAuthority === undefined
      ? {}
      : ({ tls: true, ca: readFileSync(tlsAuthority, "utf8") } as const);
  const client: unknown = createClient({
    url,
    socket: { ...socket, ...authority },
    disableOfflineQueue: true,
    commandsQueueMaxLength: MAX_COMMANDS,
    disableClientInfo: true,
    maintNotifications: "disabled",
    commandOptions: { timeout: 0 }, // calls have an end of their own; the client's costs a signal for each command
  });
  return client as Client; // its type names all options that were given
}

function reasonOf(error: unknown): string {
  if (error instanceof AgentRuntimeError) return error.message;
  return error instanceof Error && error.message !== "" ? error.message : String(error);
}

/** By a server in cluster mode, for keys of several slots; or to a user who may not. */
function isRefused(error: unknown): boolean {
  return error instanceof Error && /^(CROSSSLOT|NOPERM) /.test(error.message);
}

/** Of all that an entry says: what was cut short or written over by somebody else does not have it. */
function sumOf(version: bigint, settled: number, text: string): number {
  return crc32(text, crc32(`${version} ${settled}`));
}

/** Undefined where there is nothing, or not what this program wrote. */
function entryOf(answer: unknown): SharedEntry | undefined {
  const found = typeof answer === "string" ? ENTRY.exec(answer) : null;
  if (found === null) return undefined;
  const [place] = found;
  const [version, settled] = [BigInt(found[1]!), Number(found[2])];
  const text = (answer as string).slice(place.length);
  return sumOf(version, settled, text) === Number(found[3])
    ? { version, settled, text }
    : undefined;
}
