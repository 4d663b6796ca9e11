import type { Json } from "../../state/json.ts";
import type { FeedBounds, FeedPosition, FeedRow, ForeignChanges } from "../../state/ports.ts";
import type { Version } from "../../state/state.ts";
import { changeKind } from "../change-kind.ts";
import type { ReadPool } from "../read-pool.ts";
import { bigint, date, digest, text } from "../rows.ts";
import type { Row } from "../rows.ts";

/** Between which positions the feed can be read. */
export async function readFeedBounds(pool: ReadPool): Promise<FeedBounds> {
  const [row] = await pool.query(`select lineage, head, floor from agent_state_api.feed_bounds()`);
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

/** Settled changes after a position, in feed order. */
export async function readFeed(
  pool: ReadPool,
  after: FeedPosition,
  limit: number,
): Promise<FeedRow[]> {
  const rows = await pool.query(
    `select feed_xid, scope_no, step, "position", state_no, namespace, scope, id, type, version, kind, stored, phase, cause, actor,
            digest, at, body from agent_state_api.read_feed($1, $2, $3, $4, $5)`,
    [...parts(after), limit],
  );
  return rows.map(feedRow);
}

/** What writers other than this one changed since a position. */
export async function readForeignChanges(
  pool: ReadPool,
  writer: number,
  page: { readonly after: FeedPosition; readonly limit: number },
): Promise<ForeignChanges> {
  const rows = await pool.query(
    `select namespace, id, version, head from agent_state_api.foreign_changes($1, $2, $3, $4, $5, $6)`,
    [writer, ...parts(page.after), page.limit],
  );
  const [summary, ...states] = rows;
  return {
    changed: states.map((row) => ({
      namespace: text(row, 0),
      id: text(row, 1),
      version: bigint(row, 2),
    })),
    complete: Number(summary![2]) < page.limit,
    next: startOf(bigint(summary!, 3)),
  };
}

/** The document of a state at a version. */
export async function readDocument(
  pool: ReadPool,
  stateNo: bigint,
  version: Version,
): Promise<Json> {
  const [row] = await pool.query(`select agent_state_api.read_document($1, $2)`, [
    stateNo.toString(),
    version.toString(),
  ]);
  return row?.[0] === null || row === undefined ? null : (JSON.parse(text(row, 0)) as Json);
}

/** Before the first change that a transaction may have made. */
function startOf(xid: bigint): FeedPosition {
  return { xid, scopeNo: 0n, step: 0n, position: 0 };
}

function parts(position: FeedPosition): (string | number)[] {
  const { xid, scopeNo, step } = position;
  return [xid.toString(), scopeNo.toString(), step.toString(), position.position];
}

function feedRow(row: Row): FeedRow {
  return {
    at: {
      xid: bigint(row, 0),
      scopeNo: bigint(row, 1),
      step: bigint(row, 2),
      position: Number(row[3]),
    },
    stateNo: bigint(row, 4),
    namespace: text(row, 5),
    scope: text(row, 6),
    id: text(row, 7),
    type: text(row, 8),
    step: bigint(row, 2),
    version: bigint(row, 9),
    kind: changeKind(text(row, 10)),
    stored: text(row, 11) === "f" ? "full" : "delta",
    phase: row[12] ?? null,
    cause: row[13] ?? null,
    actor: row[14] ?? null,
    digest: digest(row, 15),
    committedAt: date(row, 16),
    body: row[17] ?? null,
  };
}
