import { createServer } from "node:http";
import type { Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { FigurePage } from "../service/figure-page.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { CaptorFigures } from "./figures.ts";

/** How the facts fare after they were told. */
export interface SinkFigures {
  readonly waiting: number;
  readonly handedOn: number;
  readonly refused: number;
}

export interface StatusOptions {
  readonly figures: CaptorFigures;
  readonly sink: { readonly figures: SinkFigures };
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
}

/** Tells how a captor stands: `/healthz`, `/readyz`, `/metrics`. */
export class StatusServer {
  readonly #options: StatusOptions;
  readonly #page = new FigurePage();
  readonly #server: Server;

  constructor(options: StatusOptions) {
    this.#options = options;
    expose(this.#page, options);
    this.#server = createServer(
      { maxHeaderSize: 8 * 1024, requestTimeout: 5_000, keepAliveTimeout: 5_000 },
      ({ method, url = "" }, response) => void this.#answer(`${method} ${url}`, response),
    );
  }

  /** Where it listens. */
  async start(): Promise<string> {
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host, port }, resolve);
    }).catch((cause: unknown) => {
      const why = `cannot listen on ${host}:${port}: ${(cause as Error).message}`;
      throw new AgentRuntimeError("UNAVAILABLE", why, { cause });
    });
    const { address, port: bound } = this.#server.address() as AddressInfo;
    return `http://${address.includes(":") ? `[${address}]` : address}:${bound}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(request: string, response: ServerResponse): Promise<void> {
    const { figures, sink } = this.#options;
    if (request === "GET /metrics") {
      const { contentType, body } = await this.#page.render();
      response.writeHead(200, { "content-type": contentType }).end(body);
      return;
    }
    const isKnown = ["GET /healthz", "GET /readyz"].includes(request);
    const isReady = request !== "GET /readyz" || figures.isJoined;
    const { isJoined, joins, containers, disagreements, listedAtMs } = figures;
    const listedAt = listedAtMs === 0 ? null : new Date(listedAtMs).toISOString();
    const told = { isJoined, joins, containers, disagreements, listedAt, ...sink.figures };
    const body = isKnown ? told : { code: "ROUTE_NOT_FOUND" };
    const status = isKnown ? (isReady ? 200 : 503) : 404;
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  }
}

function expose(page: FigurePage, { figures, sink }: StatusOptions): void {
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
