import { FigurePage } from "../service/figure-page.ts";
import type { Status } from "../service/status-server.ts";

type Figures = Readonly<Record<string, number | boolean>>;

/**
 * How a reflector stands.
 *
 * @param figures whole numbers and whether, always under the same names.
 */
export function reflectorStatus(figures: () => Figures, isReady: () => boolean): Status {
  const page = new FigurePage();
  for (const name of Object.keys(figures())) {
    const metric = `agent_runtime_reflector_${name.toLowerCase()}`;
    page.expose({ name: metric, type: "gauge", help: `${name}, as /healthz tells it.` }, () => [
      { labels: {}, value: Number(figures()[name]) },
    ]);
  }
  return { isReady, told: figures, page };
}
