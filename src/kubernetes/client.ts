import { request as requestHttp } from "node:http";
import type { IncomingMessage } from "node:http";
import { request as requestHttps } from "node:https";
import type { ConnectionOptions as TlsOptions } from "node:tls";
import { definedOnly } from "../state/defined.ts";
import type { Access } from "./access.ts";

/** The API server refused, or could not be reached. */
export class KubernetesError extends Error {
  /** 0: it did not answer. */
  readonly status: number;
  readonly retryAfterMs: number;

  constructor(status: number, message: string, retryAfterMs = 0) {
    super(message);
    this.name = "KubernetesError";
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

export interface RequestOptions {
  readonly query?: Readonly<Record<string, string>>;
  /** Without a byte for that long it counts as broken off. */
  readonly silenceMs: number;
  readonly signal: AbortSignal;
}

/** A page of pods is far smaller. */
const MAX_ANSWER = 64 * 1024 * 1024;
const MAX_RETRY_AFTER_MS = 60_000;
const ADVICE: Readonly<Record<number, string>> = {
  401: "; is the token of this cluster, and not over?",
  403: "; its service account needs get, list and watch on pods and, if not --no-sandboxes, on sandboxes; with --finalizer also patch on pods",
};

interface Sent {
  readonly method: "GET" | "PATCH";
  readonly body?: string;
}

/** Reads of a Kubernetes API server, and small changes. */
export class KubernetesClient {
  readonly #access: Access;
  readonly #tls: TlsOptions;

  constructor(access: Access) {
    this.#access = access;
    const { authority: ca, certificate: cert, key, serverName: servername } = access;
    this.#tls = definedOnly({ ca, cert, key, servername });
  }

  /** The JSON answer to a GET. */
  async get(path: string, options: RequestOptions): Promise<unknown> {
    const answer = await this.open(path, options);
    return JSON.parse(await textOf(answer, MAX_ANSWER));
  }

  /** Changes the fields that a JSON merge patch names; the JSON answer. */
  async patch(path: string, patch: object, options: RequestOptions): Promise<unknown> {
    const sent = { method: "PATCH", body: JSON.stringify(patch) } as const;
    const answer = await this.#send(path, sent, options);
    return JSON.parse(await textOf(answer, MAX_ANSWER));
  }

  /** The answer to a GET, as it comes. */
  open(path: string, options: RequestOptions): Promise<IncomingMessage> {
    return this.#send(path, { method: "GET" }, options);
  }

  async #send(
    path: string,
    { method, body }: Sent,
    { query = {}, silenceMs, signal }: RequestOptions,
  ): Promise<IncomingMessage> {
    const { server, token } = this.#access;
    const url = new URL(server);
    // Some are below a path: a gateway to many clusters.
    url.pathname = server.pathname.replace(/\/+$/, "") + path;
    url.search = new URLSearchParams(query).toString();
    const bearer = await token();
    const headers = {
      accept: "application/json",
      "user-agent": "agent_runtime",
      ...(bearer === null ? {} : { authorization: `Bearer ${bearer}` }),
      ...(body === undefined ? {} : { "content-type": "application/merge-patch+json" }),
    };
    const ask = url.protocol === "https:" ? requestHttps : requestHttp;
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = ask(url, {
        method,
        headers,
        signal,
        ...(url.protocol === "https:" ? this.#tls : {}),
      });
      request.setTimeout(silenceMs, () =>
        request.destroy(new KubernetesError(0, `no byte came for ${silenceMs} ms`)),
      );
      request.on("error", reject).on("response", resolve).end(body);
    });
    const { statusCode = 0 } = answer;
    if (statusCode === 200) return answer;
    const text = await textOf(answer, 64 * 1024);
    const why = `the API server answered ${statusCode} to ${path}: ${messageOf(text)}`;
    throw new KubernetesError(statusCode, `${why}${ADVICE[statusCode] ?? ""}`, retryAfter(answer));
  }
}

/** The whole lines of an answer, those together that came together; a half line at its end is left out. */
export async function* linesOf(
  answer: IncomingMessage,
  maxLine = 8 * 1024 * 1024,
): AsyncGenerator<string[]> {
  answer.setEncoding("utf8");
  let rest = "";
  for await (const chunk of answer as AsyncIterable<string>) {
    const lines = `${rest}${chunk}`.split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > maxLine) throw new KubernetesError(0, `a line is longer than ${maxLine}`);
    if (lines.length > 0) yield lines.filter((line) => line !== "");
  }
}

async function textOf(answer: IncomingMessage, max: number): Promise<string> {
  answer.setEncoding("utf8");
  const parts: string[] = [];
  let length = 0;
  for await (const part of answer as AsyncIterable<string>) {
    length += part.length;
    if (length > max) throw new KubernetesError(0, `an answer is longer than ${max} characters`);
    parts.push(part);
  }
  return parts.join("");
}

function messageOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as { readonly message?: unknown };
    if (typeof message === "string") return message.slice(0, 300);
  } catch {
    // A proxy on the way speaks no JSON.
  }
  return text.slice(0, 300);
}

function retryAfter({ headers }: IncomingMessage): number {
  const seconds = Number(headers["retry-after"]);
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds * 1000, MAX_RETRY_AFTER_MS) : 0;
}
