import type { Clock } from "../service/clock.ts";
import { FigurePage } from "../service/figure-page.ts";
import { PlainServer } from "../service/plain-server.ts";
import type { PlainAnswer } from "../service/plain-server.ts";
import type { WebhookFigures } from "./figures.ts";

export interface StatusOptions {
  readonly figures: WebhookFigures;
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly clock: Clock;
}

/** Tells how a webhook stands: `/healthz`, `/readyz`, `/metrics`. */
export class StatusServer {
  readonly #options: StatusOptions;
  readonly #page = new FigurePage();
  readonly #server: PlainServer;

  constructor(options: StatusOptions) {
    this.#options = options;
    expose(this.#page, options.figures);
    this.#server = new PlainServer(({ method, url }) => this.#answer(`${method} ${url}`));
  }

  /** Where it listens. */
  async start(): Promise<string> {
    return await this.#server.start(this.#options.host, this.#options.port);
  }

  /** Safe twice. */
  async stop(): Promise<void> {
    await this.#server.stop();
  }

  async #answer(request: string): Promise<PlainAnswer> {
    const { figures, clock } = this.#options;
    if (request === "GET /metrics") {
      const { contentType, body } = await this.#page.render();
      return { status: 200, type: contentType, text: body };
    }
    if (!["GET /healthz", "GET /readyz"].includes(request)) {
      const detail = "there are /healthz, /readyz and /metrics";
      return { status: 404, text: JSON.stringify({ code: "ROUTE_NOT_FOUND", detail }) };
    }
    const { isServing, reloads, reloadFailures, notAfterMs, reviews } = figures;
    // An API server trusts no certificate that has ended.
    const isReady = isServing && notAfterMs > clock.now();
    const notAfter = new Date(notAfterMs).toISOString();
    const told = { isServing, isReady, notAfter, reloads, reloadFailures };
    const text = JSON.stringify({ ...told, reviews: Object.fromEntries(reviews) });
    return { status: isReady || request === "GET /healthz" ? 200 : 503, text };
  }
}

function expose(page: FigurePage, figures: WebhookFigures): void {
  const show = (name: string, type: "gauge" | "counter", help: string, read: () => number): void =>
    page.expose({ name: `agent_runtime_webhook_${name}`, type, help }, () => [
      { labels: {}, value: read() },
    ]);
  page.expose(
    {
      name: "agent_runtime_webhook_reviews_total",
      type: "counter",
      help: "Questions, by outcome.",
    },
    () => [...figures.reviews].map(([outcome, value]) => ({ labels: { outcome }, value })),
  );
  show("certificate_not_after_seconds", "gauge", "When its certificate ends.", () =>
    Math.floor(figures.notAfterMs / 1_000),
  );
  show("certificate_reloads_total", "counter", "Other certificates taken.", () => figures.reloads);
  show(
    "certificate_failures_total",
    "counter",
    "Certificates that could not be taken.",
    () => figures.reloadFailures,
  );
}
