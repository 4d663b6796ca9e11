import { afterTime } from "../service/after-time.ts";
import { callFault } from "../service/deadline.ts";
import { networkFailure } from "../service/network-error.ts";
import { onAbort } from "../service/on-abort.ts";
import { AgentRuntimeError, ERROR_STATUS } from "../state/errors.ts";
import type { ErrorCode, ErrorFacts } from "../state/errors.ts";
import { checkNamespace } from "../state/identifiers.ts";
import type { Json, JsonObject } from "../state/json.ts";
import type { CallOptions } from "../state/request.ts";
import { parseTraceparent } from "../state/traceparent.ts";

/** One call to the service, before it is sent. */
export interface Call extends CallOptions {
  readonly method: "GET" | "PUT" | "PATCH" | "POST" | "DELETE";
  /** Path and query, percent-encoded. */
  readonly path: string;
  readonly body?: string;
  readonly mediaType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly namespace?: string | undefined;
}

export interface TransportOptions {
  readonly url: string;
  readonly token?: string;
  readonly namespace?: string;
  readonly fetch?: typeof fetch;
  /** Milliseconds for a call that does not say its own; default 30,000. */
  readonly timeoutMs?: number;
}

/** Sends calls over HTTP and turns every way they can fail into an AgentRuntimeError. */
export class Transport {
  readonly #base: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #fetch: typeof fetch;
  readonly #timeoutMs: number;

  constructor(options: TransportOptions) {
    this.#base = baseUrl(options.url);
    this.#fetch = options.fetch ?? fetch;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.#headers = {
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
      ...(options.namespace === undefined
        ? {}
        : { "agent-namespace": checkNamespace(options.namespace) }),
    };
  }

  /** The parsed answer; throws what the service or the network made of it. */
  async send(call: Call): Promise<unknown> {
    const isWrite = call.method !== "GET";
    const limit = new CallLimit(call, this.#timeoutMs);
    try {
      const response = await this.open(call, limit.signal);
      const text = await response.text();
      if (!response.ok) throw problemError(response, text, isWrite);
      return parseAnswer(text, isWrite);
    } catch (error) {
      if (error instanceof AgentRuntimeError) throw error;
      throw limit.explain(isWrite) ?? networkError(error, isWrite);
    } finally {
      limit.release();
    }
  }

  /** The answer with its body unread, whatever its status. */
  async open(call: Call, signal: AbortSignal): Promise<Response> {
    const headers: Record<string, string> = { ...this.#headers, ...call.headers };
    if (call.namespace !== undefined) {
      headers["agent-namespace"] = checkNamespace(call.namespace);
    }
    const { traceparent } = call;
    // One that is none is as good as none, and may not even be a header.
    if (traceparent !== undefined && parseTraceparent(traceparent) !== null)
      headers["traceparent"] = traceparent;
    if (call.body !== undefined) headers["content-type"] = call.mediaType ?? "application/json";
    return await this.#fetch(this.#base + call.path, {
      method: call.method,
      headers,
      signal,
      // A token must not go along. Not "error": there, once the head of an answer has come and memory
      // was collected, Node's fetch forgets the signal, and a silent body would be awaited for ever.
      redirect: "manual",
      ...(call.body === undefined ? {} : { body: call.body }),
    });
  }
}

/** Nothing is sent any more. */
export function clientClosed(): AgentRuntimeError {
  return new AgentRuntimeError("UNAVAILABLE", "this client was closed; open another", {
    mayHaveHappened: false,
  });
}

/** The error that an answer of the service tells. */
export function problemError(
  response: { readonly status: number; readonly headers: Headers },
  text: string,
  isWrite: boolean,
): AgentRuntimeError {
  const problem = readProblem(text);
  const known = problem !== undefined && isCode(problem["code"]) ? problem["code"] : undefined;
  const code = known ?? codeOfStatus(response.status);
  const retryAfter = Number(response.headers.get("retry-after"));
  const facts: ErrorFacts = {
    ...(problem === undefined ? {} : problemFacts(problem)),
    ...(retryAfter > 0 ? { retryAfterMs: retryAfter * 1000 } : {}),
    // Something between here and the service answered: nobody knows how far the write came.
    ...(known === undefined && !isRefusal(response.status) && isWrite
      ? { mayHaveHappened: true }
      : {}),
  };
  const sentence =
    detailOf(problem) ??
    `the service answered ${response.status} without saying why; check that the url is right`;
  return new AgentRuntimeError(code, sentence, facts);
}

/** The error that a problem document tells, as batch items carry it. */
export function errorOfProblem(problem: JsonObject): AgentRuntimeError {
  const code = isCode(problem["code"]) ? problem["code"] : codeOfStatus(Number(problem["status"]));
  return new AgentRuntimeError(code, detailOf(problem) ?? code, problemFacts(problem));
}

/** An error for a call whose connection failed, honest about whether it was sent. */
export function networkError(error: unknown, isWrite: boolean): AgentRuntimeError {
  const { why, neverSent } = networkFailure(error);
  const message = neverSent
    ? `the service could not be reached (${why}); check the url and that it runs`
    : `the connection to the service broke before it answered (${why})`;
  const facts = isWrite ? { mayHaveHappened: !neverSent, cause: error } : { cause: error };
  return new AgentRuntimeError("UNAVAILABLE", message, facts);
}

function baseUrl(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
    throw new AgentRuntimeError(
      "INVALID_CONFIG",
      `${JSON.stringify(url)} is not the address of a service; pass one like http://127.0.0.1:8080`,
      { field: "url" },
    );
  }
  return (parsed.origin + parsed.pathname).replace(/\/+$/, "");
}

function parseAnswer(text: string, isWrite: boolean): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const facts = isWrite ? { mayHaveHappened: true, cause } : { cause };
    throw new AgentRuntimeError(
      "INTERNAL",
      "the answer was not JSON; check that the url is the service's",
      facts,
    );
  }
}

function readProblem(text: string): JsonObject | undefined {
  try {
    const value = JSON.parse(text) as Json;
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as JsonObject)
      : undefined;
  } catch {
    return undefined;
  }
}

function detailOf(problem: JsonObject | undefined): string | undefined {
  const detail = problem?.["detail"];
  return typeof detail === "string" ? detail : undefined;
}

function problemFacts(problem: JsonObject): ErrorFacts {
  const { mayHaveHappened, retryAfterMs, current, diff, plan, field, nearest, resumeFrom } =
    problem;
  return {
    ...(typeof mayHaveHappened === "boolean" ? { mayHaveHappened } : {}),
    ...(typeof retryAfterMs === "number" ? { retryAfterMs } : {}),
    ...(current === undefined ? {} : { current }),
    ...(diff === undefined ? {} : { diff }),
    ...(typeof field === "string" ? { field } : {}),
    ...(typeof nearest === "string" ? { nearest } : {}),
    ...(plan === undefined ? {} : { plan }),
    ...(typeof resumeFrom === "string" ? { resumeFrom } : {}),
  };
}

function isCode(code: unknown): code is ErrorCode {
  return typeof code === "string" && Object.hasOwn(ERROR_STATUS, code);
}

function isRefusal(status: number): boolean {
  return status >= 400 && status < 500;
}

function codeOfStatus(status: number): ErrorCode {
  if (status === 401) return "UNAUTHENTICATED";
  if (status === 403) return "FORBIDDEN";
  if (status === 404) return "ROUTE_NOT_FOUND";
  if (status === 413) return "PAYLOAD_TOO_LARGE";
  if (status === 429) return "RATE_LIMITED";
  // A redirect is not followed: whoever sent it is not the service.
  if (status < 400) return "UNAVAILABLE";
  if (status === 408 || status === 502 || status === 503 || status === 504) return "UNAVAILABLE";
  return status < 500 ? "INVALID_REQUEST" : "INTERNAL";
}

/** Ends one call when its time is over or its caller leaves, and says which it was. */
class CallLimit {
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #callOff: () => void;
  readonly #unhear: () => void;
  readonly #timeoutMs: number;
  readonly #onAbort = () => this.#controller.abort();
  readonly #sent: boolean;

  constructor(call: CallOptions, defaultTimeoutMs: number) {
    const fault = callFault(call);
    if (fault !== undefined) throw fault;
    this.#timeoutMs = call.timeoutMs ?? defaultTimeoutMs;
    this.#callOff = afterTime(this.#timeoutMs, this.#onAbort);
    this.#caller = call.signal;
    this.#sent = call.signal?.aborted !== true;
    if (!this.#sent) this.#controller.abort();
    this.#unhear = onAbort(call.signal, this.#onAbort);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Why the call was ended from this side; undefined where it was not. */
  explain(isWrite: boolean): AgentRuntimeError | undefined {
    if (!this.#controller.signal.aborted) return undefined;
    const facts = isWrite ? { mayHaveHappened: this.#sent } : {};
    return this.#caller?.aborted === true
      ? new AgentRuntimeError("CANCELED", "the caller took the call back", facts)
      : new AgentRuntimeError("UNAVAILABLE", `no answer within ${this.#timeoutMs} ms`, facts);
  }

  release(): void {
    this.#callOff();
    this.#unhear();
  }
}
