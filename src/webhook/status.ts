import type { Clock } from "../service/clock.ts";
import { FigurePage } from "../service/figure-page.ts";
import type { Status } from "../service/status-server.ts";
import type { WebhookFigures } from "./figures.ts";

/** How a webhook stands: ready while it serves, with a certificate that an API server trusts. */
export function webhookStatus(figures: WebhookFigures, clock: Pick<Clock, "now">): Status {
  const page = new FigurePage();
  expose(page, figures);
  const isReady = (): boolean => figures.isServing && figures.notAfterMs > clock.now();
  return {
    isReady,
    told: () => {
      const { isServing, reloads, reloadFailures, notAfterMs, reviews } = figures;
      const notAfter = new Date(notAfterMs).toISOString();
      const counted = Object.fromEntries(reviews);
      return { isServing, isReady: isReady(), notAfter, reloads, reloadFailures, reviews: counted };
    },
    page,
  };
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
