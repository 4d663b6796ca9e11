import type { ServerName } from "./servers.ts";

/** What the settings of a server depend on. */
export interface SettingsInput {
  /** PostgreSQL's major version. */
  readonly major: number;
  /** Whether the build knows lz4; the npm binaries do not. */
  readonly hasLz4: boolean;
  readonly sharedBuffersMiB: number;
  readonly name: ServerName;
  /** What the replica follows main with. */
  readonly mainConnection: string;
  /** How much of the disk its log may take: what main keeps for a replica that is away, at least. */
  readonly keptLogMiB: number;
}

/** The file in a server's data that holds them, read after postgresql.conf. */
export const SETTINGS_FILE = "agent_runtime.conf";

/** The slot with which main keeps its log for the replica. */
export const REPLICA_SLOT = "readonly";

/**
 * The settings of a server, as the text of a configuration file.
 *
 * Written at every start, so that a new version of this program brings its own. ALTER SYSTEM
 * stands above them; durability and the socket stand on the command line, above both.
 */
export function settingsText(input: SettingsInput): string {
  const lines = Object.entries(settings(input)).map(
    ([name, value]) => `${name} = '${value.replaceAll(/['\\]/g, String.raw`\$&`)}'\n`,
  );
  return `# Written at every start. Your own settings: ALTER SYSTEM SET ...\n${lines.join("")}`;
}

/**
 * What nobody may switch off, for the command line.
 *
 * @param socketFolder relative to the server's data, so that it is never too long for a socket.
 */
export function fixedSettings(port: number, socketFolder: string): string[] {
  const fixed = {
    unix_socket_directories: `"${socketFolder.replaceAll('"', '""')}"`,
    unix_socket_permissions: "0700",
    listen_addresses: "",
    port: String(port),
    fsync: "on",
    full_page_writes: "on",
    synchronous_commit: "on",
    logging_collector: "off",
    log_destination: "stderr",
  };
  return Object.entries(fixed).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

function settings(input: SettingsInput): Record<string, string> {
  return {
    cluster_name: `agent_runtime_${input.name}`,
    max_connections: "40",
    timezone: "UTC",
    ...memorySettings(input),
    ...processSettings(input),
    ...walSettings(input),
    ...roleSettings(input),
    ...logSettings(),
  };
}

function roleSettings(input: SettingsInput): Record<string, string> {
  if (input.name === "readonly") return replicaSettings(input.mainConnection);
  // Both count only after a restore: nobody has more of the log than lies there, and it is not open
  // for reading, and so for somebody's first look, before all of that is replayed.
  return { restore_command: "false", hot_standby: "off" };
}

function replicaSettings(mainConnection: string): Record<string, string> {
  return {
    primary_conninfo: mainConnection,
    primary_slot_name: REPLICA_SLOT,
    // A long read here must neither keep main from cleaning up (feedback would), nor hold back for
    // long what everybody else reads here: after a second in its way it is canceled, and its caller
    // reads again, or on main.
    hot_standby_feedback: "off",
    max_standby_streaming_delay: "1s",
    max_standby_archive_delay: "1s",
    wal_receiver_status_interval: "1s",
    wal_retrieve_retry_interval: "500ms", // how soon it follows again after main was restarted
  };
}

/** The replica reads little that is not in this program's memory; the rollback server reads rarely. */
const MOST_BUFFERS_MIB = { main: Infinity, readonly: 32, rollback: 16 };

function memorySettings(input: SettingsInput): Record<string, string> {
  const { sharedBuffersMiB, name, hasLz4 } = input;
  return {
    shared_buffers: `${Math.min(sharedBuffersMiB, MOST_BUFFERS_MIB[name])}MB`, // resident only once it is touched
    huge_pages: "off", // would be resident at once
    work_mem: "8MB",
    maintenance_work_mem: "64MB",
    effective_cache_size: "512MB",
    random_page_cost: "1.1",
    jit: "off", // its compiler costs more memory than short statements ever win back
    default_toast_compression: hasLz4 ? "lz4" : "pglz",
  };
}

/** Each idle process costs a few megabytes, and there are few cores to use. */
function processSettings({ major }: SettingsInput): Record<string, string> {
  return {
    client_connection_check_interval: "5s", // nobody is left to answer: what was begun for them ends
    max_worker_processes: "2",
    max_parallel_workers: "0",
    max_parallel_workers_per_gather: "0",
    max_parallel_maintenance_workers: "0",
    max_logical_replication_workers: "0",
    autovacuum_max_workers: "2",
    autovacuum_naptime: "30s",
    ...(major >= 18 ? { io_method: "sync", autovacuum_worker_slots: "2" } : {}),
  };
}

const LEAST_LOG_MIB = 96; // PostgreSQL's own least is two segments; this is a few
const MOST_LOG_MIB = 1_024;

function walSettings({ hasLz4, keptLogMiB }: SettingsInput): Record<string, string> {
  const logMiB = Math.min(MOST_LOG_MIB, Math.max(LEAST_LOG_MIB, keptLogMiB));
  return {
    wal_level: "replica",
    max_wal_senders: "6", // the replica, its copy, a backup, and as many of somebody else's
    max_replication_slots: "6",
    max_slot_wal_keep_size: `${keptLogMiB}MB`, // one that stays away must not fill the disk
    wal_buffers: "4MB",
    wal_compression: hasLz4 ? "lz4" : "off", // pglz would cost more time than the bytes it saves
    min_wal_size: "80MB",
    max_wal_size: `${logMiB}MB`, // a server on a small disk must not fill it with its log
    checkpoint_timeout: "10min",
  };
}

function logSettings(): Record<string, string> {
  return {
    log_timezone: "UTC",
    log_line_prefix: "%m [%p] ",
    log_min_error_statement: "panic", // statements may hold what users stored
    log_startup_progress_interval: "5s", // shows that a long recovery is alive
  };
}
