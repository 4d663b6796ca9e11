import { KubernetesClient } from "../../src/kubernetes/client.ts";
import type { RequestOptions } from "../../src/kubernetes/client.ts";
import { PODS } from "../../src/reflector/kind.ts";
import { knownPods } from "../../src/reflector/known.ts";
import { Reflector } from "../../src/reflector/reflector.ts";
import type { ReflectorOptions } from "../../src/reflector/reflector.ts";
import { systemClock } from "../../src/service/clock.ts";
import { silentLog } from "../../src/service/log.ts";
import { Book } from "../kubernetes/book.ts";
import type { OwnCluster } from "./cluster.ts";

/** A reflector that runs in this process, what it asked for, and what it told. */
export interface Watching {
  readonly book: Book;
  readonly reflector: Reflector;
  /** Requests of lists and watches, in their order. */
  readonly asked: RequestOptions["query"][];
  readonly stop: () => Promise<void>;
}

export interface WatchingOptions extends Partial<ReflectorOptions> {
  readonly token: string;
  readonly server?: URL;
  readonly book?: Book;
}

/** Follows the pods of a cluster with what a service account may do. */
export async function watch(
  cluster: OwnCluster,
  { token, server = cluster.server, book = new Book(), ...options }: WatchingOptions,
): Promise<Watching> {
  const authority = await cluster.authority();
  const client = new KubernetesClient({ server, authority, token: () => Promise.resolve(token) });
  const asked: RequestOptions["query"][] = [];
  const over = new AbortController();
  const reflector = new Reflector({
    kind: PODS,
    client: {
      get: (path, request) => {
        if (request.query !== undefined) asked.push(request.query);
        return client.get(path, request);
      },
      open: (path, request) => {
        asked.push(request.query);
        return client.open(path, request);
      },
    },
    sink: book,
    known: (isThere, signal) => knownPods(book, isThere, signal),
    namespace: null,
    selector: "agentruntime.dev/agent",
    clock: systemClock,
    log: silentLog,
    backoff: { firstMs: 20, maxMs: 500 },
    ...options,
  });
  const running = reflector.run(over.signal);
  const stop = async (): Promise<void> => {
    over.abort();
    await running;
  };
  return { book, reflector, asked, stop };
}
