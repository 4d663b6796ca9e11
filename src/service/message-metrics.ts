import type { Metrics } from "./metrics.ts";
import type { Sample } from "./pulled-metric.ts";

export interface RelayFigures {
  readonly health: string;
  readonly partitions: number;
  readonly sent: number;
  readonly failed: number;
  readonly reduced: number;
  readonly parked: number;
  readonly inFlight: number;
  readonly changesBehind: number;
  readonly lagMs: number;
  readonly gaps: number;
}

export interface IntakeFigures {
  readonly applied: number;
  readonly parked: number;
  readonly retried: number;
  readonly inFlight: number;
}

/** Adds how the changes go out and the updates come in. */
export function exposeMessages(
  metrics: Pick<Metrics, "expose">,
  figures: { readonly relay: () => RelayFigures; readonly intake: () => IntakeFigures },
): void {
  const relay = (
    name: string,
    type: "counter" | "gauge",
    [help, read]: readonly [string, (figures: RelayFigures) => number],
  ): void => {
    const info = { name: `agent_runtime_relay_${name}`, type, help };
    metrics.expose(info, () => one(read(figures.relay())));
  };
  relay("up", "gauge", [
    "1 where the bus takes messages.",
    (f) => (f.health === "unavailable" ? 0 : 1),
  ]);
  relay("partitions", "gauge", [
    "Partitions of the 16 that this service sends.",
    (f) => f.partitions,
  ]);
  relay("sent_total", "counter", ["Changes that the bus took.", (f) => f.sent]);
  relay("failed_total", "counter", ["Sends that failed.", (f) => f.failed]);
  relay("reduced_total", "counter", [
    "Changes that the bus took only without their document.",
    (f) => f.reduced,
  ]);
  relay("parked_total", "counter", ["Changes that the bus will never take.", (f) => f.parked]);
  relay("in_flight", "gauge", ["Messages on their way.", (f) => f.inFlight]);
  relay("changes_behind", "gauge", ["Changes that wait, up to 10,000.", (f) => f.changesBehind]);
  relay("lag_seconds", "gauge", ["How long the oldest of them waits.", (f) => f.lagMs / 1_000]);
  relay("gaps_total", "counter", ["How often changes were pruned unsent.", (f) => f.gaps]);
  const messages = { name: "agent_runtime_intake_messages_total", type: "counter" } as const;
  metrics.expose({ ...messages, help: "Messages that came in, by their fate." }, () => {
    const { applied, parked, retried } = figures.intake();
    return [
      { labels: { fate: "applied" }, value: applied },
      { labels: { fate: "parked" }, value: parked },
      { labels: { fate: "retried" }, value: retried },
    ];
  });
  const inFlight = { name: "agent_runtime_intake_in_flight", type: "gauge" } as const;
  metrics.expose({ ...inFlight, help: "Messages that are worked on." }, () =>
    one(figures.intake().inFlight),
  );
}

function one(value: number): Sample[] {
  return [{ labels: {}, value }];
}
