import { createConnection } from "node:net";
import type pg from "pg";

/** What a request to cancel is known by, in PostgreSQL's protocol. */
const CANCEL_REQUEST = 80_877_102;
const CANCEL_MS = 1_000;

/**
 * The greatest that an operating system gives to a process. Poolers answer with random 32 bits in the place of the id,
 * so that one in a thousand of theirs may be taken for a server's.
 */
const GREATEST_PID = 2 ** 22;

/**
 * Has servers give up what connections waited for that were closed in the middle of a statement. By itself a server does
 * not notice that nobody waits any more: the statement would go on and keep its locks, and whoever repeats it would come
 * to stand behind it.
 *
 * Poolers are not asked: PgBouncer 1.18 ends with a fatal error where a cancellation meets a client that leaves in the
 * middle of its login. Behind one, `client_connection_check_interval` of the server does the same.
 */
export class Cancellations {
  readonly #underWay = new Set<Promise<void>>();

  /** @param client whose connection was closed just now. */
  add(client: pg.Client): void {
    const canceled = cancelStatement(client).then(() => void this.#underWay.delete(canceled));
    this.#underWay.add(canceled);
  }

  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }
}

/** Never throws. It goes without TLS, as PostgreSQL expects: all it holds is the key of that one connection. */
async function cancelStatement(client: pg.Client): Promise<void> {
  const { host, port } = client;
  const { processID, secretKey } = client as unknown as Readonly<Record<string, unknown>>;
  if (typeof processID !== "number" || typeof secretKey !== "number") return;
  if (processID < 1 || processID > GREATEST_PID) return;
  const request = Buffer.alloc(16);
  for (const [at, word] of [request.length, CANCEL_REQUEST, processID, secretKey].entries()) {
    request.writeInt32BE(word, at * 4);
  }
  await new Promise<void>((resolve) => {
    const isFolder = host.startsWith("/");
    const to = isFolder ? { path: `${host}/.s.PGSQL.${port}` } : { host, port };
    const socket = createConnection(to, () => void socket.write(request));
    // The server answers by closing: it has passed it on by then.
    socket.setTimeout(CANCEL_MS, () => socket.destroy());
    socket
      .on("error", () => undefined)
      .on("close", () => resolve())
      .resume();
  });
}
