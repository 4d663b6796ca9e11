import { createConnection } from "node:net";
import type pg from "pg";

/** What a request to cancel is known by, in PostgreSQL's protocol. */
const CANCEL_REQUEST = 80_877_102;
const CANCEL_MS = 1_000;

/**
 * Has the server give up what a connection waits for. By itself it does not notice that nobody waits any more: the
 * statement would go on and keep its locks, and whoever repeats it would come to stand behind it.
 *
 * For while the connection is still there: a pooler knows by it what to cancel. Resolves when the server was asked, or
 * cannot be; never throws. It goes without TLS, as PostgreSQL expects: all it holds is the key of this one connection.
 */
export function cancelStatement(client: pg.Client): Promise<void> {
  const { host, port } = client;
  const { processID, secretKey } = client as unknown as Readonly<Record<string, unknown>>;
  if (typeof processID !== "number" || typeof secretKey !== "number") return Promise.resolve();
  const request = Buffer.alloc(16);
  for (const [at, word] of [request.length, CANCEL_REQUEST, processID, secretKey].entries()) {
    request.writeInt32BE(word, at * 4);
  }
  return new Promise((resolve) => {
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
