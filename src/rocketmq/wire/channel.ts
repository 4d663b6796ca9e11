import { Client, credentials as channelCredentials } from "@grpc/grpc-js";
import type { ChannelCredentials, ClientDuplexStream, Metadata } from "@grpc/grpc-js";
import type { Method } from "../../grpc/method.ts";
import type { ConnectionSettings, TlsSettings } from "../settings.ts";
import { silence } from "./answer.ts";
import { headersOf } from "./headers.ts";
import { METHODS } from "./methods.ts";
import { OwnedSockets } from "./owned-sockets.ts";

const MAX_MESSAGE_BYTES = 64 * 1024 * 1024; // a batch of the largest messages; gRPC's own limit is 4 MiB
const SILENT_CALLS = 3;

export interface Call {
  readonly what: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

interface Connection {
  readonly client: Client;
  readonly sockets: OwnedSockets;
}

/** The connection to one proxy. Calls that get no answer, one after the other, make it connect anew. */
export class Channel {
  readonly endpoint: string;
  /** Told when calls go another way from now on; what was begun stays on the way before. */
  onReconnect: () => void = () => undefined;
  readonly #settings: ConnectionSettings;
  readonly #clientId: string;
  #connection: Connection;
  /** The one before, on which what was begun may still end. */
  #former: Connection | undefined;
  readonly #running = new Set<{ cancel(): void }>();
  #silentCalls = 0;
  #isClosed = false;

  constructor(endpoint: string, clientId: string, settings: ConnectionSettings) {
    this.endpoint = endpoint;
    this.#settings = settings;
    this.#clientId = clientId;
    this.#connection = this.#connect();
  }

  /** One request, one answer. */
  async call(method: Method, request: object, call: Call): Promise<object> {
    const { client } = this.#connection;
    try {
      const answer = await this.#unary(client, method, { request, call });
      this.#silentCalls = 0;
      return answer;
    } catch (error) {
      throw this.#noted(client, call, error);
    }
  }

  /** One request, all answers; where it breaks off or is canceled, those that had come: nobody else is given them. */
  async collect(method: Method, request: object, call: Call): Promise<readonly object[]> {
    const { client } = this.#connection;
    const { path, requestSerialize, responseDeserialize } = method;
    const stream = client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      this.#headers(),
      { deadline: this.#deadlineIn(call.timeoutMs) },
    );
    const release = this.#untilCanceled(stream, call.signal);
    const answers: object[] = [];
    try {
      for await (const answer of stream) answers.push(answer as object);
      this.#silentCalls = 0;
      return answers;
    } catch (error) {
      const failure = this.#noted(client, call, error);
      if (answers.length > 0) return answers;
      throw failure;
    } finally {
      release();
    }
  }

  /** The stream on which both sides tell what they want. Its errors must be listened to. */
  openTelemetry(): ClientDuplexStream<object, object> {
    const { path, requestSerialize, responseDeserialize } = METHODS.telemetry;
    return this.#connection.client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      this.#headers(),
    );
  }

  /** Ends the calls that wait for an answer. */
  cancelCalls(): void {
    for (const running of this.#running) running.cancel();
  }

  close(): void {
    this.#isClosed = true;
    this.cancelCalls();
    this.#connection.client.close();
    this.#connection.sockets.end();
    this.#former?.sockets.end();
  }

  #unary(
    client: Client,
    { path, requestSerialize, responseDeserialize }: Method,
    { request, call }: { readonly request: object; readonly call: Call },
  ): Promise<object> {
    return new Promise((resolve, reject) => {
      const running = client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        this.#headers(),
        { deadline: this.#deadlineIn(call.timeoutMs) },
        (error, answer) => {
          release();
          if (error !== null) reject(error);
          else resolve(answer ?? {});
        },
      );
      const release = this.#untilCanceled(running, call.signal);
    });
  }

  /** Lets the caller, and `close`, end a call; what is returned is to be called when it has ended. */
  #untilCanceled(running: { cancel(): void }, signal: AbortSignal | undefined): () => void {
    const cancel = (): void => running.cancel();
    this.#running.add(running);
    if (signal?.aborted === true) cancel();
    else signal?.addEventListener("abort", cancel, { once: true });
    return () => {
      this.#running.delete(running);
      signal?.removeEventListener("abort", cancel);
    };
  }

  /** A connection on which nothing answers may be dead without anybody having been told. */
  #noted(client: Client, call: Call, error: unknown): Error {
    const failure = silence(call.what, error, call.signal?.aborted);
    if (failure.code === "CANCELED" || client !== this.#connection.client) return failure;
    this.#silentCalls += 1;
    if (this.#silentCalls < SILENT_CALLS || this.#isClosed) return failure;
    this.#silentCalls = 0;
    this.#former?.sockets.end();
    this.#former = this.#connection;
    this.#connection = this.#connect();
    client.close();
    this.onReconnect();
    return failure;
  }

  #connect(): Connection {
    const { tls } = this.#settings;
    const sockets = new OwnedSockets(secured(tls));
    const client = new Client(targetOf(this.endpoint), sockets.credentials, {
      "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
      "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.min_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 2_000,
      "grpc.use_local_subchannel_pool": 1, // else a new client gets the dead connection again
      "grpc.enable_retries": 0,
      ...(tls?.serverName === undefined
        ? {}
        : {
            "grpc.ssl_target_name_override": tls.serverName,
            "grpc.default_authority": tls.serverName,
          }),
    });
    return { client, sockets };
  }

  #headers(): Metadata {
    const { credentials, clock } = this.#settings;
    return headersOf({ clientId: this.#clientId, credentials, nowMs: clock.now() });
  }

  #deadlineIn(ms: number): number {
    return this.#settings.clock.now() + ms;
  }
}

/** The rest of the names that gRPC knows are none that RocketMQ gives. */
function targetOf(endpoint: string): string {
  return /^[\d.]+:\d+$/.test(endpoint) ? `ipv4:${endpoint}` : `dns:${endpoint}`;
}

function secured(tls: TlsSettings | undefined): ChannelCredentials {
  if (tls === undefined) return channelCredentials.createInsecure();
  return channelCredentials.createSsl(tls.ca === undefined ? null : Buffer.from(tls.ca));
}
