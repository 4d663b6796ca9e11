import { callFault } from "../service/deadline.ts";
import { leavable } from "../service/leavable.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { checkId, checkNamespace, checkScope, checkType } from "../state/identifiers.ts";
import type { FeedPosition, FeedRow, StateStore } from "../state/ports.ts";
import type { WatchOptions } from "../state/request.ts";
import type { Change } from "../state/state.ts";
import type { ChangeReader } from "./change-reader.ts";
import type { FeedTail } from "./change-feed.ts";
import { checkCursor, comparePositions, formatCursor, parseCursor } from "../state/cursor.ts";

const PAGE = 1_000;

export interface WatchSources {
  readonly store: Pick<StateStore, "feed">;
  readonly tail: FeedTail;
  readonly changes: ChangeReader;
  /** Aborts when the manager closes. */
  readonly closed: AbortSignal;
}

/**
 * Every change that fits, each scope in step order, from a cursor on, for as long as somebody asks.
 *
 * @throws {AgentRuntimeError} GAP: what follows the cursor is no longer kept; `facts.resumeFrom` is
 *   the oldest cursor that is. INVALID_CURSOR.
 */
export function watchChanges(sources: WatchSources, options: WatchOptions): AsyncIterable<Change> {
  return leavable((left) => follow(sources, options, left));
}

async function* follow(
  sources: WatchSources,
  options: WatchOptions,
  left: AbortSignal,
): AsyncGenerator<Change, void, undefined> {
  checkOptions(options);
  const { store, tail, changes, closed } = sources;
  const signal = AbortSignal.any([left, closed, ...(options.signal ? [options.signal] : [])]);
  const leave = tail.join();
  try {
    const start = await startOf(store, options.after);
    const { lineage } = start;
    let { position, mayMiss } = start;
    while (!signal.aborted) {
      const { generation } = tail;
      const recent = tail.after(position);
      const rows = recent ?? (await readPage(store, lineage, { position, mayMiss }));
      if (recent !== undefined || rows.length === 0) mayMiss = false;
      yield* page(
        rows.filter((row) => fits(row, options)),
        signal,
        (row) => changes.read(row, formatCursor(lineage, row.at), options.data !== false),
      );
      position = rows.at(-1)?.at ?? position;
      if (rows.length === 0) await tail.more(generation, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error; // A manager that closes takes the connections from under a read.
  } finally {
    leave();
  }
}

/** Told before anything is asked of the database: so a request for a watch is refused, not its stream cut. */
function checkOptions({ namespace, scope, id, type, after, signal }: WatchOptions): void {
  const fault = signal === undefined ? undefined : callFault({ signal });
  if (fault !== undefined) throw fault;
  if (namespace !== undefined) checkNamespace(namespace);
  if (scope !== undefined) checkScope(scope);
  if (id !== undefined) checkId(id);
  if (type !== undefined) checkType(type);
  if (after !== undefined) checkCursor(after);
}

/** The changes of a page, until the caller wants no more. */
async function* page(
  rows: readonly FeedRow[],
  signal: AbortSignal,
  read: (row: FeedRow) => Promise<Change>,
): AsyncGenerator<Change, void, undefined> {
  for (const row of rows) {
    if (signal.aborted) return;
    yield await read(row);
  }
}

interface Start {
  readonly lineage: string;
  readonly position: FeedPosition;
  /**
   * True from "0" until the watch has caught up: it asked for what is kept, so what is gone when it gets
   * there is no gap. Of each state that goes on, a newer full copy follows.
   */
  readonly mayMiss: boolean;
}

async function startOf(store: Pick<StateStore, "feed">, after: string | undefined): Promise<Start> {
  const { lineage, head, floor } = await store.feed.bounds();
  if (after === undefined) return { lineage, position: head, mayMiss: false };
  const position = parseCursor(lineage, after);
  // One that lies ahead is of another history too: files of an older backup were put back, and nothing else tells it.
  if (position === null || position.xid > head.xid) {
    throw gap(formatCursor(lineage, floor ?? { ...head, xid: 0n }));
  }
  const mayMiss = after === "0";
  if (!mayMiss) checkKept(lineage, position, floor);
  return { lineage, position, mayMiss };
}

async function readPage(
  store: Pick<StateStore, "feed">,
  lineage: string,
  { position, mayMiss }: Omit<Start, "lineage">,
): Promise<FeedRow[]> {
  const rows = await store.feed.read(position, PAGE);
  // Asked after the page: what was pruned meanwhile would be missing in it.
  if (!mayMiss) checkKept(lineage, position, (await store.feed.bounds()).floor);
  return rows;
}

function checkKept(lineage: string, position: FeedPosition, floor: FeedPosition | null): void {
  if (floor === null || comparePositions(position, floor) >= 0) return;
  throw gap(formatCursor(lineage, floor));
}

function gap(resumeFrom: string): AgentRuntimeError {
  return new AgentRuntimeError(
    "GAP",
    "Changes after this cursor are no longer kept. Read the states again, then watch from `resumeFrom`.",
    { resumeFrom },
  );
}

function fits(row: FeedRow, options: WatchOptions): boolean {
  return (
    row.namespace === (options.namespace ?? "default") &&
    (options.id === undefined || row.id === options.id) &&
    (options.scope === undefined || row.scope === options.scope) &&
    (options.type === undefined || row.type === options.type)
  );
}
