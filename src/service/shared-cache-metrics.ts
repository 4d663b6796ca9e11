import type { Metrics } from "./metrics.ts";

export interface SharedCacheFigures {
  readonly health: string;
  readonly hits: number;
  readonly misses: number;
  readonly stale: number;
  readonly errors: number;
}

/** Adds how the shared cache does. */
export function exposeShared(
  metrics: Pick<Metrics, "expose">,
  figures: () => SharedCacheFigures,
): void {
  const up = { name: "agent_runtime_shared_cache_up", type: "gauge" } as const;
  metrics.expose({ ...up, help: "1 while the shared cache is asked." }, () => [
    { labels: {}, value: figures().health === "ok" ? 1 : 0 },
  ]);
  const reads = { name: "agent_runtime_shared_cache_reads_total", type: "counter" } as const;
  metrics.expose({ ...reads, help: "States that were asked of it, by what it had." }, () => {
    const { hits, misses, stale } = figures();
    return [
      { labels: { answer: "hit" }, value: hits },
      { labels: { answer: "miss" }, value: misses },
      { labels: { answer: "stale" }, value: stale },
    ];
  });
  const errors = { name: "agent_runtime_shared_cache_errors_total", type: "counter" } as const;
  metrics.expose({ ...errors, help: "Calls of it that failed or took too long." }, () => [
    { labels: {}, value: figures().errors },
  ]);
}
