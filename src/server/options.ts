import type { Logger } from "../service/log-port.ts";
import type { StateFace } from "../state/face.ts";
import type { Json, JsonObject } from "../state/json.ts";
import type { ReadOptions } from "../state/request.ts";
import type { State } from "../state/state.ts";

/** Which copy answered a read. */
export type ServedBy = "l1" | "dragonfly" | "readonly" | "main";

/** Who may come in: a token, what it may do, and where. */
export interface AuthToken {
  /** Told in logs, in place of the token. */
  readonly name: string;
  readonly token: string;
  /** The only namespace it may touch; null: any. */
  readonly namespace: string | null;
  readonly role: "reader" | "writer" | "operator";
}

/** What one server lets in; all have defaults. */
export interface ServerLimits {
  /** Bytes of one request body. */
  readonly bodyBytes: number;
  /** Levels of arrays and objects in one document. */
  readonly dataDepth: number;
  /** Changes in one changeset, and writes in one batch. */
  readonly changesetChanges: number;
  readonly watchClients: number;
  /** Connections in all; one more is closed at once. */
  readonly connections: number;
  /** Until a request must have come in whole. */
  readonly requestTimeoutMs: number;
  /** Between two comments on a watch. */
  readonly watchCommentMs: number;
  /** How long a watcher may leave unread what was sent before it is cut off. */
  readonly watchStallMs: number;
  /** For requests in flight at a stop, before their connections are cut. */
  readonly closeMs: number;
}

export const DEFAULT_LIMITS: ServerLimits = {
  bodyBytes: 16 * 1024 * 1024,
  dataDepth: 64,
  changesetChanges: 1_000,
  watchClients: 10_000,
  connections: 20_000,
  requestTimeoutMs: 30_000,
  watchCommentMs: 15_000,
  watchStallMs: 30_000,
  closeMs: 5_000,
};

/** The parts behind the server: what it asks, and what it tells. */
export interface ServerOptions {
  readonly face: StateFace;
  /** A read that says which copy answered; unsaid, the face reads and `main` is told. */
  readonly readState?: (
    id: string,
    options: ReadOptions,
  ) => Promise<{ readonly state: State; readonly servedBy: ServedBy }>;
  /** Where the feed stands, so that a watch without a cursor can be resumed before its first change. */
  readonly feedHead?: () => Promise<string>;
  /** What `/v1/info` answers. */
  readonly info: () => JsonObject | Promise<JsonObject>;
  /** What `/readyz` answers: 200 where `ready`, else 503. */
  readonly ready: () => Readiness | Promise<Readiness>;
  /** What `/metrics` answers, in Prometheus text form; unsaid, the route does not exist. */
  readonly renderMetrics?: () => Promise<string>;
  /** Told of each answer: the route, its status, and how long it took. */
  readonly observe?: (operation: string, outcome: string, seconds: number) => void;
  readonly log: Logger;
  readonly limits?: Partial<ServerLimits>;
  readonly auth?: { readonly tokens: readonly AuthToken[] };
}

/** Whether requests are welcome, and why not. */
export interface Readiness {
  readonly ready: boolean;
  readonly [detail: string]: Json;
}

/** What each file of routes is given. */
export interface RouteContext extends ServerOptions {
  readonly limits: ServerLimits;
}
