import { createHash } from "node:crypto";
import { AgentRuntimeError } from "../state/errors.ts";
import type { BatchOutcome, StateFace } from "../state/face.ts";
import type { ChangeRequest, Changeset } from "../state/request.ts";
import type { ImportedState } from "./export-format.ts";
import { given } from "./given.ts";
import { patiently } from "./patience.ts";
import type { Patience } from "./patience.ts";
import { phasePath } from "../state/phase-path.ts";
import { mapInOrder } from "./side-by-side.ts";

/** One line to import. */
export interface ImportItem {
  readonly line: number;
  readonly state: ImportedState;
  /** The same for the same line: with it, a repeat does nothing twice. */
  readonly key: string;
}

/** What became of a line. */
export interface ImportOutcome {
  readonly item: ImportItem;
  /** `before`: an earlier import had done it. */
  readonly did: "import" | "before" | AgentRuntimeError;
}

export interface ImportContext extends Patience {
  readonly client: StateFace;
}

const READS_AT_ONCE = 16;
const ACTOR = "import";

/** The idempotency key of a line; another `again` makes it a new one. */
export function importKey(text: string, again: string): string {
  const hash = createHash("sha256").update(again).update("\n").update(text).digest("hex");
  return `import:${hash.slice(0, 40)}`;
}

/** Writes up to 500 states, each with its own fate. */
export async function importBatch(
  items: readonly ImportItem[],
  context: ImportContext,
): Promise<ImportOutcome[]> {
  const outcomes = await send(items.map(finalWrite), context);
  const settled = items.map((item, index) => ({ item, did: resultOf(outcomes[index]!) }));
  // A lifecycle begins at its beginning: what is further on is walked there.
  const walkers = settled.filter(
    ({ item, did }) => isIllegalMove(did) && item.state.phase !== undefined,
  );
  if (walkers.length === 0) return settled;
  const walked = await walk(
    walkers.map(({ item }) => item),
    context,
  );
  return settled.map((outcome) => walked.get(outcome.item) ?? outcome);
}

interface Walk {
  readonly item: ImportItem;
  /** What is still to be written before the last write. */
  readonly steps: Changeset[];
}

/** Moves states through their phases, all of them one phase a round, and writes them as they shall be. */
async function walk(
  items: readonly ImportItem[],
  context: ImportContext,
): Promise<Map<ImportItem, ImportOutcome>> {
  const outcomes = new Map<ImportItem, ImportOutcome>();
  const walks = await mapInOrder(items, READS_AT_ONCE, (item) => planWalk(item, context));
  let going = walks.filter((each) => each !== undefined);
  while (going.length > 0) {
    const answers = await send(
      going.map(({ item, steps }) => steps[0] ?? finalWrite(item)),
      context,
    );
    const next: Walk[] = [];
    for (const [index, { item, steps }] of going.entries()) {
      const did = resultOf(answers[index]!);
      const isOver = steps.length === 0 || did instanceof AgentRuntimeError;
      if (isOver) outcomes.set(item, { item, did });
      else next.push({ item, steps: steps.slice(1) });
    }
    going = next;
  }
  return outcomes;
}

/** Undefined where no legal way leads to the phase: the refusal stands. */
async function planWalk(item: ImportItem, context: ImportContext): Promise<Walk | undefined> {
  const { id, type, data, phase } = item.state;
  const from = await phaseNow(id, context);
  const path = phasePath(type, { from, to: phase! });
  if (path === undefined) return undefined;
  const steps = path.slice(0, -1).map((step, index): Changeset => {
    const isCreate = from === null && index === 0;
    const change: ChangeRequest = isCreate
      ? { op: "update", id, type, data, phase: step, expectedVersion: 0n }
      : { op: "merge", id, patch: {}, phase: step };
    return changesetOf(item, change, `${item.key}:${step}`);
  });
  return { item, steps };
}

async function phaseNow(id: string, context: ImportContext): Promise<string | null> {
  const { client, signal } = context;
  const read = (): Promise<{ readonly phase: string | null }> => client.getState(id, { signal });
  return await patiently(read, context).then(
    ({ phase }) => phase,
    (error: unknown) => {
      const isAbsent =
        error instanceof AgentRuntimeError &&
        (error.code === "STATE_NOT_FOUND" || error.code === "GONE");
      if (isAbsent) return null;
      throw error;
    },
  );
}

function finalWrite(item: ImportItem): Changeset {
  const { id, type, data, phase, expiresAt } = item.state;
  return changesetOf(
    item,
    { op: "update", id, type, data, ...given({ phase, expiresAt }) },
    item.key,
  );
}

function changesetOf(item: ImportItem, change: ChangeRequest, idempotencyKey: string): Changeset {
  const { scope } = item.state;
  return { changes: [change], actor: ACTOR, idempotencyKey, ...given({ scope }) };
}

/**
 * The fate of each changeset.
 *
 * A request that is refused as a whole, for one document that no JSON parser should have let
 * through or because it is too large, is halved until each has its own fate.
 */
async function send(
  changesets: readonly Changeset[],
  context: ImportContext,
): Promise<BatchOutcome[]> {
  try {
    return await sendWhole(changesets, context);
  } catch (error) {
    const isRefused =
      error instanceof AgentRuntimeError && (error.status === 400 || error.status === 413);
    if (!isRefused) throw error;
    if (changesets.length === 1) return [{ ok: false, error }];
    const middle = Math.ceil(changesets.length / 2);
    return [
      ...(await send(changesets.slice(0, middle), context)),
      ...(await send(changesets.slice(middle), context)),
    ];
  }
}

/** Sent again where one of them met a service that was busy: the keys make that safe. */
async function sendWhole(
  changesets: readonly Changeset[],
  context: ImportContext,
): Promise<BatchOutcome[]> {
  const { client, signal } = context;
  return await patiently(async () => {
    const outcomes = await client.commitBatch(changesets, { signal });
    const busy = outcomes.find((outcome) => !outcome.ok && outcome.error.retryable);
    if (busy?.ok === false) throw busy.error;
    return outcomes;
  }, context);
}

function resultOf(outcome: BatchOutcome): ImportOutcome["did"] {
  if (!outcome.ok) return outcome.error;
  return outcome.committed.replayed ? "before" : "import";
}

function isIllegalMove(did: ImportOutcome["did"]): boolean {
  return did instanceof AgentRuntimeError && did.code === "ILLEGAL_TRANSITION";
}
