import { withDeadline } from "../../service/deadline.ts";
import { networkFailure } from "../../service/network-error.ts";
import { packageVersion } from "../../service/package-root.ts";
import type { Slots } from "../../service/slots.ts";
import { AgentRuntimeError } from "../../state/errors.ts";
import { unavailable } from "../failure.ts";
import { keyHeaders, restUrl } from "./address.ts";
import type { DataApiAddress } from "./address.ts";

/** One schema of the database is exposed, and its functions are all that is used. */
const SCHEMA = "agent_state_api";

/** What is sent for one call of a function. */
export interface DataApiRequest {
  readonly method: "GET" | "POST";
  /** Below the API's URL: `/rpc/read_step_json?q=...` */
  readonly path: string;
  readonly body?: string;
  readonly writes: boolean;
}

export interface DataApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** Sends requests to a Data API; connections are kept open between them. */
export class DataApiClient {
  readonly #base: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #timeoutMs: number;
  readonly #closing = new AbortController();

  constructor(address: DataApiAddress, timeoutMs: number) {
    this.#base = restUrl(address.url);
    this.#timeoutMs = timeoutMs;
    this.#headers = {
      ...keyHeaders(address.key),
      accept: "application/json",
      "cache-control": "no-cache",
      "user-agent": `agent-runtime-state/${packageVersion()}`,
    };
  }

  /** How long the URL of a path is. */
  urlLength(path: string): number {
    return this.#base.length + path.length;
  }

  /**
   * The answer, whatever it is. The time that a call may take includes its wait for one of `slots`.
   *
   * @throws {AgentRuntimeError} UNAVAILABLE: there was none, or not in time, or this client was closed.
   */
  async send(request: DataApiRequest, slots?: Slots): Promise<DataApiAnswer> {
    try {
      return await this.#once(request, slots);
    } catch (error) {
      // Most likely a connection that the other side had closed meanwhile: a read is sent over another one.
      if (request.writes || error instanceof AgentRuntimeError) throw this.#failure(error, request);
    }
    try {
      return await this.#once(request, slots);
    } catch (error) {
      throw this.#failure(error, request);
    }
  }

  /** Ends what is under way, and refuses what comes. */
  close(): void {
    this.#closing.abort();
  }

  #once(request: DataApiRequest, slots: Slots | undefined): Promise<DataApiAnswer> {
    const deadline = {
      what: "The call of the Data API",
      timeoutMs: this.#timeoutMs,
      signal: this.#closing.signal,
      mayHaveHappened: () => request.writes,
    };
    return withDeadline(deadline, (signal) => {
      const fetching = (): Promise<DataApiAnswer> => this.#fetch(request, signal);
      return slots === undefined ? fetching() : slots.run(fetching);
    });
  }

  async #fetch(
    { method, path, body }: DataApiRequest,
    signal: AbortSignal,
  ): Promise<DataApiAnswer> {
    const isGet = method === "GET";
    const response = await fetch(this.#base + path, {
      method,
      signal,
      // A key must not go along. Not "error": with it Node's fetch may forget the signal.
      redirect: "manual",
      headers: {
        ...this.#headers,
        [isGet ? "accept-profile" : "content-profile"]: SCHEMA,
        ...(isGet ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body }),
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  }

  #failure(error: unknown, { writes }: DataApiRequest): AgentRuntimeError {
    if (error instanceof AgentRuntimeError) {
      if (error.code !== "CANCELED") return error;
      return unavailable(new Error("it was closed"), error.facts.mayHaveHappened === true);
    }
    const { why, neverSent } = networkFailure(error);
    return unavailable(new Error(why, { cause: error }), writes && !neverSent);
  }
}
