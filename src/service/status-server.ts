import type { FigurePage } from "./figure-page.ts";
import { PlainServer } from "./plain-server.ts";
import type { PlainAnswer } from "./plain-server.ts";

/** How a process stands. */
export interface Status {
  /** Whether all is well enough to be called ready. */
  readonly isReady: () => boolean;
  /** What people are told, as JSON. */
  readonly told: () => object;
  /** What Prometheus is told. */
  readonly page: FigurePage;
}

export interface StatusOptions extends Status {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
}

/** Tells how a process stands that is no service: `/healthz`, `/readyz`, `/metrics`. */
export class StatusServer {
  readonly #options: StatusOptions;
  readonly #server: PlainServer;

  constructor(options: StatusOptions) {
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

  async #answer(path: string): Promise<PlainAnswer> {
    const { isReady, told, page } = this.#options;
    if (path === "/metrics") {
      const { contentType, body } = await page.render();
      return { status: 200, type: contentType, text: body };
    }
    if (path === "/healthz" || path === "/readyz") {
      const status = path === "/healthz" || isReady() ? 200 : 503;
      return { status, text: JSON.stringify(told()) };
    }
    const detail = "there are /healthz, /readyz and /metrics";
    return { status: 404, text: JSON.stringify({ code: "ROUTE_NOT_FOUND", detail }) };
  }
}
