import { KubernetesError } from "../kubernetes/client.ts";
import type { KubernetesClient } from "../kubernetes/client.ts";
import { Loop } from "../service/loop.ts";
import type { Logger } from "../service/log-port.ts";
import { FINALIZER, isHeld, isOver } from "./pod-object.ts";
import type { ObjectPage, PodObject } from "./pod-object.ts";

export interface FinalizersOptions {
  readonly client: Pick<KubernetesClient, "patch">;
  /** Whether the state manager has the end of that pod. */
  readonly isCommitted: (podUid: string, signal: AbortSignal) => Promise<boolean>;
  readonly log: Logger;
  /** Between looks at ends that are not committed yet; default 500. */
  readonly pauseMs?: number;
}

/** Requests side by side. */
const AT_ONCE = 8;
const SILENCE_MS = 30_000;
const BACKOFF = { firstMs: 500, maxMs: 30_000 };
/** It has changed since, or is gone: whatever is left to do, its next form says. */
const OVERTAKEN = [404, 409, 422];

/**
 * Holds pods back until their end is committed: each that is there gets a finalizer, and loses it when it is over and
 * the state manager has that. Without it what a pod told last is lost where it goes while nobody looks.
 */
export class Finalizers {
  readonly #options: FinalizersOptions;
  /** Those that something is to be done about, in their newest form. */
  readonly #due = new Map<string, PodObject>();
  readonly #loop: Loop;

  constructor(options: FinalizersOptions) {
    this.#options = options;
    this.#loop = new Loop({
      name: "finalizers",
      runOnce: (signal) => this.#round(signal),
      pauseMs: options.pauseMs ?? 500,
      backoff: BACKOFF,
      log: options.log,
    });
  }

  /** Pods that are to get it, or wait to lose it. */
  get due(): number {
    return this.#due.size;
  }

  start(): void {
    this.#loop.start();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  /** The present form of a pod. */
  see(pod: PodObject): void {
    const { uid, deletionTimestamp } = pod.metadata;
    const isDue = deletionTimestamp === undefined ? !isHeld(pod.metadata) : isOver(pod);
    if (!isDue) this.#due.delete(uid);
    else {
      this.#due.set(uid, pod);
      this.#loop.wake();
    }
  }

  async #round(signal: AbortSignal): Promise<boolean> {
    const next = [...this.#due.values()].values();
    const work = async (): Promise<void> => {
      for (const pod of next) await this.#settle(pod, signal);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return false;
  }

  async #settle(pod: PodObject, signal: AbortSignal): Promise<void> {
    const { uid } = pod.metadata;
    const finalizers = pod.metadata.finalizers ?? [];
    const isLast = isOver(pod);
    if (isLast && !(await this.#options.isCommitted(uid, signal))) return;
    const wanted = isLast
      ? finalizers.filter((name) => name !== FINALIZER)
      : [...finalizers, FINALIZER];
    await change(this.#options.client, pod, wanted, signal);
    // Unless a newer form came meanwhile.
    if (this.#due.get(uid) === pod) this.#due.delete(uid);
  }
}

/** Takes the finalizer from all pods that have it, whatever became of them; how many had it. */
export async function stripFinalizers(
  client: Pick<KubernetesClient, "get" | "patch">,
  path: string,
  signal: AbortSignal,
): Promise<number> {
  let stripped = 0;
  let next: string | undefined;
  do {
    const query = { limit: "250", ...(next === undefined ? {} : { continue: next }) };
    const page = (await client.get(path, { query, silenceMs: SILENCE_MS, signal })) as ObjectPage;
    for (const pod of page.items.filter(({ metadata }) => isHeld(metadata))) {
      if (await isStripped(client, pod, signal)) stripped += 1;
    }
    next = page.metadata.continue;
  } while (next);
  return stripped;
}

/** Again and again with its newest form: others write it too. */
async function isStripped(
  client: Pick<KubernetesClient, "get" | "patch">,
  listed: PodObject,
  signal: AbortSignal,
): Promise<boolean> {
  let pod = listed;
  while (isHeld(pod.metadata)) {
    const others = pod.metadata.finalizers!.filter((name) => name !== FINALIZER);
    if (await change(client, pod, others, signal)) return true;
    try {
      pod = (await client.get(pathOf(pod), { silenceMs: SILENCE_MS, signal })) as PodObject;
    } catch (error) {
      if (error instanceof KubernetesError && error.status === 404) return false;
      throw error;
    }
  }
  return false;
}

/** Whether it was still as it was seen. */
async function change(
  client: Pick<KubernetesClient, "patch">,
  pod: PodObject,
  finalizers: readonly string[],
  signal: AbortSignal,
): Promise<boolean> {
  const { uid, resourceVersion } = pod.metadata;
  const patch = { metadata: { uid, resourceVersion, finalizers } };
  try {
    await client.patch(pathOf(pod), patch, { silenceMs: SILENCE_MS, signal });
    return true;
  } catch (error) {
    if (error instanceof KubernetesError && OVERTAKEN.includes(error.status)) return false;
    throw error;
  }
}

function pathOf({ metadata }: PodObject): string {
  const { namespace, name } = metadata;
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`;
}
