import { LOG_FORMATS, LOG_LEVELS } from "../service/log.ts";
import { authTokens } from "./auth-tokens.ts";
import { CAPTOR_OPTIONS } from "./captor-options.ts";
import { dataApiKey, databaseUrl } from "./database-kinds.ts";
import { DRAGONFLY_OPTIONS } from "./dragonfly-options.ts";
import { address, choice, folder, integer, selection, toggle } from "./kinds.ts";
import { MESSAGE_OPTIONS } from "./message-options.ts";
import { MIB, option, PREFER_VARIABLE, TEN_MINUTES_MS } from "./option.ts";
import type { Option } from "./option.ts";
import { TASK_OPTIONS } from "./task-options.ts";
import { WEBHOOK_OPTIONS } from "./webhook-options.ts";

/**
 * Every option there is, by its key in `agent_runtime.yaml`.
 *
 * The flag and the variable follow from the key: `write.batchLimit` is `--write-batch-limit` and
 * `AGENT_RUNTIME_WRITE_BATCH_LIMIT`.
 */
export const OPTIONS = {
  listen: option(address(), {
    default: "127.0.0.1:8080",
    sentence:
      "Where HTTP is served; port 0 picks a free one. An address that other machines can reach needs `auth.tokens`.",
  }),
  dataDir: option(folder(), {
    default: ".agent_runtime",
    sentence: "The folder of the embedded servers, relative to the working directory.",
  }),

  roles: option(selection(["main", "readonly", "rollback"], "main"), {
    default: ["main", "readonly", "rollback"],
    sentence:
      "Which embedded servers run: main, its streaming replica, and the rollback server. `main` alone is the leanest.",
  }),

  "embedded.binaries": option(folder(["npm"]), {
    default: "npm",
    sentence:
      "PostgreSQL for the embedded servers: `npm` for the binaries installed with this package, or the folder that holds `initdb` and `postgres`.",
  }),
  "embedded.sharedBuffersMiB": option(integer(1, 65_536), {
    default: 64,
    unit: "MiB",
    sentence:
      "Size of `shared_buffers` of the embedded main; the replica gets at most 32, the rollback server 16.",
  }),

  "supabase.main": option(databaseUrl(), {
    default: "",
    aliases: ["SUPABASE_MAIN_URL", "SUPABASE_DB_URL", "SUPABASE_URL"],
    secret: true,
    sentence: `The main database: direct, through a session or transaction pooler, or over a Supabase Data API. Empty: an embedded server. ${PREFER_VARIABLE}`,
  }),
  "supabase.mainKey": option(dataApiKey(), {
    default: "",
    aliases: ["SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY"],
    secret: true,
    sentence: `The key for \`supabase.main\` if that is a Data API: a secret key, or a JWT whose role has the rights of an operator. ${PREFER_VARIABLE}`,
  }),
  "supabase.readonly": option(databaseUrl(), {
    default: "",
    aliases: ["SUPABASE_READONLY_URL"],
    secret: true,
    sentence: `A streaming replica of the main database, for reads. Empty: the embedded replica if main is embedded, otherwise none. ${PREFER_VARIABLE}`,
  }),
  "supabase.readonlyKey": option(dataApiKey(), {
    default: "",
    aliases: ["SUPABASE_READONLY_KEY"],
    secret: true,
    sentence: `The key for \`supabase.readonly\` if that is a Data API. ${PREFER_VARIABLE}`,
  }),
  "supabase.rollback": option(databaseUrl(), {
    default: "",
    aliases: ["SUPABASE_ROLLBACK_URL"],
    secret: true,
    sentence: `The rollback database, independent of main. Empty: the embedded one if main is embedded, otherwise none. ${PREFER_VARIABLE}`,
  }),
  "supabase.rollbackKey": option(dataApiKey(), {
    default: "",
    aliases: ["SUPABASE_ROLLBACK_KEY"],
    secret: true,
    sentence: `The key for \`supabase.rollback\` if that is a Data API. ${PREFER_VARIABLE}`,
  }),
  "supabase.lanes": option(integer(1, 16), {
    default: 2,
    unit: "connections",
    sentence:
      "Connections (over a Data API, concurrent requests) for writes; each commits one batch at a time.",
  }),
  "supabase.readers": option(integer(1, 64), {
    default: 4,
    unit: "connections",
    sentence: "Connections (over a Data API, concurrent requests) for reads.",
  }),
  "supabase.connectTimeoutMs": option(integer(1, TEN_MINUTES_MS), {
    default: 5_000,
    unit: "milliseconds",
    sentence:
      "How long one attempt to connect may take; over a Data API, how long the whole call may take.",
  }),
  "supabase.statementTimeoutMs": option(integer(1, TEN_MINUTES_MS), {
    default: 30_000,
    unit: "milliseconds",
    sentence:
      "How long a statement may run before it is canceled. Behind a transaction pooler it is given up here, and ends in the database as `client_connection_check_interval` of the server says.",
  }),

  "write.batchLimit": option(integer(1, 1_000), {
    default: 256,
    unit: "changesets",
    sentence: "The most concurrent writes that share one transaction.",
  }),
  "write.queueLimit": option(integer(1, 1_000_000), {
    default: 10_000,
    unit: "changesets",
    sentence: "How many writes may be queued; beyond that, writes are refused with `UNAVAILABLE`.",
  }),
  "write.timeoutMs": option(integer(1, TEN_MINUTES_MS), {
    default: 30_000,
    unit: "milliseconds",
    sentence: "How long a write may take, unless its caller sets a timeout.",
  }),

  "limits.idCharacters": option(integer(1, 200), {
    default: 200,
    unit: "characters",
    sentence: "The longest id allowed. The database accepts none longer than the default.",
  }),
  "limits.dataBytes": option(integer(1, 64 * MIB), {
    default: MIB,
    unit: "bytes",
    sentence: "The largest document, as JSON text.",
  }),
  "limits.dataDepth": option(integer(1, 64), {
    default: 64,
    unit: "levels",
    sentence: "How deep a document may be nested.",
  }),
  "limits.changesetChanges": option(integer(1, 1_000), {
    default: 1_000,
    unit: "changes",
    sentence: "The most changes in one changeset, and changesets in one batch call.",
  }),
  "limits.pageItems": option(integer(1, 1_000), {
    default: 1_000,
    unit: "items",
    sentence: "The most items on one page of a list.",
  }),
  "limits.bodyBytes": option(integer(1, 1024 * MIB), {
    default: 16 * MIB,
    unit: "bytes",
    sentence: "The largest body of an HTTP request; not less than `limits.dataBytes`.",
  }),
  "limits.watchClients": option(integer(1, 1_000_000), {
    default: 10_000,
    unit: "clients",
    sentence: "How many clients may watch over HTTP at the same time.",
  }),

  "cache.entries": option(integer(0, 100_000_000), {
    default: 100_000,
    unit: "states",
    sentence: "How many states are kept in memory for reads; 0 keeps none.",
  }),
  "cache.bytes": option(integer(0, 1024 * 1024 * MIB), {
    default: 64 * MIB,
    unit: "bytes",
    sentence: "How many bytes of documents are kept in memory for reads; 0 keeps none.",
  }),

  ...DRAGONFLY_OPTIONS,

  "feed.pollMs": option(integer(1, 60_000), {
    default: 200,
    unit: "milliseconds",
    sentence:
      "How often to look for changes committed by other processes, where they cannot send notifications: behind a transaction pooler, or over a Data API.",
  }),
  "watch.bufferChanges": option(integer(1, 1_000_000), {
    default: 10_000,
    unit: "changes",
    sentence:
      "How many changes are buffered for one slow watcher before it has to read them again.",
  }),
  "rollback.sharePercent": option(integer(1, 100), {
    default: 20,
    unit: "percent",
    sentence:
      "The share of time spent on keeping the rollback database up to date while writes are waiting for main; 100 never lets it fall behind.",
  }),
  ...MESSAGE_OPTIONS,
  ...CAPTOR_OPTIONS,
  ...WEBHOOK_OPTIONS,
  ...TASK_OPTIONS,

  "history.keepDays": option(integer(0, 36_500), {
    default: 0,
    unit: "days",
    sentence: "How long the history of a state is kept; 0 keeps it forever.",
  }),

  "fsck.sweepMs": option(integer(0, 60_000), {
    default: 500,
    unit: "milliseconds",
    sentence: "How often the confusion detector checks what was touched; 0: only on demand.",
  }),
  "fsck.statesPerSecond": option(integer(0, 100_000), {
    default: 500,
    unit: "states",
    sentence:
      "How many states per second the confusion detector's rolling scrub checks; 0 turns it off.",
  }),

  "auth.tokens": option(authTokens(), {
    default: [],
    secret: true,
    flagless: true,
    sentence:
      "The accepted tokens: each is `{name, token, namespace, role}` with the role `reader`, `writer` or `operator`; a token without a namespace is valid for all of them. Empty: anyone who can reach the address has full access. In the environment variable, the list is JSON.",
  }),

  "log.level": option(choice(LOG_LEVELS), {
    default: "info",
    sentence: "The lowest level that is logged, to standard error.",
  }),
  "log.format": option(choice(LOG_FORMATS), {
    default: "json",
    sentence: "One JSON object per line for programs, or short lines for people.",
  }),
  "telemetry.traces": option(toggle(), {
    default: false,
    sentence:
      "Whether spans are recorded through the OpenTelemetry API; the process brings its own SDK.",
  }),
  "metrics.enabled": option(toggle(), {
    default: true,
    sentence: "Whether `/metrics` is served.",
  }),
  "shutdown.graceMs": option(integer(0, TEN_MINUTES_MS), {
    default: 10_000,
    unit: "milliseconds",
    sentence: "How long a stop may take in total before whatever hangs is abandoned.",
  }),
};

/** A key of `agent_runtime.yaml`: `listen`, `write.batchLimit`. */
export type OptionKey = keyof typeof OPTIONS;

type ValueAt<Key extends OptionKey> =
  (typeof OPTIONS)[Key] extends Option<infer Value> ? Value : never;

type Top<Key extends string> = Key extends `${infer Section}.${string}` ? Section : Key;

type Tree = {
  readonly [Name in Top<OptionKey>]: Name extends OptionKey
    ? ValueAt<Name>
    : {
        readonly [
          Key in OptionKey as Key extends `${Name}.${infer Leaf}` ? Leaf : never
        ]: ValueAt<Key>;
      };
};

/** All settings: checked, complete and frozen. Its shape follows from the table. */
export interface Config extends Tree {}

/** The table's keys, in its order. */
export const OPTION_KEYS = Object.keys(OPTIONS) as OptionKey[];

/** The option of a key, whatever its value is. */
export function optionOf(key: OptionKey): Option<unknown> {
  return OPTIONS[key];
}

/** `write.batchLimit` → `write-batch-limit`: the flag, without its dashes. */
export function flagOf(key: string): string {
  return words(key).join("-");
}

/** `write.batchLimit` → `AGENT_RUNTIME_WRITE_BATCH_LIMIT`. */
export function variableOf(key: OptionKey): string {
  return `AGENT_RUNTIME_${words(key).join("_").toUpperCase()}`;
}

/** `MiB` is one word, not three. */
function words(key: string): string[] {
  return key
    .replace("MiB", "Mib")
    .replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    .split(/[.-]/);
}
