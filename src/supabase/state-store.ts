import { randomInt } from "node:crypto";
import { isUncertain } from "../state/errors.ts";
import type { ChangeFeed, StateStore, Upkeep } from "../state/ports.ts";
import type { Recovery } from "../state/recovery-ports.ts";
import type { Caller, Transport } from "./caller.ts";
import { fsckStoreOver } from "./fsck-store.ts";
import { Places } from "./places.ts";
import { commitBatch } from "./sql/commit-batch.ts";
import { describeServer } from "./sql/describe-server.ts";
import { listStates } from "./sql/list-states.ts";
import { readDocument, readFeed, readFeedBounds, readForeignChanges } from "./sql/read-feed.ts";
import { readHistory } from "./sql/read-history.ts";
import { readScope, readStep } from "./sql/read-scope.ts";
import { readScopeStates, readStates, readVersion } from "./sql/read-states.ts";
import { holdScope, readRollbackPlan, releaseScope, rollbackScope } from "./sql/recovery.ts";
import { expiredStates, pruneHistory } from "./sql/upkeep.ts";
import { openTransport } from "./transport.ts";
import type { TransportOptions } from "./transport.ts";

export interface StoreOptions extends TransportOptions {
  /** The largest document, in bytes of JSON text. */
  readonly dataBytes: number;
  /** The most levels that a change to a document may lead to. */
  readonly dataDepth: number;
}

/** States, and scopes, whose place is remembered: some 100 bytes each. */
const PLACES = 200_000;

const MAX_WRITER = 2 ** 31 - 1;

/** States in a PostgreSQL whose schema `prepareSchema` has seen to. Connects when first used. */
export function openStateStore(options: StoreOptions): StateStore {
  return stateStoreOver(openTransport(options), options);
}

/** States behind any transport: the operations are the same. */
function stateStoreOver(
  transport: Transport,
  { dataBytes, dataDepth }: Pick<StoreOptions, "dataBytes" | "dataDepth">,
): StateStore {
  const { lanes, reader } = transport;
  const places = new Places(PLACES);
  let writer = randomInt(1, MAX_WRITER);
  const disown = (): void => {
    writer = randomInt(1, MAX_WRITER);
  };
  let closing: Promise<void> | undefined;
  return {
    lanes: lanes.length,
    batchBytes: transport.batchBytes,
    commitBatch: async (lane, units, reserve) => {
      const settings = { dataBytes, dataDepth, reserve, writer, places };
      try {
        return await commitBatch(lanes[lane]!, units, settings);
      } catch (error) {
        if (isUncertain(error)) disown();
        throw error;
      }
    },
    disown,
    readStates: (keys) => readStates(reader, keys),
    readVersion: (key, version) => readVersion(reader, key, version),
    readStep: (namespace, scope, step) => readStep(reader, { namespace, scope }, step),
    list: (page) => listStates(reader, page),
    history: (key, before, limit) => readHistory(reader, key, { before, limit }),
    scope: (namespace, scope) => readScope(reader, namespace, scope),
    scopeStates: (namespace, scope, page) => readScopeStates(reader, { namespace, scope }, page),
    feed: feedOf(reader, () => writer),
    recovery: recoveryOf(lanes[0]!, () => writer),
    upkeep: upkeepOf(reader),
    fsck: fsckStoreOver(reader),
    describe: async () => ({ server: "PostgreSQL", version: await describeServer(reader) }),
    close: () => (closing ??= transport.close()),
  };
}

function feedOf(reader: Caller, writer: () => number): ChangeFeed {
  return {
    bounds: () => readFeedBounds(reader),
    read: (after, limit) => readFeed(reader, after, limit),
    foreign: async (after, limit) => {
      const mine = writer();
      const changes = await readForeignChanges(reader, mine, { after, limit });
      // Disowned meanwhile: what was left out as this store's own may be unknown here.
      return mine === writer() ? changes : { ...changes, complete: false };
    },
    document: (stateNo, version) => readDocument(reader, stateNo, version),
  };
}

function recoveryOf(caller: Caller, writer: () => number): Recovery {
  return {
    plan: (namespace, scope, to) => readRollbackPlan(caller, { namespace, scope }, to),
    rollBack: (order) => rollbackScope(caller, order, writer()),
    hold: (namespace, scope, why) => holdScope(caller, { namespace, scope }, why),
    release: (namespace, scope) => releaseScope(caller, { namespace, scope }),
  };
}

function upkeepOf(reader: Caller): Upkeep {
  return {
    prune: (before, limit) => pruneHistory(reader, before, limit),
    expired: (limit) => expiredStates(reader, limit),
  };
}
