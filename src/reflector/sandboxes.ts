import { setTimeout as pause } from "node:timers/promises";
import { KubernetesError } from "../kubernetes/client.ts";
import type { RequestOptions } from "../kubernetes/client.ts";
import { Reflector, sumOf } from "./reflector.ts";
import type { ReflectorFigures, ReflectorOptions } from "./reflector.ts";
import { SANDBOX_GROUP, SANDBOX_VERSIONS, sandboxKind } from "./sandbox-facts.ts";
import type { SandboxObject } from "./sandbox-facts.ts";

export interface SandboxesOptions extends Omit<
  ReflectorOptions<SandboxObject>,
  "kind" | "namespace"
> {
  /** Each followed by itself; null: all of them. */
  readonly namespaces: readonly (string | null)[];
  /** Also those that name no agent. */
  readonly all: boolean;
  /** Between looks whether the API server knows them; default 30,000. */
  readonly lookMs?: number;
}

type Version = (typeof SANDBOX_VERSIONS)[number];

/** A short answer takes no longer, whatever a watch may. */
const SILENCE_MS = 30_000;

/**
 * Tells what happens to Sandbox objects, while the API server knows the kind: it may come, go, and come back. Pods are
 * followed by themselves, whatever becomes of this.
 */
export class Sandboxes {
  readonly #options: SandboxesOptions;
  readonly #lookMs: number;
  readonly #reflectors: readonly Reflector<SandboxObject>[];
  #version: Version = SANDBOX_VERSIONS[0];

  constructor(options: SandboxesOptions) {
    this.#options = options;
    this.#lookMs = options.lookMs ?? 30_000;
    const { namespaces, all, ...others } = options;
    const kind = sandboxKind({ version: () => this.#version, all });
    this.#reflectors = namespaces.map(
      (namespace) => new Reflector<SandboxObject>({ ...others, kind, namespace }),
    );
  }

  /** Of all namespaces. */
  get figures(): ReflectorFigures {
    return sumOf(this.#reflectors.map(({ figures }) => figures));
  }

  /** Runs until it is told to end. Run again it goes on where it was. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#turn(signal);
      } catch (error) {
        if (signal.aborted) return;
        const why = error instanceof Error ? error.message : String(error);
        this.#options.log.warn({ why }, "whether there are sandboxes is asked again later");
      }
      await pause(this.#lookMs, undefined, { signal }).catch(() => {});
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { lists } = this.figures;
    const version = await this.#look(signal);
    if (version !== null) {
      this.#version = version;
      await this.#follow(signal);
    }
    // It was not there when they were followed last, nor is it a while later: with their kind all of them went.
    const isAway = !signal.aborted && this.figures.lists === lists;
    if (isAway) for (const reflector of this.#reflectors) await reflector.tellGone(signal);
  }

  /** Until the API server does not know their kind any more. */
  async #follow(signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const either = AbortSignal.any([signal, over.signal]);
    const runs = this.#reflectors.map((each) => each.run(either).finally(() => over.abort()));
    await Promise.all(runs);
  }

  /** The version that is read, where the API server has one of those. */
  async #look(signal: AbortSignal): Promise<Version | null> {
    const silenceMs = Math.min(this.#options.silenceMs ?? SILENCE_MS, SILENCE_MS);
    const options: RequestOptions = { silenceMs, signal };
    try {
      const group = (await this.#options.client.get(`/apis/${SANDBOX_GROUP}`, options)) as {
        readonly versions?: readonly { readonly version?: string }[];
      };
      const served = new Set((group.versions ?? []).map(({ version }) => version));
      return SANDBOX_VERSIONS.find((version) => served.has(version)) ?? null;
    } catch (error) {
      if (error instanceof KubernetesError && error.status === 404) return null;
      throw error;
    }
  }
}
