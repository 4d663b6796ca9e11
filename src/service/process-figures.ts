import { Registry, collectDefaultMetrics } from "prom-client";

let figures: Registry | undefined;

/**
 * What Node.js tells of this process: memory, CPU, event loop, garbage collection.
 *
 * One for all services of a process. The client's collectors watch the process until it ends: one sets a timer
 * that nothing stops, one observes every collection, and that keeps its registry and whatever the registry reads. In a
 * service's own registry they kept each stopped service whole, 8 MiB of it.
 */
export function processFigures(): Registry {
  if (figures === undefined) {
    figures = new Registry();
    collectDefaultMetrics({ register: figures });
  }
  return figures;
}

/** A page in Prometheus form. */
export interface FigureText {
  readonly contentType: string;
  readonly body: string;
}

/** What registries have, on one page; no name is in two of them. */
export async function renderFigures(registries: readonly Registry[]): Promise<FigureText> {
  const parts = await Promise.all(registries.map((registry) => registry.metrics()));
  return { contentType: registries[0]!.contentType, body: parts.join("\n") };
}
