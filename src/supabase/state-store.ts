import { randomInt } from "node:crypto";
import { isUncertain } from "../state/errors.ts";
import type { ChangeFeed, StateStore, Upkeep } from "../state/ports.ts";
import { Connection } from "./connection.ts";
import type { ConnectionOptions } from "./connection.ts";
import { Places } from "./places.ts";
import { ReadPool } from "./read-pool.ts";
import { text } from "./rows.ts";
import { commitBatch } from "./sql/commit-batch.ts";
import { listStates } from "./sql/list-states.ts";
import { readDocument, readFeed, readFeedBounds, readForeignChanges } from "./sql/read-feed.ts";
import { readHistory } from "./sql/read-history.ts";
import { readScope, readStep } from "./sql/read-scope.ts";
import { readScopeStates, readStates, readVersion } from "./sql/read-states.ts";
import { expiredStates, pruneHistory } from "./sql/upkeep.ts";

export interface StoreOptions extends ConnectionOptions {
  /** Connections that write. */
  readonly lanes: number;
  /** Connections that read. */
  readonly readers: number;
  /** The largest document, in bytes of JSON text. */
  readonly dataBytes: number;
}

/** States, and scopes, whose place is remembered: some 100 bytes each. */
const PLACES = 200_000;

const MAX_WRITER = 2 ** 31 - 1;

/** States in a PostgreSQL whose schema `migrate` has brought up to date. Connects when first used. */
export function openStateStore(options: StoreOptions): StateStore {
  const lanes = Array.from({ length: options.lanes }, () => new Connection(options));
  const pool = new ReadPool(options, options.readers);
  const places = new Places(PLACES);
  let writer = randomInt(1, MAX_WRITER);
  const disown = (): void => {
    writer = randomInt(1, MAX_WRITER);
  };
  let closing: Promise<void> | undefined;
  return {
    lanes: lanes.length,
    commitBatch: async (lane, units, reserve) => {
      const settings = { dataBytes: options.dataBytes, reserve, writer, places };
      try {
        return await commitBatch(lanes[lane]!, units, settings);
      } catch (error) {
        if (isUncertain(error)) disown();
        throw error;
      }
    },
    disown,
    readStates: (keys) => readStates(pool, keys),
    readVersion: (key, version) => readVersion(pool, key, version),
    readStep: (namespace, scope, step) => readStep(pool, { namespace, scope }, step),
    list: (page) => listStates(pool, page),
    history: (key, before, limit) => readHistory(pool, key, { before, limit }),
    scope: (namespace, scope) => readScope(pool, namespace, scope),
    scopeStates: (namespace, scope, page) => readScopeStates(pool, { namespace, scope }, page),
    feed: feedOf(pool, () => writer),
    upkeep: upkeepOf(pool),
    describe: async () => {
      const [row] = await pool.query(`select current_setting('server_version')`);
      return { server: "PostgreSQL", version: text(row!, 0) };
    },
    close: () =>
      (closing ??= Promise.all([pool.close(), ...lanes.map((lane) => lane.close())]).then(
        () => undefined,
      )),
  };
}

function feedOf(pool: ReadPool, writer: () => number): ChangeFeed {
  return {
    bounds: () => readFeedBounds(pool),
    read: (after, limit) => readFeed(pool, after, limit),
    foreign: async (after, limit) => {
      const mine = writer();
      const changes = await readForeignChanges(pool, mine, { after, limit });
      // Disowned meanwhile: what was left out as this store's own may be unknown here.
      return mine === writer() ? changes : { ...changes, complete: false };
    },
    document: (stateNo, version) => readDocument(pool, stateNo, version),
  };
}

function upkeepOf(pool: ReadPool): Upkeep {
  return {
    prune: (before, limit) => pruneHistory(pool, before, limit),
    expired: (limit) => expiredStates(pool, limit),
  };
}
