import type { StateFace } from "../state/face.ts";
import { LIFECYCLES } from "../state/lifecycle.ts";
import type { PodPlace } from "./pod-facts.ts";

type Source = Pick<StateFace, "list" | "getState">;

const PHASES = LIFECYCLES.lifecycle.phases.filter((phase) => phase !== "deleted");
const PAGE = 500;

/** In which fields of its document the state of one says which it is. */
const KINDS = {
  pod: { prefix: "pod:", uid: "podUid", name: "podName" },
  sandbox: { prefix: "sandbox:", uid: "uid", name: "name" },
} as const;

/** The pods that the state manager does not know to be deleted, but for those that are there anyhow. */
export function knownPods(source: Source, ...how: How): AsyncGenerator<PodPlace> {
  return known(source, KINDS.pod, ...how);
}

/** The same of Sandbox objects. */
export function knownSandboxes(source: Source, ...how: How): AsyncGenerator<PodPlace> {
  return known(source, KINDS.sandbox, ...how);
}

type KnownKind = (typeof KINDS)[keyof typeof KINDS];
type How = readonly [isThere: (uid: string) => boolean, signal: AbortSignal];

async function* known(
  source: Source,
  kind: KnownKind,
  ...[isThere, signal]: How
): AsyncGenerator<PodPlace> {
  for (const phase of PHASES) {
    for await (const id of idsIn(source, { kind, phase, signal })) {
      if (isThere(id.slice(kind.prefix.length))) continue;
      const place = placeIn((await source.getState(id, { signal }))?.data, kind);
      if (place !== null) yield place;
    }
  }
}

async function* idsIn(
  source: Source,
  { kind, phase, signal }: { kind: KnownKind; phase: string; signal: AbortSignal },
): AsyncGenerator<string> {
  let after: string | undefined;
  do {
    const page = await source.list({
      type: "lifecycle",
      idPrefix: kind.prefix,
      phase,
      limit: PAGE,
      signal,
      ...(after === undefined ? {} : { after }),
    });
    for (const { id } of page.items) yield id;
    after = page.next;
  } while (after !== undefined);
}

function placeIn(data: unknown, kind: KnownKind): PodPlace | null {
  if (typeof data !== "object" || data === null) return null;
  const told = data as Readonly<Record<string, unknown>>;
  const place = [told[kind.uid], told[kind.name], told["namespace"]];
  if (!place.every((each) => typeof each === "string" && each !== "")) return null;
  const [podUid, podName, namespace] = place as [string, string, string];
  return { podUid, podName, namespace };
}
