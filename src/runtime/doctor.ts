import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config/options.ts";
import { examine, fault, verdictOf } from "../doctor/check.ts";
import type { Verdict } from "../doctor/check.ts";
import { apart } from "../doctor/checks/apart.ts";
import { cacheCommands } from "../doctor/checks/cache-commands.ts";
import { clock } from "../doctor/checks/clock.ts";
import { copies } from "../doctor/checks/copies.ts";
import { durability } from "../doctor/checks/durability.ts";
import { excessRights } from "../doctor/checks/excess-rights.ts";
import { missingGrants } from "../doctor/checks/missing-grants.ts";
import { partHealth } from "../doctor/checks/part-health.ts";
import { refusedChanges } from "../doctor/checks/refused-changes.ts";
import { pooler } from "../doctor/checks/pooler.ts";
import { replica } from "../doctor/checks/replica.ts";
import { replicaLag } from "../doctor/checks/replica-lag.ts";
import { schema } from "../doctor/checks/schema.ts";
import { version } from "../doctor/checks/version.ts";
import type { DatabaseFacts } from "../doctor/facts.ts";
import { examineDragonfly } from "../dragonfly/examine-dragonfly.ts";
import { runFolderOf } from "../embedded/run-folder.ts";
import { serverAddress } from "../embedded/servers.ts";
import { systemClock } from "../service/clock.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import type { JsonObject } from "../state/json.ts";
import { checkSchema } from "../supabase/check-schema.ts";
import { examineDatabase } from "../supabase/examine-database.ts";
import type { Examination } from "../supabase/examine-database.ts";
import { openRollbackStore } from "../supabase/rollback/rollback-store.ts";
import { readFeedBounds } from "../supabase/sql/read-feed.ts";
import { openTransport } from "../supabase/transport.ts";
import type { DatabaseAddress } from "../supabase/transport.ts";
import { databaseAddress } from "./database-address.ts";
import type { DatabaseRole } from "./database-address.ts";
import { examineRocketmq } from "./doctor-rocketmq.ts";

/** Looks at every part that a configuration names, from outside. Never throws for what a part does. */
export async function examineParts(config: Config): Promise<Verdict[]> {
  const databases = new Databases(config);
  return [
    ...(await databases.examine("main")),
    ...(await databases.examine("readonly")),
    ...(await databases.examine("rollback")),
    ...(config.messages === "rocketmq" ? await examineRocketmq(config) : []),
    ...(config.dragonfly.url === "" ? [] : await examineCache(config)),
  ];
}

/** What a service says of its parts; or why it says nothing. */
export type ServiceAnswer =
  | { readonly url: string; readonly parts: JsonObject }
  | { readonly url: string; readonly trouble: string };

/** How a service sees its own parts. */
export function examineService(answer: ServiceAnswer): Verdict[] {
  if ("trouble" in answer) {
    const found = `${answer.url}: ${answer.trouble}`;
    const remedy =
      "start it (agent_runtime state), or pass its address (--url) and a token (--token)";
    return [verdictOf("service", "reachable", fault(found, remedy))];
  }
  return [
    verdictOf("service", "reachable", null),
    ...Object.entries(answer.parts).flatMap(([name, part]) => {
      const { health, reason } = part as { readonly health: string; readonly reason?: string };
      const seen = examine(name, { health, reason: reason ?? null }, [partHealth]);
      return [...seen, ...examineRelay(name, part as JsonObject)];
    }),
  ];
}

function examineRelay(name: string, { relay }: JsonObject): Verdict[] {
  if (name !== "messages" || relay === undefined) return [];
  const { reduced, parked } = relay as JsonObject;
  const facts = { reduced: Number(reduced ?? 0), parked: Number(parked ?? 0) };
  return examine(name, facts, [refusedChanges]);
}

/** Looks at the cache that services share. */
async function examineCache({ dragonfly, supabase }: Config): Promise<Verdict[]> {
  const { url, prefix, tlsAuthority } = dragonfly;
  const { connectTimeoutMs } = supabase;
  try {
    const tls = tlsAuthority === "" ? {} : { tlsAuthority };
    const facts = await examineDragonfly({ url, prefix, connectTimeoutMs, ...tls });
    return [
      verdictOf("dragonfly", "reachable", null),
      ...examine("dragonfly", facts, [cacheCommands]),
    ];
  } catch (error) {
    if (!(error instanceof AgentRuntimeError)) throw error;
    const remedy =
      "see that it runs, and that dragonfly.url has its address, its user and its password";
    return [verdictOf("dragonfly", "reachable", fault(error.message, remedy))];
  }
}

const CHECKS = [version, replica, schema, missingGrants, clock, durability] as const;
/** What depends on the login and the way, which are the embedded servers' own. */
const CHECKS_OF_LOGIN = [excessRights, pooler] as const;

/** The three databases, main first: the others are compared with it. */
class Databases {
  readonly #config: Config;
  #main: DatabaseFacts | null = null;
  #position: string | null = null;
  #lineage: string | null = null;

  constructor(config: Config) {
    this.#config = config;
  }

  async examine(role: DatabaseRole): Promise<Verdict[]> {
    const given = databaseAddress(this.#config, role);
    const isEmbedded = given === null;
    const address = given ?? embeddedAddress(this.#config, role);
    if (address === null) return [];
    try {
      if ("dataApi" in address) return await this.#examineDataApi(role, address);
      const reach = role === "readonly" ? this.#position : null;
      const found = await examineDatabase({ ...this.#way(), address }, role, reach);
      const facts = factsOf(found, role);
      const verdicts = [
        verdictOf(role, "reachable", null),
        ...examine(role, facts, CHECKS),
        ...(isEmbedded ? [] : examine(role, facts, CHECKS_OF_LOGIN)),
        ...(await this.#examineBeside(role, { facts, address })),
      ];
      if (role === "main") await this.#rememberMain(found, { facts, address });
      return verdicts;
    } catch (error) {
      return [verdictOf(role, "reachable", unreachable(error, role))];
    }
  }

  async #examineBeside(
    role: DatabaseRole,
    { facts, address }: { readonly facts: DatabaseFacts; readonly address: DatabaseAddress },
  ): Promise<Verdict[]> {
    if (role === "main") return [];
    const beside =
      this.#main === null ? [] : examine(role, { main: this.#main, other: facts }, [apart]);
    if (role === "readonly") return [...beside, ...examine(role, facts, [replicaLag])];
    return facts.schemaFault === null
      ? [...beside, ...(await this.#examineCopies(address))]
      : beside;
  }

  async #examineCopies(address: DatabaseAddress): Promise<Verdict[]> {
    const store = openRollbackStore({ ...this.#way(), address });
    try {
      const { followedTo, led, settledAt, suspect } = await store.status();
      const behindMs = settledAt === null ? null : systemClock.now() - settledAt.getTime();
      const facts = {
        lineage: followedTo?.lineage ?? null,
        mainLineage: this.#lineage,
        isLed: led,
        behindMs,
        brokenScopes: suspect,
      };
      return examine("rollback", facts, [copies]);
    } finally {
      await store.close();
    }
  }

  /** Over HTTPS only what the functions tell can be seen. */
  async #examineDataApi(role: DatabaseRole, address: DatabaseAddress): Promise<Verdict[]> {
    const transport = openTransport({ ...this.#way(), address, lanes: 1, readers: 1 });
    try {
      await checkSchema(transport.reader, role === "rollback" ? "rollback" : "main");
      return [verdictOf(role, "Data API", null), verdictOf(role, "schema", null)];
    } finally {
      await transport.close();
    }
  }

  async #rememberMain(
    { server }: Examination,
    { facts, address }: { readonly facts: DatabaseFacts; readonly address: DatabaseAddress },
  ): Promise<void> {
    this.#main = facts;
    this.#position = server.position;
    if (facts.schemaFault !== null) return;
    const transport = openTransport({ ...this.#way(), address, lanes: 1, readers: 1 });
    try {
      this.#lineage = (await readFeedBounds(transport.reader)).lineage;
    } catch {
      // The grants say why it may not be asked.
    } finally {
      await transport.close();
    }
  }

  #way(): { readonly connectTimeoutMs: number; readonly statementTimeoutMs: number } {
    const { connectTimeoutMs, statementTimeoutMs } = this.#config.supabase;
    return { connectTimeoutMs, statementTimeoutMs };
  }
}

/** Of a home whose servers run; null where they do not, or where their names are too long for sockets. */
function embeddedAddress(config: Config, role: DatabaseRole): DatabaseAddress | null {
  if (config.supabase.main !== "" || !config.roles.includes(role)) return null;
  const folder = runFolderOf(config.dataDir);
  if (folder === null) return null;
  const address = serverAddress(folder, role);
  return existsSync(join(folder, `.s.PGSQL.${address.port}`)) ? address : null;
}

function factsOf(found: Examination, role: DatabaseRole): DatabaseFacts {
  const { server } = found;
  return {
    role,
    version: server.version,
    versionNumber: server.version_number,
    isReplica: server.is_replica,
    systemIdentifier: server.system_identifier,
    login: {
      name: server.login,
      isSuperuser: server.is_superuser,
      mayBypassRules: server.may_bypass,
      writableTables: server.writable_tables,
      mayChangeSchema: server.may_change,
    },
    settings: server,
    skewMs: found.skewMs,
    roundTripMs: found.roundTripMs,
    schemaFault: found.schemaFault,
    deniedFunctions: found.denied,
    isPooled: found.isPooled,
    hearsNotify: found.hearsNotify,
    hasCaughtUp: found.hasCaughtUp,
    isReplayPaused: server.is_paused,
  };
}

function unreachable(error: unknown, role: DatabaseRole): ReturnType<typeof fault> {
  if (!(error instanceof AgentRuntimeError)) throw error;
  const remedy = `see that it runs, and that supabase.${role} has its address, its login and its password`;
  return fault(error.message, remedy);
}
