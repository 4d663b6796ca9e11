import type { Containerd } from "../containerd/containerd.ts";
import type { LifecycleFact } from "../state/lifecycle-fact.ts";
import { belongsOf } from "./pod-names.ts";
import type { Roster } from "./roster.ts";

/** What a survey asks. */
export type Runtime = Pick<
  Containerd,
  "containers" | "tasks" | "container" | "pastEnd" | "sandboxEnded"
>;

/** When it began, and who hears of a container whose end cannot be asked for. */
export interface SurveyOptions {
  /** Before the listing: what happens while it runs is later. */
  readonly at: string;
  readonly onUnanswered: (containerId: string, error: unknown) => void;
}

/** What a listing of the node tells that was not told yet; each part is handed over as soon as it is known. */
export async function* survey(
  runtime: Runtime,
  roster: Roster,
  { at, onUnanswered }: SurveyOptions,
): AsyncGenerator<LifecycleFact[]> {
  const records = await runtime.containers();
  const present = new Set(records.map(({ id }) => id));
  // What is known and is gone was there before the listing.
  yield roster.missing(present, at);
  const isSandbox = (record: (typeof records)[number]): boolean =>
    belongsOf(record)?.container === null;
  // Of sandboxes the labels of their pods are learnt.
  const inOrder = records.toSorted((a, b) => Number(isSandbox(b)) - Number(isSandbox(a)));
  yield inOrder.flatMap((record) => roster.meet(record, at));
  const tasks = await runtime.tasks();
  yield tasks.flatMap((task) => roster.standing(task, at));
  const withProcess = new Set(tasks.map(({ containerId }) => containerId));
  for (const { id, isSandbox: isThat } of roster.endless(withProcess)) {
    if (!present.has(id)) continue;
    // One that the runtime has trouble with holds back none of the others; it is asked for again next time.
    const end = await (isThat ? sandboxEnd(runtime, id) : runtime.pastEnd(id)).catch(
      (error: unknown) => {
        onUnanswered(id, error);
        return null;
      },
    );
    if (end !== null) yield roster.ended(id, end, at);
  }
}

async function sandboxEnd(runtime: Runtime, id: string): ReturnType<Runtime["pastEnd"]> {
  const isOver = await runtime.sandboxEnded(id);
  return isOver ? { exitStatus: null, exitedAt: null, reason: null } : null;
}
