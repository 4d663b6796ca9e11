import { EventEmitter, once } from "node:events";
import { rmSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** Where a server listens: a TCP address, or the path of a unix socket. */
export type Endpoint = { readonly host: string; readonly port: number } | { readonly path: string };

interface ProxyEvents {
  /** A client connected; the count of connections since the start. */
  connection: [count: number];
  /** Both sides of a connection are gone. */
  disconnection: [];
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/**
 * Stands between a client and a server, and does to the connections what networks do.
 *
 * What it does while `frozen` or `delayMs` is set is what a half-open connection looks like:
 * nothing is closed, nothing arrives.
 */
export class Proxy extends EventEmitter<ProxyEvents> {
  readonly #target: Endpoint;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #accepted = 0;
  #delayMs = 0;
  #isRefusing = false;
  #isFrozen = false;

  private constructor(target: Endpoint) {
    super();
    this.#target = target;
    // Half-open, so that an end on one side travels to the other as an end and not as a cut.
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
  }

  /** A proxy that listens: on a free port of 127.0.0.1 or another host, or on the unix socket at `listen.path`. */
  static async open(
    target: Endpoint,
    listen: { readonly path: string } | { readonly host: string } = { host: "127.0.0.1" },
  ): Promise<Proxy> {
    const proxy = new Proxy(target);
    if ("path" in listen) rmSync(listen.path, { force: true });
    proxy.#server.listen("path" in listen ? listen : { ...listen, port: 0 });
    await once(proxy.#server, "listening");
    return proxy;
  }

  /** The port it listens on; only for a proxy on TCP. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#pairs.size;
  }

  /** Connections accepted since the start. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Resets every open connection, both sides, as a lost machine does. Returns how many. */
  cut(): number {
    const pairs = [...this.#pairs];
    for (const pair of pairs) {
      reset(pair.client);
      reset(pair.server);
    }
    return pairs.length;
  }

  /** From now on, every new connection is reset at once; open ones stay. */
  refuse(): void {
    this.#isRefusing = true;
  }

  /** Takes new connections again. */
  accept(): void {
    this.#isRefusing = false;
  }

  /** Stops all bytes, both ways, without closing anything. */
  freeze(): void {
    this.#isFrozen = true;
    for (const { client, server } of this.#pairs) {
      client.pause();
      server.pause();
    }
  }

  /** Lets the bytes flow again; those held back come first. */
  thaw(): void {
    this.#isFrozen = false;
    for (const { client, server } of this.#pairs) {
      client.resume();
      server.resume();
    }
  }

  /** Holds every chunk for this long, both ways; order stays. 0 ends it. */
  delay(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  /** Cuts what is open and stops listening. */
  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.cut();
    await closed;
  }

  #accept(client: Socket): void {
    client.on("error", () => client.destroy());
    if (this.#isRefusing) {
      reset(client);
      return;
    }
    const server = connect({ ...this.#target, allowHalfOpen: true });
    const pair = { client, server };
    this.#pairs.add(pair);
    this.#pipe(client, server);
    this.#pipe(server, client);
    const drop = (): void => {
      client.destroy();
      server.destroy();
      if (this.#pairs.delete(pair)) this.emit("disconnection");
    };
    for (const socket of [client, server]) {
      socket.on("error", drop);
      socket.on("close", drop);
      if (this.#isFrozen) socket.pause();
    }
    this.emit("connection", ++this.#accepted);
  }

  /** By hand instead of pipe(), which would resume what `freeze` paused. */
  #pipe(from: Socket, to: Socket): void {
    const held: (() => void)[] = [];
    const pass = (step: () => void): void => {
      if (this.#delayMs === 0 && held.length === 0) {
        step();
        return;
      }
      held.push(step);
      setTimeout(() => held.shift()?.(), this.#delayMs);
    };
    from.on("data", (chunk) => pass(() => to.write(chunk)));
    from.on("end", () => pass(() => to.end()));
  }
}

/** A reset, as a lost machine gives; unix sockets have none, there the end comes at once. */
function reset(socket: Socket): void {
  if (socket.remoteFamily === undefined) socket.destroy();
  else socket.resetAndDestroy();
}
