import { hostname } from "node:os";
import path from "node:path";
import { loadConfigWithOrigins } from "./config/load.ts";
import { flagOf, OPTION_KEYS } from "./config/options.ts";
import type { Config } from "./config/options.ts";
import { openEmbeddedHome } from "./embedded/home.ts";
import type { EmbeddedHome } from "./embedded/home.ts";
import type { ServerStatus } from "./embedded/server-status.ts";
import { StateManager } from "./manager/state-manager.ts";
import type { LeaseThreadPlace } from "./processor/lease-thread.ts";
import { HttpService } from "./server/listen.ts";
import { createServer } from "./server/server.ts";
import type { Logger } from "./service/log-port.ts";
import { createLogger, silentLog } from "./service/log.ts";
import { Metrics } from "./service/metrics.ts";
import { packageVersion } from "./service/package-root.ts";
import { maskSecrets } from "./service/redact.ts";
import { Tracing } from "./service/tracing.ts";
import { AgentRuntimeError } from "./state/errors.ts";
import type { JsonObject } from "./state/json.ts";
import type { StateStore } from "./state/ports.ts";
import { databaseAddress } from "./runtime/database-address.ts";
import { messagesInfo, openBus, startMessages } from "./runtime/messages.ts";
import type { Messages } from "./runtime/messages.ts";
import { fsckInfo } from "./runtime/fsck.ts";
import { Opened } from "./runtime/opened.ts";
import { cacheInfo, openSharedCache } from "./runtime/shared-cache.ts";
import { openRollback, rollbackInfo } from "./runtime/rollback.ts";
import type { LeaseThreadWay } from "./runtime/lease-thread.ts";
import { readinessOf, troubleOf } from "./runtime/readiness.ts";
import { stopInTime } from "./runtime/stop-in-time.ts";
import { tasksInfo } from "./runtime/tasks.ts";
import type { Rollback } from "./runtime/rollback.ts";
import type { StateConsumer } from "./consumer/state-consumer.ts";
import { startStateConsumer } from "./runtime/state-consumer.ts";
import type { OpenConsumerOptions } from "./runtime/state-consumer.ts";
import { prepareSchema } from "./supabase/prepare-schema.ts";
import { createServiceLogin, SERVICE_LOGIN } from "./supabase/service-login.ts";
import { openStateStore } from "./supabase/state-store.ts";
import type { ReplicaWay } from "./supabase/state-store.ts";
import type { TransportOptions } from "./supabase/transport.ts";

/** A running service. */
export interface Runtime {
  /** Where it listens, for example http://127.0.0.1:8080. */
  readonly url: string;
  readonly parts: readonly { readonly name: string; readonly runsOn: string }[];
  readonly manager: StateManager;
  /** Resolves once it has stopped. */
  readonly stopped: Promise<void>;
  /** Finishes what was accepted, then stops. Safe twice. */
  stop(): Promise<void>;
}

/** Settings by the keys of docs/config.md: `{ dataDir: "...", supabase: { main: "..." } }`. */
export type Settings = { readonly listen?: string } & {
  readonly [Name in Exclude<keyof Config, "listen">]?: Config[Name] extends readonly unknown[]
    ? Config[Name]
    : Config[Name] extends object
      ? Partial<Config[Name]>
      : Config[Name];
};

interface Parts {
  readonly manager: StateManager;
  readonly metrics: Metrics;
  readonly home: EmbeddedHome | null;
  readonly runsOn: string;
  /** Where the replica is, if there is one. */
  readonly readonly: string;
  readonly rollback: Rollback | null;
  /** What `/v1/info` says of the message bus. */
  readonly messages: () => JsonObject;
  /** And of the caches. */
  readonly cache: () => JsonObject;
}

/** Everything: databases, state manager, HTTP; resolves when it answers. */
export async function startRuntime(
  config: Config,
  options: { readonly log?: Logger } = {},
): Promise<Runtime> {
  const log = options.log ?? createLogger(config.log);
  const parts = await openParts(config, log);
  const { manager, metrics } = parts;
  if (config.metrics.enabled) metrics.addProcess();
  const startedAt = performance.now();
  try {
    const app = createServer({
      face: manager,
      readState: (id, read) => manager.readState(id, read),
      feedHead: () => manager.feedHead(),
      info: () => infoOf(parts, startedAt),
      ready: () => readinessOf(manager),
      ...(config.metrics.enabled
        ? { renderMetrics: async () => (await metrics.render()).body }
        : {}),
      observe: (operation, outcome, seconds) =>
        metrics.observe(`http ${operation}`, outcome, seconds),
      log,
      limits: {
        bodyBytes: config.limits.bodyBytes,
        dataDepth: config.limits.dataDepth,
        changesetChanges: config.limits.changesetChanges,
        watchClients: config.limits.watchClients,
        closeMs: config.shutdown.graceMs / 2, // The other half is for what the manager has accepted.
      },
      auth: { tokens: config.auth.tokens },
    });
    const http = new HttpService(app, config.listen);
    await http.start();
    const closed = { server: () => http.stop(), manager, home: parts.home };
    return runtimeOf(parts, http.url, () => stopInTime(config.shutdown.graceMs, closed, log));
  } catch (error) {
    await manager.close();
    throw error;
  }
}

/** The state manager as a library: the same as the service, without HTTP. */
export async function openStateManager(
  settings: Settings = {},
  options: { readonly log?: Logger } = {},
): Promise<StateManager> {
  const { config } = loadConfigWithOrigins({
    flags: flagsOf(settings),
    env: {},
    cwd: process.cwd(),
  });
  return (await openParts(config, options.log ?? silentLog)).manager;
}

/** A consumer of the changes that services send, of the same settings; it runs. */
export function openStateConsumer(settings: Settings, options: OpenConsumerOptions): StateConsumer {
  const { config } = loadConfigWithOrigins({
    flags: flagsOf(settings),
    env: {},
    cwd: process.cwd(),
  });
  return startStateConsumer(config, options);
}

function runtimeOf(parts: Parts, url: string, stop: () => Promise<void>): Runtime {
  let stopping: Promise<void> | undefined;
  let announce!: () => void;
  const stopped = new Promise<void>((resolve) => (announce = resolve));
  return {
    url,
    parts: [
      { name: "main", runsOn: parts.runsOn },
      ...besideMain(parts.home).map(({ name }) => ({ name, runsOn: parts.runsOn })),
      ...elsewhere("readonly", parts.readonly),
      ...elsewhere("rollback", parts.rollback?.url ?? ""),
    ],
    manager: parts.manager,
    stopped,
    stop: () => {
      stopping ??= stop().finally(announce);
      return stopping;
    },
  };
}

function openStore(
  main: TransportOptions,
  { limits }: Config,
  around: {
    readonly replica: ReplicaPlace | null;
    readonly isAlone: boolean;
    readonly log: Logger;
  },
): StateStore {
  const { replica: place, ...others } = around;
  const { dataBytes, dataDepth } = limits;
  const replica = place === null ? {} : { replica: { ...main, ...place } };
  return openStateStore({ ...main, dataBytes, dataDepth, ...replica, ...others });
}

function wayTo(address: TransportOptions["address"], config: Config): TransportOptions {
  return {
    address,
    lanes: config.supabase.lanes,
    readers: config.supabase.readers,
    connectTimeoutMs: config.supabase.connectTimeoutMs,
    statementTimeoutMs: Math.min(config.supabase.statementTimeoutMs, config.write.timeoutMs),
  };
}

async function openParts(config: Config, log: Logger): Promise<Parts> {
  const metrics = new Metrics();
  const main = databaseAddress(config, "main");
  const opened = new Opened();
  const home = opened.keep(main === null ? await openHome(config, log, metrics) : null);
  try {
    const way = wayTo(main ?? home!.address("main"), config);
    const { applied } = await prepareSchema(way);
    if (applied.length > 0) log.info({ applied }, "the schema is up to date");
    const replica = replicaOf(config, home);
    const service = home === null ? way : await asService(way, home);
    const rollback = opened.keep(await openRollback(config, { main: service, home, log, metrics }));
    const shared = opened.keep(openSharedCache(config, log));
    const bus = opened.keep(openBus(config, log));
    const store = opened.keep(openStore(service, config, { replica, isAlone: home !== null, log }));
    let messages: Messages | null = null;
    const runsOn = await describeMain(store, config);
    const manager = new StateManager({
      store,
      ...(bus === null ? {} : { bus, lifecycleTopic: config.rocketmq.lifecycleTopic }),
      ...(shared === null ? {} : { shared }),
      limits: config.limits,
      batchLimit: config.write.batchLimit,
      queueLimit: config.write.queueLimit,
      writeTimeoutMs: config.write.timeoutMs,
      cache: config.cache,
      pollMs: config.feed.pollMs,
      keepChanges: config.watch.bufferChanges,
      historyDays: config.history.keepDays,
      tasks: config.tasks,
      fsck: { ...config.fsck, ...(rollback === null ? {} : { rollback: rollback.copies }) },
      log,
      metrics,
      tracing: new Tracing(config.telemetry.traces),
      ...(rollback === null ? {} : { copies: rollback.copies }),
      onWritten: () => {
        rollback?.follower.poke();
        messages?.relay.poke();
      },
      onClosing: async () => messages?.stop(),
      leaseThread: leaseThreadOf({ way: service, limits: config.limits, settings: config.tasks }),
      onClosed: () => opened.close(),
    });
    rollback?.follower.start(() => manager.isBusy);
    if (bus !== null) messages = startMessages(config, bus, { manager, store, log, metrics });
    return {
      manager,
      metrics,
      home,
      runsOn,
      readonly: config.supabase.readonly,
      rollback,
      messages: () => messagesInfo(messages, config),
      cache: () => cacheInfo(manager, config),
    };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

function leaseThreadOf(data: LeaseThreadWay): LeaseThreadPlace {
  return { entry: new URL("./runtime/lease-thread.js", import.meta.url), data };
}

/** A part that has an address of its own; "" where it has none. */
function elsewhere(
  name: string,
  url: string,
): { readonly name: string; readonly runsOn: string }[] {
  return url === "" ? [] : [{ name, runsOn: maskSecrets(url) }];
}

/** Where reads may go beside main; one of our own, once it has come up. */
type ReplicaPlace = Pick<ReplicaWay, "address" | "isUp">;

/** Null: reads go to main. */
function replicaOf(config: Config, home: EmbeddedHome | null): ReplicaPlace | null {
  const given = databaseAddress(config, "readonly");
  if (given !== null) return { address: given };
  if (home === null || !config.roles.includes("readonly")) return null;
  const address = { ...home.address("readonly"), user: SERVICE_LOGIN };
  return { address, isUp: home.whenReady("readonly") };
}

/** On servers of its own the service calls functions only; elsewhere the URL or the key says who it is. */
async function asService(way: TransportOptions, home: EmbeddedHome): Promise<TransportOptions> {
  const address = home.address("main");
  await createServiceLogin({ ...way, address });
  return { ...way, address: { ...address, user: SERVICE_LOGIN } };
}

function openHome(config: Config, log: Logger, metrics: Metrics): Promise<EmbeddedHome> {
  return openEmbeddedHome({
    dataDir: path.resolve(config.dataDir),
    binaries: config.embedded.binaries,
    roles: config.roles,
    sharedBuffersMiB: config.embedded.sharedBuffersMiB,
    log,
    onServerRestarted: (name) => metrics.countRestart(name),
  });
}

async function describeMain(store: StateStore, config: Config): Promise<string> {
  const { server, version } = await store.describe();
  const [number] = version.split(" ");
  return config.supabase.main === ""
    ? `${server} ${number}, embedded in ${config.dataDir}`
    : `${server} ${number} at ${maskSecrets(config.supabase.main)}`;
}

async function infoOf(parts: Parts, startedAt: number): Promise<JsonObject> {
  const trouble = await troubleOf(parts.manager);
  const servers = parts.home?.status() ?? [];
  return {
    name: "agent-runtime-state",
    version: packageVersion(),
    node: process.version,
    host: hostname(),
    uptimeSeconds: Math.floor((performance.now() - startedAt) / 1_000),
    parts: {
      main: {
        runsOn: parts.runsOn,
        ...(trouble === null
          ? { health: "ok" }
          : { health: "unavailable", reason: trouble.message }),
        ...(servers[0] === undefined ? {} : { restarts: servers[0].restarts }),
      },
      ...Object.fromEntries(
        besideMain(parts.home).map((server) => [server.name, infoOfServer(server, parts.runsOn)]),
      ),
      ...readonlyInfo(parts),
      rollback: {
        ...besideMain(parts.home)
          .filter(({ name }) => name === "rollback")
          .map((server) => infoOfServer(server, parts.runsOn))[0],
        ...rollbackInfo(parts.rollback),
      },
      cache: parts.cache(),
      messages: parts.messages(),
      fsck: fsckInfo(parts.manager),
      tasks: tasksInfo(parts.manager),
    },
  };
}

function besideMain(home: EmbeddedHome | null): readonly ServerStatus[] {
  return (home?.status() ?? []).filter(({ name }) => name !== "main");
}

/** What the replica's reads say of it, beside what its server does. */
function readonlyInfo({ manager, home, runsOn, readonly }: Parts): JsonObject {
  const { replica } = manager;
  if (replica === null) return {};
  const { health, ...status } = replica.status;
  const server = besideMain(home).find(({ name }) => name === "readonly");
  if (server === undefined) {
    return { readonly: { runsOn: maskSecrets(readonly), health, ...status } };
  }
  const own = infoOfServer(server, runsOn);
  return { readonly: { ...status, ...own, ...(server.state === "ready" ? { health } : {}) } };
}

function infoOfServer({ state, restarts, reason }: ServerStatus, runsOn: string): JsonObject {
  const health = state === "ready" ? "ok" : state;
  return { runsOn, health, restarts, ...(reason === undefined ? {} : { reason }) };
}

/** Nested settings as flags, which say what they mean without a file. */
function flagsOf(settings: Settings): Record<string, unknown> {
  if (!isSection(settings)) {
    const example = '{ dataDir: "...", supabase: { main: "postgres://..." } }';
    throw new AgentRuntimeError("INVALID_CONFIG", `Settings are an object such as ${example}.`);
  }
  const flags: Record<string, unknown> = {};
  for (const [name, value] of flatten(settings)) {
    if (!isOption(name)) {
      throw new AgentRuntimeError(
        "INVALID_CONFIG",
        `There is no setting "${name}"; docs/config.md lists them all.`,
        { field: name },
      );
    }
    flags[flagOf(name)] = value;
  }
  return flags;
}

function flatten(settings: object, prefix = ""): [string, unknown][] {
  return Object.entries(settings as Record<string, unknown>).flatMap(
    ([name, value]): [string, unknown][] => {
      const key = prefix + name;
      if (value === undefined) return [];
      // What is no section must not look like an empty one: a URL has no entries.
      if (isOption(key) || !isSection(value)) return [[key, value]];
      return flatten(value, `${key}.`);
    },
  );
}

function isOption(key: string): boolean {
  return OPTION_KEYS.some((known) => known === key);
}

function isSection(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
