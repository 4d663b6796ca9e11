import { FigurePage } from "../service/figure-page.ts";
import type { Status } from "../service/status-server.ts";
import type { CaptorFigures } from "./figures.ts";

/** How the facts fare after they were told. */
export interface SinkFigures {
  readonly waiting: number;
  readonly handedOn: number;
  readonly refused: number;
}

interface Parts {
  readonly figures: CaptorFigures;
  readonly sink: { readonly figures: SinkFigures };
}

/** How a captor stands: ready while it is on containerd's bus. */
export function captorStatus(parts: Parts): Status {
  const { figures, sink } = parts;
  const page = new FigurePage();
  expose(page, parts);
  return {
    isReady: () => figures.isJoined,
    told: () => {
      const { isJoined, joins, containers, disagreements, listedAtMs } = figures;
      const listedAt = listedAtMs === 0 ? null : new Date(listedAtMs).toISOString();
      return { isJoined, joins, containers, disagreements, listedAt, ...sink.figures };
    },
    page,
  };
}

function expose(page: FigurePage, { figures, sink }: Parts): void {
  const gauge = (name: string, help: string, read: () => number): void =>
    page.expose({ name: `agent_runtime_captor_${name}`, type: "gauge", help }, () => [
      { labels: {}, value: read() },
    ]);
  const counter = (name: string, help: string, read: () => number): void =>
    page.expose({ name: `agent_runtime_captor_${name}_total`, type: "counter", help }, () => [
      { labels: {}, value: read() },
    ]);
  const counters = (
    [name, label]: readonly [string, string],
    help: string,
    counts: ReadonlyMap<string, number>,
  ): void =>
    page.expose({ name: `agent_runtime_captor_${name}_total`, type: "counter", help }, () =>
      [...counts].map(([each, value]) => ({ labels: { [label]: each }, value })),
    );
  gauge("joined", "1 while it is on containerd's bus.", () => Number(figures.isJoined));
  gauge("containers", "Containers that it follows.", () => figures.containers);
  gauge("listed_seconds", "When the node was listed last.", () => figures.listedAtMs / 1_000);
  gauge("spool_facts", "Facts on disk that were not handed on.", () => sink.figures.waiting);
  counters(["events", "topic"], "Events of the bus.", figures.events);
  counters(["facts", "fact"], "Facts that were told.", figures.facts);
  counters(["ignored", "why"], "What was seen and is no fact.", figures.ignored);
  counter("joins", "Times that it joined the bus.", () => figures.joins);
  counter("overflows", "Times that more events came than can wait.", () => figures.overflows);
  counter("disagreements", "Second ends that differ.", () => figures.disagreements);
  counter("sink_refusals", "Times that the disk did not take facts.", () => figures.refusals);
  counter("handed_on", "Facts that were handed on.", () => sink.figures.handedOn);
  counter("given_up", "Facts that can never be told.", () => sink.figures.refused);
}
