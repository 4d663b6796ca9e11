import type { FeedPosition } from "../../state/ports.ts";
import type { RelayStore, RollbackRecord } from "../../state/relay-port.ts";
import type { Caller, Operation } from "../caller.ts";
import { bigint, date, optional } from "../rows.ts";
import { FEED_COLUMNS, feedRow, POSITION, positionOf, positionParts } from "../sql/feed-row.ts";

const LEASE_RELAYS = {
  fn: "lease_relays",
  parameters: { holder: "text", ttl_ms: "integer" },
  columns: ["xid", "scope_no", "step", "position", "partition", "epoch"],
  writes: true,
} as const satisfies Operation;

const RELEASE_RELAYS = {
  fn: "release_relays",
  parameters: { holder: "text" },
  columns: ["release_relays"],
  writes: true,
} as const satisfies Operation;

const READ_RELAY = {
  fn: "read_relay",
  parameters: { partitions: "integer[]", ...POSITION, limit: "integer", bytes: "integer" },
  columns: [...FEED_COLUMNS, "traceparent"],
  writes: false,
} as const satisfies Operation;

const ADVANCE_RELAYS = {
  fn: "advance_relays",
  parameters: { holder: "text", partitions: "integer[]", epochs: "bigint[]", ...POSITION },
  columns: ["partition"],
  writes: true,
} as const satisfies Operation;

const RELAY_BACKLOG = {
  fn: "relay_backlog",
  parameters: { limit: "integer" },
  columns: ["behind", "waiting_since"],
  writes: false,
} as const satisfies Operation;

const READ_ROLLBACK = {
  fn: "read_rollback",
  parameters: { namespace: "text", scope: "text", step: "bigint" },
  columns: ["read_rollback"],
  writes: false,
} as const satisfies Operation;

/** Which changes went out, kept in the database that they are in. */
export function relayStoreOver(caller: Caller): RelayStore {
  return {
    lease: async (holder, ttlMs) => {
      const rows = await caller.call(LEASE_RELAYS, { holder, ttl_ms: ttlMs });
      return rows.map((row) => {
        return { partition: Number(row[4]), epoch: bigint(row, 5), sentTo: positionOf(row) };
      });
    },
    release: async (holder) => {
      await caller.call(RELEASE_RELAYS, { holder });
    },
    read: async (partitions, after, bounds) => {
      const parts = { partitions, ...positionParts(after), ...bounds };
      const rows = await caller.call(READ_RELAY, parts);
      const end = rows.pop()!;
      return { rows: rows.map(feedRow), next: positionOf(end), more: end[9] === "1" };
    },
    advance: async (holder, partitions, to: FeedPosition) => {
      const rows = await caller.call(ADVANCE_RELAYS, {
        holder,
        partitions: partitions.map(({ partition }) => partition),
        epochs: partitions.map(({ epoch }) => epoch),
        ...positionParts(to),
      });
      return new Set(rows.map((row) => Number(row[0])));
    },
    rollback: async ({ namespace, scope }, step) => {
      const [row] = await caller.call(READ_ROLLBACK, { namespace, scope, step });
      const found = row?.[0] ?? null;
      return found === null ? null : recordOf(JSON.parse(found) as RecordJson, step);
    },
    backlog: async (limit) => {
      const [row] = await caller.call(RELAY_BACKLOG, { limit });
      return { behind: Number(row![0]), since: optional(row!, 1, date) };
    },
  };
}

interface RecordJson extends Pick<RollbackRecord, "source" | "reason" | "actor"> {
  readonly restoredStep: string;
  readonly undoneStep: string;
  readonly at: string;
  readonly quarantined: readonly string[];
  readonly states: readonly {
    readonly stateNo: string;
    readonly id: string;
    readonly type: string;
    readonly newVersion: string;
    readonly phase: string | null;
    readonly deleted: boolean;
  }[];
}

function recordOf(json: RecordJson, step: bigint): RollbackRecord {
  return {
    ...json,
    step,
    restoredStep: BigInt(json.restoredStep),
    undoneStep: BigInt(json.undoneStep),
    at: new Date(json.at),
    quarantined: json.quarantined.map(BigInt),
    states: json.states.map((state) => ({
      ...state,
      stateNo: BigInt(state.stateNo),
      newVersion: BigInt(state.newVersion),
    })),
  };
}
