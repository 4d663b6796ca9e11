import { createHmac } from "node:crypto";
import { createConnection } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { RocketmqError } from "../wire/answer.ts";
import type { Credentials, TlsSettings } from "../settings.ts";
import { decodeFrame, encodeFrame } from "./frame.ts";
import type { Frame } from "./frame.ts";

/** How servers are asked. */
export interface RemoteSettings {
  readonly credentials?: Credentials;
  readonly tls?: TlsSettings;
  readonly timeoutMs: number;
}

/** What is asked of a server. */
export interface Question {
  /** For messages: "Creating topic x". */
  readonly what: string;
  readonly code: number;
  readonly fields?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

/**
 * Asks one question of a name server or broker, over a connection of its own.
 *
 * @throws {RocketmqError} UNAVAILABLE where no answer came.
 */
export async function ask(
  address: string,
  question: Question,
  settings: RemoteSettings,
): Promise<Frame> {
  const socket = open(address, settings);
  try {
    const request = { ...question, body: question.body ?? Buffer.alloc(0) };
    const fields = signed(request.fields ?? {}, request.body, settings.credentials);
    const header = { code: question.code, opaque: 1, extFields: fields };
    socket.write(encodeFrame({ header, body: request.body }));
    return await firstFrame(socket, settings.timeoutMs);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `${question.what}: no answer from RocketMQ at ${address} (${reason}).`;
    throw new RocketmqError("UNAVAILABLE", message, { cause: error });
  } finally {
    socket.destroy();
  }
}

function open(address: string, { tls }: RemoteSettings): Socket {
  const at = address.lastIndexOf(":");
  const [host, port] = [address.slice(0, at), Number(address.slice(at + 1))];
  if (tls === undefined) return createConnection({ host, port });
  const servername = tls.serverName ?? host;
  return connectTls({ host, port, servername, ...(tls.ca === undefined ? {} : { ca: tls.ca }) });
}

function firstFrame(socket: Socket, timeoutMs: number): Promise<Frame> {
  return new Promise((resolve, reject) => {
    const late = new Error(`nothing came in ${timeoutMs} ms`);
    const timer = setTimeout(() => reject(late), timeoutMs);
    let received: Buffer = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      try {
        const decoded = decodeFrame(received);
        if (decoded !== undefined) resolve(decoded.frame);
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
    socket.on("error", reject);
    socket.on("close", () => {
      clearTimeout(timer);
      reject(new Error("the connection was closed"));
    });
  });
}

/** What a server checks (ACL 2.0): all values in the order of their names, and the body. */
function signed(
  fields: Readonly<Record<string, string>>,
  body: Buffer,
  credentials: Credentials | undefined,
): Readonly<Record<string, string>> {
  if (credentials === undefined) return fields;
  const named: Record<string, string> = { ...fields, AccessKey: credentials.accessKey };
  const mac = createHmac("sha1", credentials.secretKey);
  for (const name of Object.keys(named).toSorted()) mac.update(named[name] ?? "");
  return { ...named, Signature: mac.update(body).digest("base64") };
}
