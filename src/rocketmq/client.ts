import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Introduction } from "./session.ts";
import { Session } from "./session.ts";
import type { ConnectionSettings } from "./settings.ts";
import { RocketmqError, checkAnswer } from "./wire/answer.ts";
import { PROTOCOL_VERSION } from "./wire/headers.ts";
import { METHODS } from "./wire/methods.ts";
import { durationOf } from "./wire/types.ts";
import type { Endpoints, MessageQueue, Resource, Status } from "./wire/types.ts";

/** What a client does: publish or receive. */
export interface Role {
  readonly clientType: number;
  readonly group?: Resource;
  /** `publishing` or `subscription` of the protocol's settings. */
  readonly pubSub: object;
}

interface Route {
  readonly queues: readonly MessageQueue[];
  readonly readAtMs: number;
}

interface RouteAnswer {
  readonly status?: Status | null;
  readonly messageQueues: readonly MessageQueue[];
}

const ROUTE_FRESH_MS = 30_000;
const GOODBYE_MS = 1_000;
const SCHEME = { ipv4: 1, domainName: 3 } as const;

/** What a producer and a consumer have in common: sessions with proxies, and the routes of topics. */
export class Client {
  readonly settings: ConnectionSettings;
  readonly #role: Role;
  readonly #sessions = new Map<string, Session>();
  readonly #routes = new Map<string, Route>();
  readonly #clientId = `${hostname()}@${process.pid}@${randomUUID()}`;
  #preferred = 0;
  #isClosed = false;

  constructor(settings: ConnectionSettings, role: Role) {
    this.settings = settings;
    this.#role = role;
  }

  /** The queues of a topic; asked again after a while, and after `forget`. */
  async queuesOf(topic: string, signal?: AbortSignal): Promise<readonly MessageQueue[]> {
    const known = this.#routes.get(topic);
    const now = this.settings.clock.monotonicMs();
    if (known !== undefined && now - known.readAtMs < ROUTE_FRESH_MS) return known.queues;
    const queues = await this.#askRoute(topic, signal);
    this.#routes.set(topic, { queues, readAtMs: now });
    return queues;
  }

  /** The route failed somebody: the next one asks again. */
  forget(topic: string): void {
    this.#routes.delete(topic);
  }

  /** The session with the proxy that serves a queue, once it knows us. */
  async sessionFor(queue: MessageQueue, signal?: AbortSignal): Promise<Session> {
    const { addresses } = queue.broker.endpoints;
    const [address] = addresses;
    const session = this.#sessionWith(
      address === undefined ? this.#configured() : `${address.host}:${address.port}`,
    );
    await session.known(this.settings.requestTimeoutMs, signal);
    return session;
  }

  /** Ends all connections. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    await Promise.all(sessions.map((session) => session.close(GOODBYE_MS)));
  }

  async #askRoute(topic: string, signal?: AbortSignal): Promise<readonly MessageQueue[]> {
    const endpoint = this.#configured();
    const session = this.#sessionWith(endpoint);
    const what = `The route of topic ${topic}`;
    const request = { topic: { name: topic }, endpoints: endpointsOf(endpoint) };
    const call = { what, timeoutMs: this.settings.requestTimeoutMs, signal };
    try {
      const answer = await session.channel.call(METHODS.queryRoute, request, call);
      const { status, messageQueues } = answer as RouteAnswer;
      checkAnswer(what, status);
      return messageQueues;
    } catch (error) {
      if (error instanceof RocketmqError && error.isSilence) this.#preferred += 1;
      throw error;
    }
  }

  /** The configured proxy to ask: the next one where the last did not answer. */
  #configured(): string {
    const { endpoints } = this.settings;
    return endpoints[this.#preferred % endpoints.length] ?? "";
  }

  #sessionWith(endpoint: string): Session {
    if (this.#isClosed) throw new RocketmqError("UNAVAILABLE", "RocketMQ: the client was closed.");
    const known = this.#sessions.get(endpoint);
    if (known !== undefined) return known;
    const session = new Session(endpoint, this.#introduction(endpoint), this.settings);
    this.#sessions.set(endpoint, session);
    return session;
  }

  #introduction(endpoint: string): Introduction {
    const { clientType, group, pubSub } = this.#role;
    return {
      clientId: this.#clientId,
      clientType,
      ...(group === undefined ? {} : { group }),
      settings: {
        clientType,
        accessPoint: endpointsOf(endpoint),
        requestTimeout: durationOf(this.settings.requestTimeoutMs),
        ...pubSub,
        userAgent: { language: 8, version: PROTOCOL_VERSION, hostname: hostname() },
      },
    };
  }
}

function endpointsOf(endpoint: string): Endpoints {
  const at = endpoint.lastIndexOf(":");
  const [host, port] = [endpoint.slice(0, at), Number(endpoint.slice(at + 1))];
  const scheme = /^[\d.]+$/.test(host) ? SCHEME.ipv4 : SCHEME.domainName;
  return { scheme, addresses: [{ host, port }] };
}
