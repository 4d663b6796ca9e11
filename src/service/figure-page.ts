import { Registry } from "prom-client";
import { processFigures, renderFigures } from "./process-figures.ts";
import type { FigureText } from "./process-figures.ts";
import { registerPulled } from "./pulled-metric.ts";
import type { MetricInfo, Sample } from "./pulled-metric.ts";

/** Figures of a process that is no service, in Prometheus form; each is read when somebody asks. */
export class FigurePage {
  readonly #registry = new Registry();

  /** Once a name. */
  expose(info: MetricInfo, read: () => readonly Sample[]): void {
    registerPulled(this.#registry, info, read);
  }

  render(): Promise<FigureText> {
    return renderFigures([this.#registry, processFigures()]);
  }
}
