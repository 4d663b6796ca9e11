import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { Server } from "node:https";
import { listenOn } from "../service/listen-on.ts";
import type { Logger } from "../service/log-port.ts";
import { Loop } from "../service/loop.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { parseJsonText } from "../state/json-text.ts";
import type { Certificate } from "./certificate.ts";
import { WebhookFigures } from "./figures.ts";
import { readBody } from "./read-body.ts";
import { review } from "./review.ts";
import type { SidecarSettings } from "./sidecar.ts";

export interface WebhookOptions {
  readonly certificate: Certificate;
  readonly sidecar: SidecarSettings;
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** How often the files of the certificate are looked at. */
  readonly reloadMs: number;
  readonly log: Logger;
}

interface Answer {
  readonly status: number;
  readonly body: object;
}

/** Where the API server asks. */
export const INJECT_PATH = "/v1/inject";

/** An API server takes no object of more than 3 MiB; a question holds one, and may hold the one before. */
const LIMITS = { dataBytes: 8 * 1024 * 1024, dataDepth: 64 };

/** Answers the API server what a pod that somebody makes should have beside what is asked for. */
export class WebhookServer {
  readonly figures = new WebhookFigures();
  readonly #options: WebhookOptions;
  readonly #server: Server;
  readonly #renewal: Loop;

  constructor(options: WebhookOptions) {
    this.#options = options;
    const { certificate, reloadMs, log } = options;
    this.figures.notAfterMs = certificate.notAfterMs;
    const limits = { maxHeaderSize: 16 * 1024, requestTimeout: 10_000, keepAliveTimeout: 60_000 };
    this.#server = createServer(
      { ...certificate.pair, ...limits, minVersion: "TLSv1.2" },
      (request, response) => void this.#serve(request, response),
    );
    this.#renewal = new Loop({
      name: "certificate",
      runOnce: () => this.#renew(),
      pauseMs: reloadMs,
      backoff: { firstMs: reloadMs, maxMs: reloadMs },
      log,
    });
  }

  /** Where it listens. */
  async start(): Promise<string> {
    const { host, port } = this.#options;
    const at = await listenOn(this.#server, host, port);
    this.figures.isServing = true;
    this.#renewal.start();
    return `https://${at}${INJECT_PATH}`;
  }

  /** Takes no more questions; those that are being answered are. Safe twice. */
  async stop(): Promise<void> {
    this.figures.isServing = false;
    await this.#renewal.stop();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    await closed;
  }

  async #renew(): Promise<boolean> {
    const { certificate, log } = this.#options;
    try {
      if (!(await certificate.refresh())) return false;
    } catch (error) {
      this.figures.reloadFailures += 1;
      throw error;
    }
    this.#server.setSecureContext({ ...certificate.pair, minVersion: "TLSv1.2" });
    this.figures.reloads += 1;
    this.figures.notAfterMs = certificate.notAfterMs;
    const notAfter = new Date(certificate.notAfterMs).toISOString();
    log.info({ notAfter }, "another certificate is served from now on");
    return false;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, body } = await this.#answer(request).catch((error: unknown) => {
      this.figures.count("failed");
      this.#options.log.error({ error }, "a question was not answered");
      return refusal(500, "INTERNAL", "a fault of the webhook; its log says more");
    });
    const text = JSON.stringify(body);
    const headers = {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(text),
    };
    // What was not read of a body would stand before the next request.
    if (!request.complete) response.setHeader("connection", "close");
    response.writeHead(status, headers).end(text);
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const { method, url = "", headers } = request;
    if (url.replace(/\?.*/, "") !== INJECT_PATH) {
      return refusal(404, "ROUTE_NOT_FOUND", `there is POST ${INJECT_PATH}`);
    }
    if (method !== "POST") return refusal(405, "METHOD_NOT_ALLOWED", `POST ${INJECT_PATH}`);
    if (!/^application\/json\b/i.test(headers["content-type"] ?? "")) {
      return refusal(415, "UNSUPPORTED_MEDIA_TYPE", "an AdmissionReview is application/json");
    }
    const text = await readBody(request, LIMITS.dataBytes);
    if (text === null)
      return refusal(413, "PAYLOAD_TOO_LARGE", `${LIMITS.dataBytes} bytes at most`);
    return this.#review(text);
  }

  #review(text: string): Answer {
    const { sidecar, log } = this.#options;
    try {
      const { outcome, body, why } = review(parseJsonText(text, LIMITS), sidecar);
      this.figures.count(outcome);
      if (why !== undefined) log.warn({ why }, "a pod was refused");
      return { status: 200, body };
    } catch (error) {
      if (!(error instanceof AgentRuntimeError)) throw error;
      this.figures.count("bad");
      log.warn({ why: error.message }, "what was asked is no AdmissionReview");
      return refusal(error.status, error.code, error.message);
    }
  }
}

function refusal(status: number, code: string, detail: string): Answer {
  return { status, body: { code, detail } };
}
