import { randomInt } from "node:crypto";
import type { Logger } from "../service/log-port.ts";
import { silentLog } from "../service/log.ts";
import { isUncertain } from "../state/errors.ts";
import type { ChangeFeed, StateStore, Upkeep } from "../state/ports.ts";
import type { Recovery } from "../state/recovery-ports.ts";
import type { Caller, Transport } from "./caller.ts";
import { fsckStoreOver } from "./fsck-store.ts";
import { Places } from "./places.ts";
import { ReadCounter } from "./replica/read-figures.ts";
import { Replica } from "./replica/replica.ts";
import { replicatedStore } from "./replica/replicated-store.ts";
import { Seen } from "./replica/seen.ts";
import { commitBatch } from "./sql/commit-batch.ts";
import { describeServer } from "./sql/describe-server.ts";
import { listStates } from "./sql/list-states.ts";
import { readDocument, readFeed, readFeedBounds, readForeignChanges } from "./sql/read-feed.ts";
import { readHistory } from "./sql/read-history.ts";
import { readScope, readStep } from "./sql/read-scope.ts";
import { readScopeStates, readStates, readVersion } from "./sql/read-states.ts";
import { holdScope, readRollbackPlan, releaseScope, rollbackScope } from "./sql/recovery.ts";
import { expiredStates, pruneHistory } from "./sql/upkeep.ts";
import { parkedStoreOver } from "./messages/parked-store.ts";
import { relayStoreOver } from "./messages/relay-store.ts";
import { taskStoreOver } from "./tasks/task-store.ts";
import { openTransport } from "./transport.ts";
import type { TransportOptions } from "./transport.ts";

export interface StoreOptions extends TransportOptions {
  /** The largest document, in bytes of JSON text. */
  readonly dataBytes: number;
  /** The most levels that a change to a document may lead to. */
  readonly dataDepth: number;
  /** A streaming replica of it, for reads; its lanes are not used. */
  readonly replica?: ReplicaWay;
  /** No other process uses main, so that none has to be told of what is committed here. */
  readonly isAlone?: boolean;
  readonly log?: Logger;
}

/** How a replica is reached. */
export interface ReplicaWay extends TransportOptions {
  /** Resolves once there is one to be asked; unsaid: there is. */
  readonly isUp?: Promise<void>;
}

/** States, and scopes, whose place is remembered: some 100 bytes each. */
const PLACES = 200_000;

/** How long a replica may take to answer a farewell. */
const FAREWELL_MS = 500;

const MAX_WRITER = 2 ** 31 - 1;

/** How often it is felt whether the replica lives and how far it is; over a Data API each is a request. */
const PULSE_MS = { direct: 100, dataApi: 1_000 };

/**
 * States in a PostgreSQL whose schema `prepareSchema` has seen to. Connects when first used; to a replica
 * as soon as it is up.
 */
export function openStateStore(options: StoreOptions): StateStore {
  const transport = openTransport(options);
  const main = stateStoreOver(transport, options);
  if (options.replica === undefined) return main;
  return withReplica(main, transport.reader, { ...options, replica: options.replica });
}

function withReplica(
  main: StateStore,
  mainReader: Caller,
  { replica: way, log = silentLog }: StoreOptions & { readonly replica: ReplicaWay },
): StateStore {
  const { isUp = Promise.resolve(), ...transport } = way;
  // Whoever reads there has gone to main when they close, and the server may be frozen.
  const ways = { ...transport, lanes: 0, cutReadsAfterMs: FAREWELL_MS };
  const reads = openTransport(ways);
  const probe = openTransport({ ...ways, readers: 1 });
  const seen = new Seen();
  const counter = new ReadCounter();
  const replica = new Replica({
    reader: reads.copyReader,
    probe: probe.reader,
    main: mainReader,
    seen,
    counter,
    pulseMs: "dataApi" in way.address ? PULSE_MS.dataApi : PULSE_MS.direct,
    log,
  });
  isUp.then(
    () => replica.start(),
    () => undefined, // it was closed before
  );
  const close = async (): Promise<void> => {
    await Promise.all([reads.close(), probe.close()]);
  };
  return replicatedStore({ main, replica, seen, counter, close });
}

/** States behind any transport: the operations are the same. */
function stateStoreOver(
  transport: Transport,
  {
    dataBytes,
    dataDepth,
    isAlone = false,
  }: Pick<StoreOptions, "dataBytes" | "dataDepth" | "isAlone">,
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
    find: async (wanted) => {
      const states = await readStates(reader, wanted);
      return states.map((state) => ({ state, servedBy: "main" }));
    },
    readVersion: async (key, version) => {
      return { state: await readVersion(reader, key, version), servedBy: "main" };
    },
    readStep: (namespace, scope, step) => readStep(reader, { namespace, scope }, step),
    list: (page) => listStates(reader, page),
    history: (key, page) => readHistory(reader, key, page),
    scope: ({ namespace, scope }) => readScope(reader, namespace, scope),
    scopeStates: (scope, page) => readScopeStates(reader, scope, page),
    replica: null,
    feed: feedOf(reader, () => writer),
    recovery: recoveryOf(lanes[0]!, { writer: () => writer, disown }),
    tasks: taskStoreOver(reader),
    relay: relayStoreOver(reader),
    parked: parkedStoreOver(reader),
    taskBell: transport.taskBell,
    changeBell: isAlone ? null : transport.changeBell,
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

function recoveryOf(
  caller: Caller,
  { writer, disown }: { readonly writer: () => number; readonly disown: () => void },
): Recovery {
  return {
    plan: (request) => readRollbackPlan(caller, request),
    rollBack: async (order) => {
      try {
        return await rollbackScope(caller, order, writer());
      } catch (error) {
        if (isUncertain(error)) disown();
        throw error;
      }
    },
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
