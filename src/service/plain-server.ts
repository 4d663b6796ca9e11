import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { listenOn } from "./listen-on.ts";

/** What a handler answers. */
export interface PlainAnswer {
  readonly status: number;
  /** JSON, where it does not say otherwise. */
  readonly type?: string;
  readonly text: string;
}

/** HTTP of a process that is no service: a few short answers to requests without a body. */
export class PlainServer {
  readonly #server: Server;

  constructor(answer: (request: IncomingMessage) => PlainAnswer | Promise<PlainAnswer>) {
    const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      request.resume(); // What comes as a body all the same is not kept.
      const { status, type = "application/json", text } = await answer(request);
      const headers = { "content-type": type, "content-length": Buffer.byteLength(text) };
      response.writeHead(status, headers).end(request.method === "HEAD" ? undefined : text);
    };
    this.#server = createServer(
      { maxHeaderSize: 8 * 1024, requestTimeout: 5_000, keepAliveTimeout: 5_000 },
      (request, response) => void serve(request, response).catch(() => response.destroy()),
    );
  }

  /** Where it listens; port 0 picks a free one. */
  async start(host: string, port: number): Promise<string> {
    return `http://${await listenOn(this.#server, host, port)}`;
  }

  /** Takes nothing more; what is being answered is. Safe twice. */
  async stop(): Promise<void> {
    this.#server.closeIdleConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
