import { AgentRuntimeError } from "../state/errors.ts";
import type { FeedPosition, FeedRow, StateStore } from "../state/ports.ts";
import type { WatchOptions } from "../state/request.ts";
import type { Change } from "../state/state.ts";
import type { ChangeReader } from "./change-reader.ts";
import type { FeedTail } from "./change-feed.ts";
import { comparePositions, formatCursor, parseCursor } from "./cursor.ts";

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
export async function* watchChanges(
  sources: WatchSources,
  options: WatchOptions,
): AsyncGenerator<Change, void, undefined> {
  const { store, tail, changes } = sources;
  const signal = AbortSignal.any([sources.closed, ...(options.signal ? [options.signal] : [])]);
  const leave = tail.join();
  try {
    const { lineage, position: start } = await startOf(store, options.after);
    let position = start;
    while (!signal.aborted) {
      const { generation } = tail;
      const rows = tail.after(position) ?? (await readPage(store, lineage, position));
      yield* page(
        rows.filter((row) => fits(row, options)),
        signal,
        (row) => changes.read(row, formatCursor(lineage, row.at), options.data !== false),
      );
      position = rows.at(-1)?.at ?? position;
      if (rows.length === 0) await tail.more(generation, signal);
    }
  } finally {
    leave();
  }
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

async function startOf(
  store: Pick<StateStore, "feed">,
  after: string | undefined,
): Promise<{ lineage: string; position: FeedPosition }> {
  const { lineage, head, floor } = await store.feed.bounds();
  if (after === undefined) return { lineage, position: head };
  const position = parseCursor(lineage, after);
  if (position === null) throw gap(formatCursor(lineage, floor ?? { ...head, xid: 0n }));
  if (floor === null || comparePositions(position, floor) >= 0) return { lineage, position };
  // "0" asks for what is kept, so it cannot be too old.
  if (after === "0") return { lineage, position: floor };
  throw gap(formatCursor(lineage, floor));
}

async function readPage(
  store: Pick<StateStore, "feed">,
  lineage: string,
  position: FeedPosition,
): Promise<FeedRow[]> {
  const rows = await store.feed.read(position, PAGE);
  // Asked after the page: what was pruned meanwhile would be missing in it.
  const { floor } = await store.feed.bounds();
  if (floor !== null && comparePositions(position, floor) < 0)
    throw gap(formatCursor(lineage, floor));
  return rows;
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
