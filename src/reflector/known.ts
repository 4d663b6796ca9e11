import type { StateFace } from "../state/face.ts";
import type { PodPlace } from "./pod-facts.ts";

type Source = Pick<StateFace, "list" | "getState">;

/** All but `deleted`. */
const PHASES = [
  "requested",
  "pending",
  "creating",
  "running",
  "paused",
  "stopping",
  "stopped",
  "failed",
  "unknown",
] as const;
const PAGE = 500;

/** The pods that the state manager does not know to be deleted, but for those that are there anyhow. */
export async function* knownPods(
  source: Source,
  isThere: (podUid: string) => boolean,
  signal: AbortSignal,
): AsyncGenerator<PodPlace> {
  for (const phase of PHASES) {
    for await (const id of idsIn(source, phase, signal)) {
      if (isThere(id.replace(/^pod:/, ""))) continue;
      const place = placeIn((await source.getState(id, { signal }))?.data);
      if (place !== null) yield place;
    }
  }
}

async function* idsIn(source: Source, phase: string, signal: AbortSignal): AsyncGenerator<string> {
  let after: string | undefined;
  do {
    const page = await source.list({
      type: "lifecycle",
      idPrefix: "pod:",
      phase,
      limit: PAGE,
      signal,
      ...(after === undefined ? {} : { after }),
    });
    for (const { id } of page.items) yield id;
    after = page.next;
  } while (after !== undefined);
}

function placeIn(data: unknown): PodPlace | null {
  if (typeof data !== "object" || data === null) return null;
  const { podUid, podName, namespace } = data as Partial<Record<keyof PodPlace, unknown>>;
  const isPlace = [podUid, podName, namespace].every(
    (each) => typeof each === "string" && each !== "",
  );
  return isPlace ? ({ podUid, podName, namespace } as PodPlace) : null;
}
