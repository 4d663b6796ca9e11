import { setTimeout as sleep } from "node:timers/promises";
import type { Config } from "../config/options.ts";
import type { EmbeddedHome } from "../embedded/home.ts";
import { Follower } from "../follower/follower.ts";
import type { Logger } from "../service/log-port.ts";
import type { Metrics } from "../service/metrics.ts";
import { maskSecrets } from "../service/redact.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { JsonObject } from "../state/json.ts";
import type { RollbackStore } from "../state/rollback-port.ts";
import { prepareSchema } from "../supabase/prepare-schema.ts";
import { openFollowedStore } from "../supabase/rollback/followed-store.ts";
import { openRollbackStore } from "../supabase/rollback/rollback-store.ts";
import { createServiceLogin, SERVICE_LOGIN } from "../supabase/service-login.ts";
import type { TransportOptions } from "../supabase/transport.ts";
import { databaseAddress } from "./database-address.ts";

/** The follower ends what it does; a rollback database that does not answer for so long is left. */
const STOP_MS = 3_000;

/** The rollback database of a running service, and who keeps it one step behind main. */
export interface Rollback {
  readonly copies: RollbackStore;
  readonly follower: Follower;
  /** Where it is; "": among the embedded servers. */
  readonly url: string;
  close(): Promise<void>;
}

export interface RollbackSurroundings {
  /** How the service goes to main. */
  readonly main: TransportOptions;
  readonly home: EmbeddedHome | null;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/**
 * Opens the rollback database, where the configuration has one; null where it has none. It need not be there:
 * what has to be done to it first is done once it is.
 *
 * @throws {AgentRuntimeError} SCHEMA_MISMATCH: it is there, and is no rollback database, or a newer one.
 */
export async function openRollback(
  config: Config,
  surroundings: RollbackSurroundings,
): Promise<Rollback | null> {
  const { main, home, log, metrics } = surroundings;
  const given = databaseAddress(config, "rollback");
  const embedded = home !== null && config.roles.includes("rollback") ? home : null;
  if (given === null && embedded === null) return null;
  const way = { ...main, address: given ?? embedded!.address("rollback") };
  const prepare = given === null ? preparing(way, embedded!) : () => prepareSchema(way, "rollback");
  if (given !== null) await refuseMismatch(prepare, log);
  const address = given ?? { ...embedded!.address("rollback"), user: SERVICE_LOGIN };
  const copies = openRollbackStore({ ...way, address });
  const followed = openFollowedStore(main);
  const follower = new Follower({
    main: followed,
    copies,
    prepare: async () => {
      const done = await prepare();
      if (typeof done === "string") return done;
      const { applied } = done;
      if (applied.length > 0) log.info({ applied }, "the schema of the rollback database is made");
      return null;
    },
    pollMs: config.feed.pollMs,
    share: config.rollback.sharePercent / 100,
    log,
  });
  metrics.exposeRollback(() => follower.figures);
  return {
    copies,
    follower,
    url: config.supabase.rollback,
    close: async () => {
      const stopped = follower.stop();
      await Promise.race([stopped, sleep(STOP_MS, undefined, { ref: false })]);
      await copies.close(); // ends what a database that is silent still owes
      await stopped;
      await followed.close();
    },
  };
}

/** On a server of our own, once it has come up; until then, and while nothing is wrong with it, that it has not. */
function preparing(
  way: TransportOptions,
  home: EmbeddedHome,
): () => Promise<Awaited<ReturnType<typeof prepareSchema>> | string> {
  return async () => {
    const { state, reason } = home.status().find(({ name }) => name === "rollback")!;
    const why = reason === undefined ? "" : `: ${reason}`;
    const isNot = `The rollback server is ${state}${why}.`;
    if (state === "starting" && reason === undefined) return isNot;
    if (state !== "ready") throw new AgentRuntimeError("UNAVAILABLE", isNot);
    const done = await prepareSchema(way, "rollback");
    await createServiceLogin({ ...way, address: home.address("rollback") }, "rollback");
    return done;
  };
}

/** A database that is away may come back; one that is another one's never becomes ours. */
async function refuseMismatch(prepare: () => Promise<unknown>, log: Logger): Promise<void> {
  try {
    await prepare();
  } catch (error) {
    if (error instanceof AgentRuntimeError && error.code === "SCHEMA_MISMATCH") throw error;
    log.warn({ error }, "the rollback database cannot be reached; main goes on without it");
  }
}

/** What `/v1/info` says of it, beside what its server does. */
export function rollbackInfo(rollback: Rollback | null): JsonObject {
  if (rollback === null) {
    return { health: "off", reason: "there is no rollback database: supabase.rollback is not set" };
  }
  const { url, follower } = rollback;
  return { ...(url === "" ? {} : { runsOn: maskSecrets(url) }), ...follower.figures };
}
