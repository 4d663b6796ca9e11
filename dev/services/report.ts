import type { Missing } from "../../scripts/parts.d.mts";
import { formatTable } from "../../src/cli/print/table.ts";
import { urlOf } from "./address.ts";
import type { ServerAddress } from "./address.ts";
import type { RedisAddress } from "./redis.ts";
import type { RocketmqAddress } from "./rocketmq.ts";
import { SERVERS } from "./services.ts";
import type { RunningServices, ServerName, Services } from "./services.ts";

const DATABASE = "postgres";

const ROLES: Readonly<Record<ServerName, string>> = {
  postgres: "main",
  pgbouncer: "main, pooled",
  replica: "readonly",
  rollback: "rollback",
};

const VARIABLES: Readonly<Partial<Record<ServerName, string>>> = {
  postgres: "SUPABASE_MAIN_URL",
  replica: "SUPABASE_READONLY_URL",
  rollback: "SUPABASE_ROLLBACK_URL",
};

/** What runs, for a report. */
export interface Reported extends Pick<RunningServices, "services" | "folder"> {
  readonly rocketmq?: RocketmqAddress | undefined;
  readonly redis?: RedisAddress | undefined;
}

/** For people: where the servers are, and what to paste to run on them. */
export function reportText(reported: Reported, isKept: boolean): string {
  const { services, folder, rocketmq, redis } = reported;
  const table = formatTable(
    [
      { title: "server", cell: (name) => name },
      { title: "role", cell: (name) => ROLES[name] },
      { title: "url", cell: (name) => urlOrReason(services[name]) },
    ],
    SERVERS,
  );
  const variables = Object.entries(environmentOf(services)).map(
    ([name, url]) => `  ${name}=${url} \\`,
  );
  return [
    ...table,
    ...(rocketmq === undefined
      ? []
      : ["", `RocketMQ: name server ${rocketmq.nameserver}, proxy (gRPC) ${rocketmq.endpoint}`]),
    ...(redis === undefined ? [] : ["", `Redis, for DRAGONFLY_URL: ${redis.url}`]),
    "",
    "On them, in another terminal:",
    "",
    ...variables,
    "  ./agent_runtime state",
    "",
    `Ctrl-C stops the servers; their data in ${folder} ${isKept ? "stays" : "goes"}.`,
  ].join("\n");
}

/** For programs: one line. */
export function reportJson({ services, folder, rocketmq, redis }: Reported): string {
  const servers = SERVERS.map((name) => {
    const found = services[name];
    const where = "missing" in found ? found : { url: urlOf(found, DATABASE) };
    return [name, { role: ROLES[name], ...where }];
  });
  return JSON.stringify({
    folder,
    servers: Object.fromEntries(servers) as object,
    environment: environmentOf(services),
    ...(rocketmq === undefined ? {} : { rocketmq }),
    ...(redis === undefined ? {} : { redis }),
  });
}

/** The variables by which the program finds what is there. */
function environmentOf(services: Services): Readonly<Record<string, string>> {
  const pairs = SERVERS.flatMap((name) => {
    const [found, variable] = [services[name], VARIABLES[name]];
    if (variable === undefined || "missing" in found) return [];
    return [[variable, urlOf(found, DATABASE)]];
  });
  return Object.fromEntries(pairs) as Record<string, string>;
}

function urlOrReason(found: ServerAddress | Missing): string {
  return "missing" in found ? `missing: ${found.missing}` : urlOf(found, DATABASE);
}
