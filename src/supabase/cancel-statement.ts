import { connect } from "node:net";
import type { NetConnectOpts } from "node:net";
import type pg from "pg";

/** What a server takes in place of a protocol's version: https://www.postgresql.org/docs/current/protocol-message-formats.html */
const CANCEL_REQUEST = (1234 << 16) | 5678;

/** A server that does not even take the request goes without. */
const PATIENCE_MS = 1_000;

/**
 * Asks the server to end what runs on a connection that is given up: by itself it notices only when it has an answer
 * to send, and a statement that takes minutes would run on beside its own repetitions.
 *
 * Never rejects; resolves when the server, or the pooler before it, has taken the request. It goes without TLS, as
 * PostgreSQL expects: all it holds is the key of this one connection.
 */
export async function cancelStatement(client: pg.Client): Promise<void> {
  const { host, port, processID, secretKey } = client as unknown as Backend;
  if (processID === null || secretKey === null) return;
  const request = Buffer.alloc(16);
  [request.length, CANCEL_REQUEST, processID, secretKey].forEach((word, index) =>
    request.writeInt32BE(word, index * 4),
  );
  const way: NetConnectOpts = host.startsWith("/")
    ? { path: `${host}/.s.PGSQL.${port}` }
    : { host, port };
  await new Promise<void>((resolve) => {
    const socket = connect(way);
    socket.setTimeout(PATIENCE_MS, () => socket.destroy());
    socket.on("error", () => undefined);
    socket.once("close", () => resolve());
    socket.resume().write(request); // the server closes
  });
}

/** What `pg` keeps of a connection, and its types do not name. */
interface Backend {
  readonly host: string;
  readonly port: number;
  readonly processID: number | null;
  readonly secretKey: number | null;
}
