import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Followed } from "../../src/reflector/kind.ts";
import type { WatchEvent } from "../../src/reflector/pod-object.ts";

/** What it does to the next request, or to the watches that are open, when it is told to. */
export const FAULTS = ["reset", "gone", "half", "stall", "busy", "error", "spoilt"] as const;
export type Fault = (typeof FAULTS)[number];

/** In the plural, as in a path. */
type Plural = "pods" | "sandboxes";

interface Stored {
  readonly plural: Plural;
  readonly object: Followed;
}

interface Change {
  readonly version: number;
  readonly plural: Plural;
  readonly event: WatchEvent<Followed>;
}

interface List {
  readonly version: number;
  readonly items: readonly Followed[];
}

type IsAsked = (stored: Stored) => boolean;

const PATH =
  /^\/(?:api|apis\/agents\.x-k8s\.io)\/(\w+)(?:\/namespaces\/([^/]+))?\/(pods|sandboxes)(?:\/([^/]+))?$/;

/** The pods of an API server that fails on demand, and its Sandbox objects: lists in pages, watches, and nothing else. */
export class FaultyApiServer {
  readonly #server: Server;
  readonly #objects = new Map<string, Stored>();
  readonly #watches = new Map<ServerResponse, IsAsked>();
  readonly #lists = new Map<string, List>();
  readonly #met: Fault[] = [];
  #log: Change[] = [];
  #version = 1;
  #oldest = 0;
  /** What happened before this can be told to nobody. */
  #spoilt = 0;
  readonly #next: Fault[] = [];
  /** In which it has Sandbox objects. */
  #sandboxVersions: readonly string[] = [];
  #hiding = 0;
  /** The paths of all requests. */
  readonly asked: string[] = [];

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

  /** From now on it knows Sandbox objects in these versions; in none: it does not know what they are. */
  serveSandboxes(...versions: readonly string[]): void {
    this.#sandboxVersions = versions;
    for (const [place, { plural }] of this.#objects) {
      if (versions.length === 0 && plural === "sandboxes") this.#objects.delete(place);
    }
    // Where a kind comes back its changes begin anew: who asks for those since before that is told to list.
    if (versions.length === 0) this.#forgetChanges();
    for (const watch of this.#watches.keys()) watch.end();
    this.#watches.clear();
  }

  /** The next so many requests that have to do with Sandbox objects find nothing; what it has stays. */
  hideSandboxes(requests: number): void {
    this.#hiding = requests;
    for (const watch of this.#watches.keys()) watch.end();
    this.#watches.clear();
  }

  put(object: Followed, plural: Plural = "pods"): void {
    const place = placeOf(plural, object.metadata);
    const type = this.#objects.has(place) ? "MODIFIED" : "ADDED";
    this.#change(type, { plural, object }, (stamped) => this.#objects.set(place, stamped));
  }

  delete(metadata: Named, plural: Plural = "pods"): void {
    const place = placeOf(plural, metadata);
    const stored = this.#objects.get(place);
    if (stored !== undefined) this.#change("DELETED", stored, () => this.#objects.delete(place));
  }

  /** It stays, and is told as deleted to who watches labels that it has no more. */
  unlabel(metadata: Named): void {
    const stored = this.#objects.get(placeOf("pods", metadata));
    if (stored !== undefined) this.#change("DELETED", stored, () => {});
  }

  /** Breaks what is open off, and does the same to the request after it. */
  fail(fault: Fault): void {
    if (fault === "gone") this.#forgetChanges();
    else if (fault === "spoilt") this.#spoilt = this.#version += 1;
    else if (fault === "half") {
      const half = JSON.stringify({
        type: "MODIFIED",
        object: [...this.#objects.values()][0]?.object,
      });
      for (const watch of this.#watches.keys()) watch.write(half.slice(0, half.length / 2));
    } else this.#next.push(fault);
    if (["gone", "half", "spoilt"].includes(fault)) this.#met.push(fault);
    for (const watch of this.#watches.keys()) setImmediate(() => watch.destroy());
    this.#watches.clear();
  }

  #forgetChanges(): void {
    this.#log = [];
    this.#oldest = this.#version += 1;
  }

  #change(
    type: WatchEvent["type"],
    { plural, object }: Stored,
    keep: (stamped: Stored) => void,
  ): void {
    const version = (this.#version += 1);
    const metadata = { ...object.metadata, resourceVersion: String(version) };
    const stamped: Stored = { plural, object: { ...object, metadata } };
    keep(stamped);
    const event = { type, object: stamped.object };
    this.#log.push({ version, plural, event });
    for (const [watch, isAsked] of this.#watches) {
      if (isAsked(stamped)) watch.write(`${JSON.stringify(event)}\n`);
    }
  }

  #serve({ url = "" }: IncomingMessage, response: ServerResponse): void {
    const fault = this.#next.shift();
    if (fault !== undefined && this.#failed(fault, response)) return;
    const { pathname, searchParams } = new URL(url, "http://server");
    const [, version = "", namespace, plural, name] = PATH.exec(pathname) ?? [];
    this.asked.push(pathname);
    const isHidden = pathname.includes("agents.x-k8s.io") && this.#hiding-- > 0;
    const isKnown = plural === "sandboxes" ? this.#sandboxVersions.includes(version) : plural;
    if (isHidden) answer(response, 404, { message: "not found" });
    else if (!isKnown) this.#discover(pathname, response);
    else if (name !== undefined) this.#read(`${plural}/${namespace}/${name}`, response);
    else {
      const isAsked: IsAsked = (stored) =>
        stored.plural === plural &&
        (namespace === undefined || stored.object.metadata.namespace === namespace);
      if (searchParams.has("watch")) this.#watch(searchParams, isAsked, response);
      else this.#list(searchParams, isAsked, response);
    }
  }

  #read(place: string, response: ServerResponse): void {
    const stored = this.#objects.get(place);
    answer(response, stored === undefined ? 404 : 200, stored?.object ?? { message: "not found" });
  }

  #discover(pathname: string, response: ServerResponse): void {
    const versions = this.#sandboxVersions.map((version) => ({ version }));
    const isThere = pathname === "/apis/agents.x-k8s.io" && versions.length > 0;
    answer(response, isThere ? 200 : 404, isThere ? { versions } : { message: "not found" });
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
      items: [...this.#objects.values()].filter(isAsked).map(({ object }) => object),
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
    if (from < this.#spoilt) {
      const message = "unable to decode an object in the watch stream";
      response.end(`${JSON.stringify({ type: "ERROR", object: { code: 500, message } })}\n`);
      return;
    }
    response.writeHead(200, { "content-type": "application/json" });
    const bookmark = { type: "BOOKMARK", object: { metadata: { resourceVersion: String(from) } } };
    response.write(`${JSON.stringify(bookmark)}\n`);
    const missed = this.#log.filter(
      ({ version, plural, event }) => version > from && isAsked({ plural, object: event.object }),
    );
    for (const { event } of missed) response.write(`${JSON.stringify(event)}\n`);
    this.#watches.set(response, isAsked);
    response.on("close", () => this.#watches.delete(response));
  }
}

type Named = Pick<Followed["metadata"], "namespace" | "name">;

function placeOf(plural: Plural, { namespace, name }: Named): string {
  return `${plural}/${namespace}/${name}`;
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
