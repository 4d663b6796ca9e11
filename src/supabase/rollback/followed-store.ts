import type { FeedPosition } from "../../state/ports.ts";
import type {
  ChangedGates,
  CopyPage,
  FeedPage,
  FollowedStore,
  Gate,
  PageLimit,
  ScopeName,
  WalkPosition,
} from "../../state/rollback-port.ts";
import type { Caller, Operation } from "../caller.ts";
import { bigint, boolean, text } from "../rows.ts";
import type { Row } from "../rows.ts";
import { readFeedBounds } from "../sql/read-feed.ts";
import { openTransport } from "../transport.ts";
import type { TransportOptions } from "../transport.ts";
import { CHANGE_COLUMNS, loggedChange } from "./logged-change.ts";

const POSITION = {
  xid: "bigint",
  scope_no: "bigint",
  step: "bigint",
  position: "integer",
} as const;

const FEED_PAGE = {
  fn: "feed_page",
  parameters: { ...POSITION, limit: "integer", bytes: "bigint" },
  columns: [
    ...CHANGE_COLUMNS,
    "what",
    "hold",
    "quarantined",
    "skipped",
    "feed_xid",
    "scope_no",
    "lineage",
    "moment",
    "more",
    "settled_at",
  ],
  writes: false,
} as const satisfies Operation;

const GATES_CHANGED = {
  fn: "gates_changed",
  parameters: { since: "text", limit: "integer" },
  columns: ["namespace", "scope", "hold", "quarantined", "changed_at", "moment"],
  writes: false,
} as const satisfies Operation;

const COPY_LOG = {
  fn: "copy_log",
  parameters: {
    namespace: "text[]",
    scope: "text[]",
    after_scope_no: "bigint",
    after_id: "text",
    after_version: "bigint",
    after_head: "bigint",
    after_promoted: "bigint",
    limit: "integer",
    bytes: "bigint",
  },
  columns: [
    ...CHANGE_COLUMNS,
    "what",
    "hold",
    "quarantined",
    "before",
    "scope_no",
    "head",
    "promoted",
    "whole",
    "moment",
  ],
  writes: false,
} as const satisfies Operation;

const FEED_BACKLOG = {
  fn: "feed_backlog",
  parameters: { ...POSITION, limit: "integer" },
  columns: ["feed_backlog"],
  writes: false,
} as const satisfies Operation;

/** Behind the columns of a change. */
const WHAT = CHANGE_COLUMNS.length;

/** Main as the follower sees it, over connections of its own. */
export function openFollowedStore(options: TransportOptions): FollowedStore {
  const transport = openTransport({ ...options, lanes: 0, readers: 2 });
  const main = transport.reader;
  return {
    head: async () => {
      const { lineage, head } = await readFeedBounds(main);
      return { lineage, position: head };
    },
    feedPage: (after, limit) => readFeedPage(main, after, limit),
    gatesChanged: (since, limit) => readChangedGates(main, since, limit),
    copyPage: (scopes, after, limit) => readCopyPage(main, { scopes, after, limit }),
    backlog: async (after, limit) => {
      const [row] = await main.call(FEED_BACKLOG, { ...parts(after), limit });
      return Number(row![0]);
    },
    close: () => transport.close(),
  };
}

function parts({ xid, scopeNo, step, position }: FeedPosition): {
  xid: bigint;
  scope_no: bigint;
  step: bigint;
  position: number;
} {
  return { xid, scope_no: scopeNo, step, position };
}

async function readFeedPage(
  main: Caller,
  after: FeedPosition,
  { rows: limit, bytes }: PageLimit,
): Promise<FeedPage> {
  const rows = await main.call(FEED_PAGE, { ...parts(after), limit, bytes: BigInt(bytes) });
  const page = rows.at(-1)!;
  return {
    changes: rows.filter((row) => row[WHAT] === "change").map((row) => loggedChange(row, 0)),
    gates: rows.filter((row) => row[WHAT] === "gate").map(gateOf),
    moment: bigint(page, WHAT + 7),
    followedTo: {
      lineage: text(page, WHAT + 6),
      position: {
        xid: bigint(page, WHAT + 4),
        scopeNo: bigint(page, WHAT + 5),
        step: bigint(page, 2),
        position: Number(page[3]),
      },
    },
    readAt: text(page, 7),
    settledAt: text(page, WHAT + 9),
    more: boolean(page, WHAT + 8),
  };
}

function gateOf(row: Row): Gate {
  return {
    namespace: text(row, 0),
    scope: text(row, 1),
    hold: boolean(row, WHAT + 1),
    quarantined: text(row, WHAT + 2),
    skipped: boolean(row, WHAT + 3),
  };
}

async function readChangedGates(main: Caller, since: string, limit: number): Promise<ChangedGates> {
  const rows = await main.call(GATES_CHANGED, { since, limit });
  const last = rows.at(-1);
  return {
    gates: rows.map((row) => ({
      namespace: text(row, 0),
      scope: text(row, 1),
      hold: boolean(row, 2),
      quarantined: text(row, 3),
      skipped: false,
    })),
    moment: last === undefined ? 0n : bigint(last, 5),
    until: last === undefined ? null : text(last, 4),
  };
}

async function readCopyPage(
  main: Caller,
  wanted: {
    readonly scopes: readonly ScopeName[] | null;
    readonly after: WalkPosition;
    readonly limit: PageLimit;
  },
): Promise<CopyPage> {
  const { scopes, after, limit } = wanted;
  const rows = await main.call(COPY_LOG, {
    namespace: scopes?.map(({ namespace }) => namespace) ?? [],
    scope: scopes?.map(({ scope }) => scope) ?? [],
    after_scope_no: after.scopeNo,
    after_id: after.within?.id ?? null,
    after_version: after.within?.version ?? null,
    after_head: after.within?.head ?? null,
    after_promoted: after.within?.promoted ?? null,
    limit: limit.rows,
    bytes: BigInt(limit.bytes),
  });
  const next = rows.find((row) => row[WHAT] === "next");
  const [first] = rows;
  return {
    changes: rows
      .filter((row) => row[WHAT] === "change")
      .map((row) => ({ ...loggedChange(row, 0), before: row[WHAT + 3] ?? null })),
    parts: rows
      .filter((row) => row[WHAT] === "part")
      .map((row) => ({
        namespace: text(row, 0),
        scope: text(row, 1),
        hold: boolean(row, WHAT + 1),
        quarantined: text(row, WHAT + 2),
        head: bigint(row, WHAT + 5),
        promoted: bigint(row, WHAT + 6),
        whole: boolean(row, WHAT + 7),
      })),
    moment: first === undefined ? 0n : bigint(first, WHAT + 8),
    next: next === undefined ? null : walkPosition(next),
  };
}

function walkPosition(row: Row): WalkPosition {
  const scopeNo = bigint(row, WHAT + 4);
  if (row[WHAT + 5] === null) return { scopeNo, within: null };
  return {
    scopeNo,
    within: {
      id: text(row, 4),
      version: bigint(row, 6),
      head: bigint(row, WHAT + 5),
      promoted: bigint(row, WHAT + 6),
    },
  };
}
