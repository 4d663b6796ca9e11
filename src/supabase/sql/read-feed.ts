import type { Json } from "../../state/json.ts";
import { PAGE_BYTES } from "../../state/page.ts";
import type { FeedBounds, FeedPosition, FeedRow, ForeignChanges } from "../../state/ports.ts";
import type { Version } from "../../state/state.ts";
import type { Caller, Operation } from "../caller.ts";
import { bigint, text } from "../rows.ts";
import { FEED_COLUMNS, feedRow, POSITION, positionParts } from "./feed-row.ts";

const FEED_BOUNDS = {
  fn: "feed_bounds",
  parameters: {},
  columns: ["lineage", "head", "floor"],
  writes: false,
} as const satisfies Operation;

const READ_FEED = {
  fn: "read_feed",
  parameters: { ...POSITION, limit: "integer", bytes: "integer" },
  columns: FEED_COLUMNS,
  writes: false,
} as const satisfies Operation;

const FOREIGN_CHANGES = {
  fn: "foreign_changes",
  parameters: { writer: "integer", ...POSITION, limit: "integer" },
  columns: ["namespace", "id", "version", "head", "run", "settled", "next"],
  writes: false,
} as const satisfies Operation;

const READ_DOCUMENT = {
  fn: "read_document",
  parameters: { state_no: "bigint", version: "bigint" },
  columns: ["read_document"],
  writes: false,
} as const satisfies Operation;

/** Between which positions the feed can be read. */
export async function readFeedBounds(reader: Caller): Promise<FeedBounds> {
  const [row] = await reader.call(FEED_BOUNDS, {});
  const floor = row![2]?.split(".");
  return {
    lineage: text(row!, 0),
    head: startOf(bigint(row!, 1)),
    floor:
      floor === undefined
        ? null
        : {
            xid: BigInt(floor[0]!),
            scopeNo: BigInt(floor[1]!),
            step: BigInt(floor[2]!),
            position: Number(floor[3]),
          },
  };
}

/** Settled changes after a position, in feed order: so many, or a page of bytes. */
export async function readFeed(
  reader: Caller,
  after: FeedPosition,
  limit: number,
): Promise<FeedRow[]> {
  const rows = await reader.call(READ_FEED, {
    ...positionParts(after),
    limit,
    bytes: PAGE_BYTES,
  });
  return rows.map(feedRow);
}

/** What writers other than this one changed since a position. */
export async function readForeignChanges(
  reader: Caller,
  writer: number,
  page: { readonly after: FeedPosition; readonly limit: number },
): Promise<ForeignChanges> {
  const rows = await reader.call(FOREIGN_CHANGES, {
    writer,
    ...positionParts(page.after),
    limit: page.limit,
  });
  const [summary, ...states] = rows;
  return {
    changed: states.map((row) => ({
      namespace: text(row, 0),
      id: text(row, 1),
      version: bigint(row, 2),
    })),
    complete: Number(summary![2]) < page.limit,
    next: startOf(bigint(summary!, 3)),
    moment: {
      run: text(summary!, 4),
      settled: Number(bigint(summary!, 5)),
      next: Number(bigint(summary!, 6)),
    },
  };
}

/** The document of a state at a version; undefined where history no longer holds it. */
export async function readDocument(
  reader: Caller,
  stateNo: bigint,
  version: Version,
): Promise<Json | undefined> {
  const [row] = await reader.call(READ_DOCUMENT, { state_no: stateNo, version });
  return row![0] === null ? undefined : (JSON.parse(text(row!, 0)) as Json);
}

/** Before the first change that a transaction may have made. */
function startOf(xid: bigint): FeedPosition {
  return { xid, scopeNo: 0n, step: 0n, position: 0 };
}
