import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { AgentRuntimeError } from "../state/errors.ts";

export interface StatusServerOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Whole numbers and whether. */
  readonly figures: () => Readonly<Record<string, number | boolean>>;
  /** Whether all is well enough to be called ready. */
  readonly isReady: () => boolean;
}

/** Tells how it goes: `/healthz`, `/readyz`, and `/metrics` in Prometheus' text form. */
export class StatusServer {
  readonly #options: StatusServerOptions;
  readonly #server: Server;

  constructor(options: StatusServerOptions) {
    this.#options = options;
    this.#server = createServer(
      { maxHeaderSize: 8 * 1024, requestTimeout: 5_000, keepAliveTimeout: 5_000 },
      ({ url = "", method }, response) => {
        const { status, type, text } = this.#answer(url.replace(/\?.*/, ""));
        const headers = { "content-type": type, "content-length": Buffer.byteLength(text) };
        response.writeHead(status, headers).end(method === "HEAD" ? undefined : text);
      },
    );
  }

  /** Where it listens. */
  async start(): Promise<string> {
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host, port }, resolve);
    }).catch((cause: unknown) => {
      const why = `cannot listen on ${host}:${port}: ${(cause as Error).message}`;
      throw new AgentRuntimeError("UNAVAILABLE", why, { cause });
    });
    const { address, port: bound } = this.#server.address() as AddressInfo;
    return `http://${address.includes(":") ? `[${address}]` : address}:${bound}`;
  }

  /** Safe twice. */
  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #answer(path: string): { readonly status: number; readonly type: string; readonly text: string } {
    const { figures, isReady } = this.#options;
    const json = "application/json";
    if (path === "/healthz") return { status: 200, type: json, text: JSON.stringify(figures()) };
    if (path === "/readyz") {
      return { status: isReady() ? 200 : 503, type: json, text: JSON.stringify(figures()) };
    }
    if (path === "/metrics") {
      const type = "text/plain; version=0.0.4; charset=utf-8";
      return { status: 200, type, text: metricsOf(figures()) };
    }
    const detail = "there are /healthz, /readyz and /metrics";
    return { status: 404, type: json, text: JSON.stringify({ code: "ROUTE_NOT_FOUND", detail }) };
  }
}

function metricsOf(figures: Readonly<Record<string, number | boolean>>): string {
  const lines = Object.entries(figures).map(
    ([name, value]) => `agent_runtime_reflector_${name.toLowerCase()} ${Number(value)}\n`,
  );
  return lines.join("");
}
