import type { Outcome } from "./review.ts";

/** What a webhook did, and how it stands. */
export class WebhookFigures {
  /** Questions by how they ended; `bad`: what was asked was none, `failed`: a fault of ours. */
  readonly reviews = new Map<Outcome | "bad" | "failed", number>();
  /** Times that another certificate was taken. */
  reloads = 0;
  /** Times that what is in the files could not be taken. */
  reloadFailures = 0;
  isServing = false;
  /** When the certificate ends, in milliseconds since 1970. */
  notAfterMs = 0;

  count(outcome: Outcome | "bad" | "failed"): void {
    this.reviews.set(outcome, (this.reviews.get(outcome) ?? 0) + 1);
  }
}
