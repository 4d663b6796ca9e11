import type { FastifyInstance } from "fastify";
import type { AddressInfo } from "node:net";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import type { Service } from "../service/services.ts";
import { AgentRuntimeError } from "../state/errors.ts";

/** Where to listen; port 0 picks a free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** How long no new connection comes until the listener may close, and how often that is looked for. */
const LOOK_MS = 20;
const MAX_LOOKS = 10;

/** The HTTP API as a service: listens from start to stop. */
export class HttpService implements Service {
  readonly name = "http";
  readonly #app: FastifyInstance;
  readonly #address: ListenAddress;
  #taken = 0;

  constructor(app: FastifyInstance, address: ListenAddress) {
    this.#app = app;
    this.#address = address;
    app.server.on("connection", () => void this.#taken++);
  }

  /** Where it listens, like `http://127.0.0.1:8080`; only between start and stop. */
  get url(): string {
    const { address, port, family } = this.#app.server.address() as AddressInfo;
    return `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
  }

  /** @throws {AgentRuntimeError} INVALID_CONFIG where it cannot listen there. */
  async start(): Promise<void> {
    const { host, port } = this.#address;
    try {
      await this.#app.listen({ host, port });
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      throw new AgentRuntimeError(
        "INVALID_CONFIG",
        `cannot listen on ${host}:${port} (${code ?? String(cause)}); choose another --listen, port 0 picks a free one`,
        { field: "listen", cause },
      );
    }
  }

  async stop(): Promise<void> {
    await this.#untilTaken();
    await this.#app.close();
  }

  /**
   * A listener that closes resets connections that it has not taken yet, with the requests on them. Before any client is told
   * to come on another one, it takes those that are there.
   */
  async #untilTaken(): Promise<void> {
    for (let looks = 0, before = -1; looks < MAX_LOOKS && before !== this.#taken; looks++) {
      before = this.#taken;
      await sleep(LOOK_MS);
      await nextTurn(); // a process that was held up hears of the time before it hears of connections
    }
  }
}
