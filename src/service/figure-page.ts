import { Registry, collectDefaultMetrics } from "prom-client";
import { registerPulled } from "./pulled-metric.ts";
import type { MetricInfo, Sample } from "./pulled-metric.ts";

/** Figures of a process that is no service, in Prometheus form; each is read when somebody asks. */
export class FigurePage {
  readonly #registry = new Registry();

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
  }

  /** Once a name. */
  expose(info: MetricInfo, read: () => readonly Sample[]): void {
    registerPulled(this.#registry, info, read);
  }

  async render(): Promise<{ readonly contentType: string; readonly body: string }> {
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }
}
