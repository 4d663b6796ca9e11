import { PlainServer } from "../service/plain-server.ts";
import type { PlainAnswer } from "../service/plain-server.ts";

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
  readonly #server: PlainServer;

  constructor(options: StatusServerOptions) {
    this.#options = options;
    this.#server = new PlainServer(({ url = "" }) => this.#answer(url.replace(/\?.*/, "")));
  }

  /** Where it listens. */
  async start(): Promise<string> {
    return await this.#server.start(this.#options.host, this.#options.port);
  }

  /** Safe twice. */
  async stop(): Promise<void> {
    await this.#server.stop();
  }

  #answer(path: string): PlainAnswer {
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
