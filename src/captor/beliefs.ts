import type { StateFace } from "../state/face.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { Json, JsonObject } from "../state/json.ts";
import type { LifecycleFact } from "../state/lifecycle-fact.ts";

/** A run that the state manager holds for alive on this node. */
export type BelievedRun = Pick<LifecycleFact, "podUid" | "podName" | "namespace" | "container"> & {
  readonly incarnation: string;
};

type Source = Pick<StateFace, "list" | "getState">;

const LIVE_PHASES = ["creating", "running", "paused", "stopping"] as const;
const PAGE = 500;
const MAX_ELSEWHERE = 100_000;

/** What the state manager believes of the pods of one node. */
export class Beliefs {
  readonly #source: Source;
  readonly #node: string;
  /** A pod never changes its node: those of others are asked for once. */
  readonly #elsewhere = new Set<string>();

  constructor(source: Source, node: string) {
    this.#source = source;
    this.#node = node;
  }

  /** @param isKnown pods that are followed here anyhow. */
  async aliveHere(
    isKnown: (podUid: string) => boolean,
    signal?: AbortSignal,
  ): Promise<readonly BelievedRun[]> {
    const runs: BelievedRun[] = [];
    for (const phase of LIVE_PHASES) {
      for await (const id of this.#idsIn(phase, signal)) {
        if (this.#elsewhere.has(id) || isKnown(id.replace(/^pod:/, ""))) continue;
        runs.push(...(await this.#runsOf(id, signal)));
      }
    }
    return runs;
  }

  async *#idsIn(phase: string, signal: AbortSignal | undefined): AsyncGenerator<string> {
    let after: string | undefined;
    do {
      const page = await this.#source.list({
        type: "lifecycle",
        idPrefix: "pod:",
        phase,
        limit: PAGE,
        ...(after === undefined ? {} : { after }),
        ...(signal === undefined ? {} : { signal }),
      });
      for (const { id } of page.items) yield id;
      after = page.next;
    } while (after !== undefined);
  }

  async #runsOf(id: string, signal: AbortSignal | undefined): Promise<readonly BelievedRun[]> {
    const data = await this.#read(id, signal);
    if (data === null) return [];
    if (data["node"] !== this.#node) {
      // Unsaid: it may be here yet.
      if (typeof data["node"] === "string" && this.#elsewhere.size < MAX_ELSEWHERE) {
        this.#elsewhere.add(id);
      }
      return [];
    }
    const [podUid, podName, namespace] = [
      text(data["podUid"]),
      text(data["podName"]),
      text(data["namespace"]),
    ];
    const pod = { podUid, podName, namespace };
    const containers = [
      ...listIn(data, "containers"),
      { ...objectIn(data, "sandbox"), name: null },
    ];
    return containers.flatMap((container) =>
      listIn(container, "attempts")
        .filter((attempt) => !attempt["exit"] && !attempt["removed"])
        .map((attempt) => ({
          ...pod,
          container: typeof container["name"] === "string" ? container["name"] : null,
          incarnation: text(attempt["id"]),
        })),
    );
  }

  async #read(id: string, signal: AbortSignal | undefined): Promise<JsonObject | null> {
    try {
      const { data } = await this.#source.getState(id, signal === undefined ? {} : { signal });
      const isObject = typeof data === "object" && data !== null && !Array.isArray(data);
      return isObject ? (data as JsonObject) : null;
    } catch (error) {
      if (error instanceof AgentRuntimeError && error.code === "STATE_NOT_FOUND") return null;
      throw error;
    }
  }
}

function text(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

function listIn(given: JsonObject, field: string): readonly JsonObject[] {
  const value = given[field];
  return Array.isArray(value) ? (value as JsonObject[]) : [];
}

function objectIn(given: JsonObject, field: string): JsonObject {
  const value = given[field];
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : {};
}
