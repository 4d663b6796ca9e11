import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { PodObject, WatchEvent } from "../../src/reflector/pod-object.ts";

/** What it does to the next request, or to the watches that are open, when it is told to. */
export const FAULTS = ["reset", "gone", "half", "stall", "busy", "error"] as const;
export type Fault = (typeof FAULTS)[number];

interface Change {
  readonly version: number;
  readonly event: WatchEvent;
}

interface List {
  readonly version: number;
  readonly items: readonly PodObject[];
}

type IsAsked = (pod: PodObject) => boolean;

/** The pods of an API server that fails on demand: lists in pages, watches, and nothing else. */
export class FaultyApiServer {
  readonly #server: Server;
  readonly #pods = new Map<string, PodObject>();
  readonly #watches = new Map<ServerResponse, IsAsked>();
  readonly #lists = new Map<string, List>();
  readonly #met: Fault[] = [];
  #log: Change[] = [];
  #version = 1;
  #oldest = 0;
  readonly #next: Fault[] = [];

  constructor() {
    this.#server = createServer((request, response) => this.#serve(request, response));
  }

  get met(): readonly Fault[] {
    return this.#met;
  }

  /** How many watch now. */
  get watches(): number {
    return this.#watches.size;
  }

  async start(): Promise<URL> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return new URL(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  put(pod: PodObject): void {
    const place = `${pod.metadata.namespace}/${pod.metadata.name}`;
    const type = this.#pods.has(place) ? "MODIFIED" : "ADDED";
    this.#change(type, pod, (stamped) => this.#pods.set(place, stamped));
  }

  delete({ namespace, name }: { readonly namespace: string; readonly name: string }): void {
    const place = `${namespace}/${name}`;
    const pod = this.#pods.get(place);
    if (pod !== undefined) this.#change("DELETED", pod, () => this.#pods.delete(place));
  }

  /** It stays, and is told as deleted to who watches labels that it has no more. */
  unlabel({ namespace, name }: { readonly namespace: string; readonly name: string }): void {
    const pod = this.#pods.get(`${namespace}/${name}`);
    if (pod !== undefined) this.#change("DELETED", pod, () => {});
  }

  /** Breaks what is open off, and does the same to the request after it. */
  fail(fault: Fault): void {
    if (fault === "gone") {
      this.#log = [];
      this.#oldest = this.#version;
    } else if (fault === "half") {
      const half = JSON.stringify({ type: "MODIFIED", object: [...this.#pods.values()][0] ?? {} });
      for (const watch of this.#watches.keys()) watch.write(half.slice(0, half.length / 2));
    } else this.#next.push(fault);
    if (fault === "gone" || fault === "half") this.#met.push(fault);
    for (const watch of this.#watches.keys()) setImmediate(() => watch.destroy());
    this.#watches.clear();
  }

  #change(type: WatchEvent["type"], pod: PodObject, keep: (stamped: PodObject) => void): void {
    const version = (this.#version += 1);
    const metadata = { ...pod.metadata, resourceVersion: String(version) };
    const stamped: PodObject = { ...pod, metadata };
    keep(stamped);
    const event: WatchEvent = { type, object: stamped };
    this.#log.push({ version, event });
    for (const [watch, isAsked] of this.#watches) {
      if (isAsked(stamped)) watch.write(`${JSON.stringify(event)}\n`);
    }
  }

  #serve({ url = "" }: IncomingMessage, response: ServerResponse): void {
    const fault = this.#next.shift();
    if (fault !== undefined && this.#failed(fault, response)) return;
    const { pathname, searchParams } = new URL(url, "http://server");
    const [, namespace, name] =
      /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)$/.exec(pathname) ?? [];
    if (name !== undefined) {
      const pod = this.#pods.get(`${namespace}/${name}`);
      answer(response, pod === undefined ? 404 : 200, pod ?? { message: "not found" });
      return;
    }
    const [, only] = /^\/api\/v1\/namespaces\/([^/]+)\/pods$/.exec(pathname) ?? [];
    const isAsked: IsAsked = ({ metadata }) => only === undefined || metadata.namespace === only;
    if (searchParams.has("watch")) this.#watch(searchParams, isAsked, response);
    else this.#list(searchParams, isAsked, response);
  }

  #failed(fault: Fault, response: ServerResponse): boolean {
    this.#met.push(fault);
    if (fault === "reset") response.destroy();
    if (fault === "busy") {
      response.setHeader("retry-after", "0.05");
      answer(response, 429, { message: "too many requests" });
    }
    if (fault === "error") {
      const object = { kind: "Status", code: 500, message: "etcdserver: leader changed" };
      response.end(`${JSON.stringify({ type: "ERROR", object })}\n`);
    }
    // Of a request that stalls nothing comes, and it stays open.
    return true;
  }

  /** All pages of a list are of one moment. */
  #list(query: URLSearchParams, isAsked: IsAsked, response: ServerResponse): void {
    const token = query.get("continue") ?? "";
    const { version, items } = this.#lists.get(token) ?? {
      version: this.#version,
      items: [...this.#pods.values()].filter(isAsked),
    };
    const limit = Number(query.get("limit") ?? 500);
    const rest = items.slice(limit);
    const next = `${version}-${this.#lists.size}`;
    if (rest.length > 0) this.#lists.set(next, { version, items: rest });
    answer(response, 200, {
      metadata: {
        resourceVersion: String(version),
        ...(rest.length > 0 ? { continue: next } : {}),
      },
      items: items.slice(0, limit),
    });
  }

  #watch(query: URLSearchParams, isAsked: IsAsked, response: ServerResponse): void {
    const from = Number(query.get("resourceVersion"));
    if (from < this.#oldest) {
      const object = { kind: "Status", code: 410, message: "too old resource version" };
      response.end(`${JSON.stringify({ type: "ERROR", object })}\n`);
      return;
    }
    response.writeHead(200, { "content-type": "application/json" });
    const bookmark = { type: "BOOKMARK", object: { metadata: { resourceVersion: String(from) } } };
    response.write(`${JSON.stringify(bookmark)}\n`);
    const missed = this.#log.filter(
      ({ version, event }) => version > from && isAsked(event.object),
    );
    for (const { event } of missed) response.write(`${JSON.stringify(event)}\n`);
    this.#watches.set(response, isAsked);
    response.on("close", () => this.#watches.delete(response));
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
