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
    sentence: "The folder of the embedded servers; relative to the working directory.",
  }),

  roles: option(selection(["main", "readonly", "rollback"], "main"), {
    default: ["main", "readonly", "rollback"],
    sentence:
      "Which embedded servers run: main, its streaming replica, and the rollback server. `main` alone is the leanest.",
  }),

  "embedded.binaries": option(folder(["npm"]), {
    default: "npm",
    sentence:
      "PostgreSQL for the embedded servers: the binaries that were installed with the package, or the folder that holds `initdb` and `postgres`.",
  }),
  "embedded.sharedBuffersMiB": option(integer(1, 65_536), {
    default: 64,
    unit: "MiB",
    sentence:
      "Memory that the embedded main keeps for pages (its `shared_buffers`); the replica has at most 32, the rollback server 16.",
  }),

  "supabase.main": option(databaseUrl(), {
    default: "",
    aliases: ["SUPABASE_MAIN_URL", "SUPABASE_DB_URL", "SUPABASE_URL"],
    secret: true,
    sentence: `The main database: direct, through a session or transaction pooler, or over the Data API of a Supabase. Empty: an embedded server. ${PREFER_VARIABLE}`,
  }),
  "supabase.mainKey": option(dataApiKey(), {
    default: "",
    aliases: ["SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY"],
    secret: true,
    sentence: `The key of \`supabase.main\`, where that is a Data API: a secret key, or a JWT whose role may do what an operator may. ${PREFER_VARIABLE}`,
  }),
  "supabase.readonly": option(databaseUrl(), {
    default: "",
    aliases: ["SUPABASE_READONLY_URL"],
    secret: true,
    sentence: `A streaming replica of the main database, for reads. Empty: the embedded one beside an embedded main, else none. ${PREFER_VARIABLE}`,
  }),
  "supabase.readonlyKey": option(dataApiKey(), {
    default: "",
    aliases: ["SUPABASE_READONLY_KEY"],
    secret: true,
    sentence: `The key of \`supabase.readonly\`, where that is a Data API. ${PREFER_VARIABLE}`,
  }),
  "supabase.rollback": option(databaseUrl(), {
    default: "",
    aliases: ["SUPABASE_ROLLBACK_URL"],
    secret: true,
    sentence: `The rollback database, independent of the main one. Empty: none. ${PREFER_VARIABLE}`,
  }),
  "supabase.rollbackKey": option(dataApiKey(), {
    default: "",
    aliases: ["SUPABASE_ROLLBACK_KEY"],
    secret: true,
    sentence: `The key of \`supabase.rollback\`, where that is a Data API. ${PREFER_VARIABLE}`,
  }),
  "supabase.lanes": option(integer(1, 16), {
    default: 2,
    unit: "connections",
    sentence: "Connections, or requests at a time, that write; each commits one batch at a time.",
  }),
  "supabase.readers": option(integer(1, 64), {
    default: 4,
    unit: "connections",
    sentence: "Connections, or requests at a time, that read.",
  }),
  "supabase.connectTimeoutMs": option(integer(1, TEN_MINUTES_MS), {
    default: 5_000,
    unit: "milliseconds",
    sentence:
      "How long one attempt to connect may take; over a Data API the time of the whole call counts.",
  }),
  "supabase.statementTimeoutMs": option(integer(1, TEN_MINUTES_MS), {
    default: 30_000,
    unit: "milliseconds",
    sentence: "After this a statement is given up.",
  }),

  "write.batchLimit": option(integer(1, 1_000), {
    default: 256,
    unit: "changesets",
    sentence: "How many concurrent writes share a transaction at most.",
  }),
  "write.queueLimit": option(integer(1, 1_000_000), {
    default: 10_000,
    unit: "changesets",
    sentence: "How many writes may wait; one more is answered `UNAVAILABLE`.",
  }),
  "write.timeoutMs": option(integer(1, TEN_MINUTES_MS), {
    default: 30_000,
    unit: "milliseconds",
    sentence: "How long a write may take when its caller does not say.",
  }),

  "limits.idCharacters": option(integer(1, 200), {
    default: 200,
    unit: "characters",
    sentence: "The longest id. The database takes no longer ones than the default.",
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
    sentence: "The largest page that a list answers.",
  }),
  "limits.bodyBytes": option(integer(1, 1024 * MIB), {
    default: 16 * MIB,
    unit: "bytes",
    sentence: "The largest body of an HTTP request; at least `limits.dataBytes`.",
  }),
  "limits.watchClients": option(integer(1, 1_000_000), {
    default: 10_000,
    unit: "clients",
    sentence: "How many may watch over HTTP at the same time.",
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
      "How soon changes that other processes committed are seen where these cannot tell of them: behind a transaction pooler, over a Data API.",
  }),
  "watch.bufferChanges": option(integer(1, 1_000_000), {
    default: 10_000,
    unit: "changes",
    sentence: "How many changes wait for one slow watcher before it has to read them again.",
  }),
  "rollback.sharePercent": option(integer(1, 100), {
    default: 20,
    unit: "percent",
    sentence:
      "The part of the time in which the rollback database is kept up while writes wait for main; 100 never leaves it behind.",
  }),
  ...MESSAGE_OPTIONS,
  ...CAPTOR_OPTIONS,
  ...WEBHOOK_OPTIONS,
  ...TASK_OPTIONS,

  "history.keepDays": option(integer(0, 36_500), {
    default: 0,
    unit: "days",
    sentence: "How long the history of a state is kept; 0 keeps it for ever.",
  }),

  "fsck.sweepMs": option(integer(0, 60_000), {
    default: 500,
    unit: "milliseconds",
    sentence:
      "How often the confusion detector looks at what was touched; 0: it looks only when it is asked to.",
  }),
  "fsck.statesPerSecond": option(integer(0, 100_000), {
    default: 500,
    unit: "states",
    sentence:
      "How many states the rolling scrub of the confusion detector looks at in a second; 0: it does not run.",
  }),

  "auth.tokens": option(authTokens(), {
    default: [],
    secret: true,
    flagless: true,
    sentence:
      "Who may come in: each `{name, token, namespace, role}`, the role `reader`, `writer` or `operator`; without a namespace it may touch any. Empty: everybody who can reach the address. In the variable, the list is JSON.",
  }),

  "log.level": option(choice(LOG_LEVELS), {
    default: "info",
    sentence: "The least that is logged, to standard error.",
  }),
  "log.format": option(choice(LOG_FORMATS), {
    default: "json",
    sentence: "One JSON object a line for programs, or short lines for people.",
  }),
  "telemetry.traces": option(toggle(), {
    default: false,
    sentence: "Spans through the OpenTelemetry API; the process brings its own SDK.",
  }),
  "metrics.enabled": option(toggle(), {
    default: true,
    sentence: "Whether `/metrics` is served.",
  }),
  "shutdown.graceMs": option(integer(0, TEN_MINUTES_MS), {
    default: 10_000,
    unit: "milliseconds",
    sentence: "How long a stop may take in all before it goes on without those that hang.",
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
