import type { IncomingMessage } from "node:http";
import type { Clock } from "../service/clock.ts";
import type { Logger } from "../service/log-port.ts";
import { PlainServer } from "../service/plain-server.ts";
import type { SpooledSink } from "../spool/spooled-sink.ts";
import { HookRuns } from "./hook-runs.ts";
import { HOOKS, hookFact } from "./pod-identity.ts";
import type { Hook, PodIdentity } from "./pod-identity.ts";

export interface HookServerOptions {
  readonly pod: PodIdentity;
  readonly sink: Pick<SpooledSink, "publish" | "figures">;
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** A disk that takes longer does not hold the container back; default 150. */
  readonly answerMs?: number;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Answer {
  readonly status: number;
  readonly body: object;
}

const PATH = /^\/v1\/hooks\/([^/?]+)\/([^/?]+)$/;
const LATE = Symbol("late");

/**
 * Answers the lifecycle hooks of the containers of its pod: at once, and well, whatever becomes of the fact.
 * A `postStart` that fails would kill the container.
 */
export class HookServer {
  readonly #options: Required<HookServerOptions>;
  readonly #server: PlainServer;
  readonly #runs = new HookRuns();
  #answered = 0;
  #unspooled = 0;

  constructor(options: HookServerOptions) {
    this.#options = { answerMs: 150, ...options };
    this.#server = new PlainServer(async (request) => {
      const { status, body } = await this.#answer(request);
      return { status, text: JSON.stringify(body) };
    });
  }

  /** How many hooks it answered, and of how many the fact was not on disk by then. */
  get figures(): { readonly answered: number; readonly unspooled: number } {
    return { answered: this.#answered, unspooled: this.#unspooled };
  }

  /** Where it listens. */
  async start(): Promise<string> {
    return await this.#server.start(this.#options.host, this.#options.port);
  }

  /** Takes no more hooks; those that are being answered are. Safe twice. */
  async stop(): Promise<void> {
    await this.#server.stop();
  }

  async #answer({ method, url = "" }: IncomingMessage): Promise<Answer> {
    if (method !== "GET" && method !== "HEAD")
      return { status: 405, body: { code: "METHOD_NOT_ALLOWED" } };
    if (url === "/healthz") {
      return { status: 200, body: { ...this.figures, ...this.#options.sink.figures } };
    }
    const [, container = "", hook = ""] = PATH.exec(url) ?? [];
    if (!isHook(hook)) {
      const detail = "hooks are GET /v1/hooks/CONTAINER/postStart and .../preStop";
      return { status: 404, body: { code: "ROUTE_NOT_FOUND", detail } };
    }
    try {
      return await this.#take(decodeURIComponent(container), hook);
    } catch (error) {
      return {
        status: 400,
        body: { code: "INVALID_REQUEST", detail: (error as Error).message },
      };
    }
  }

  async #take(container: string, hook: Hook): Promise<Answer> {
    const { pod, clock } = this.#options;
    const at = this.#runs.timeOf(container, hook, clock.now());
    const fact = hookFact(pod, { container, hook, at });
    const told = { container, hook, at: fact.at };
    const why = await this.#spool(fact);
    this.#answered += 1;
    if (why === null) return { status: 200, body: { ...told, spooled: true } };
    this.#unspooled += 1;
    this.#options.log.warn({ ...told, why }, "a hook was answered before its fact was on disk");
    return { status: 202, body: { ...told, spooled: false, detail: why } };
  }

  /** Null: it is on disk; else why not, by now. */
  async #spool(fact: ReturnType<typeof hookFact>): Promise<string | null> {
    const { sink, answerMs } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<typeof LATE>((resolve) => {
      timer = setTimeout(() => resolve(LATE), answerMs);
    });
    const spooled = sink.publish([fact]).then(
      () => null,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    const first = await Promise.race([spooled, late]);
    clearTimeout(timer);
    return first === LATE ? `the disk took longer than ${answerMs} ms` : first;
  }
}

function isHook(hook: string): hook is Hook {
  return HOOKS.some((known) => known === hook);
}
