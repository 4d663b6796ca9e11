import net from "node:net";
import type { ServerAddress } from "./servers.ts";
import { wireMessages } from "./wire-messages.ts";
import type { WireMessage } from "./wire-messages.ts";

/** What comes back of a command: rows of its result sets, or bytes that it copies out. */
export type WireEvent =
  | { readonly kind: "row"; readonly set: number; readonly values: readonly string[] }
  | { readonly kind: "bytes"; readonly bytes: Buffer };

export interface WireOptions {
  /** Speak to a sender of the log, which knows BASE_BACKUP, instead of a backend. */
  readonly replication?: true;
  /** Cuts the connection. */
  readonly signal?: AbortSignal;
}

const PROTOCOL_VERSION = 196_608; // 3.0
/** Longer than the checkpoint that a copy begins with takes on a slow disk. */
const SILENCE_MS = 300_000;

/**
 * A connection to one of the home's own servers, which ask for no password on their private socket.
 *
 * It speaks what a database driver has no words for: the commands of streaming replication, with
 * which a running server hands out a copy of itself. One command at a time.
 */
export class WireConnection {
  /** What the server said of itself, for example `server_version`. */
  readonly parameters = new Map<string, string>();
  readonly #socket: net.Socket;
  readonly #messages: AsyncGenerator<WireMessage>;

  private constructor(socket: net.Socket) {
    this.#socket = socket.on("error", () => {}); // Who reads hears of it.
    this.#messages = wireMessages(socket);
  }

  /** Connects; throws the system's error, or what the server says. */
  static async open(address: ServerAddress, options: WireOptions = {}): Promise<WireConnection> {
    options.signal?.throwIfAborted();
    const socket = net.connect(`${address.host}/.s.PGSQL.${address.port}`);
    socket.setTimeout(SILENCE_MS, () => {
      socket.destroy(new Error(`the server said nothing for ${SILENCE_MS} ms`));
    });
    const abort = (): void => void socket.destroy(new Error("canceled"));
    options.signal?.addEventListener("abort", abort, { once: true });
    socket.once("close", () => options.signal?.removeEventListener("abort", abort));
    const connection = new WireConnection(socket);
    try {
      socket.write(startup(address, options));
      for await (const _ of connection.#answer()) continue;
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Runs a command to its end, and returns the rows of each of its result sets; NULL as "". */
  async query(command: string): Promise<(readonly string[])[][]> {
    const sets: (readonly string[])[][] = [];
    for await (const event of this.run(command)) {
      if (event.kind === "row") (sets[event.set] ??= []).push(event.values);
    }
    return sets;
  }

  /**
   * Runs a command, and hands out what comes back as it comes: who reads slowly slows the server
   * down. Whoever does not read to the end must close the connection.
   */
  async *run(command: string): AsyncGenerator<WireEvent> {
    this.#socket.write(message("Q", `${command}\0`));
    yield* this.#answer();
  }

  /** Ends it, also in the middle of an answer. */
  close(): void {
    this.#socket.destroy();
  }

  /** Everything up to the server's word that it is ready for the next command. */
  async *#answer(): AsyncGenerator<WireEvent> {
    let set = -1;
    let failure: Error | undefined;
    for (;;) {
      const next = await this.#messages.next();
      if (next.done === true) throw failure ?? new Error("the server ended the connection");
      const { type, body } = next.value;
      if (type === "Z") break;
      else if (type === "T") set += 1;
      else if (type === "D") yield { kind: "row", set, values: rowValues(body) };
      else if (type === "d") yield { kind: "bytes", bytes: body };
      else if (type === "E") failure ??= new Error(errorText(body));
      else if (type === "S") this.#note(body);
      else if (type === "R" && body.readInt32BE(0) !== 0) throw new Error("it asks for a password");
    }
    if (failure !== undefined) throw failure;
  }

  #note(body: Buffer): void {
    const [name = "", value = ""] = body.toString("utf8").split("\0");
    this.parameters.set(name, value);
  }
}

function startup({ user, database }: ServerAddress, { replication }: WireOptions): Buffer {
  const pairs = { user, database, application_name: "agent_runtime_home" };
  const all = Object.entries(replication === true ? { ...pairs, replication: "true" } : pairs);
  const text = Buffer.from(`${all.map(([name, value]) => `${name}\0${value}\0`).join("")}\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(head.length + text.length, 0);
  head.writeInt32BE(PROTOCOL_VERSION, 4);
  return Buffer.concat([head, text]);
}

function message(type: string, text: string): Buffer {
  const body = Buffer.from(text);
  const head = Buffer.alloc(5);
  head.write(type, 0, "latin1");
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

function rowValues(body: Buffer): string[] {
  const values: string[] = [];
  let at = 2;
  for (let left = body.readInt16BE(0); left > 0; left -= 1) {
    const bytes = Math.max(0, body.readInt32BE(at));
    values.push(body.toString("utf8", at + 4, at + 4 + bytes));
    at += 4 + bytes;
  }
  return values;
}

/** Fields of an error are a letter and a text each: M is its message, D what it says beside it. */
function errorText(body: Buffer): string {
  const fields = body.toString("utf8").split("\0");
  const field = (letter: string): string | undefined =>
    fields.find((text) => text.startsWith(letter))?.slice(1);
  const [text, detail] = [field("M") ?? "an error without a message", field("D")];
  return detail === undefined ? text : `${text} (${detail})`;
}
