import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { systemClock } from "../service/clock.ts";
import { AgentRuntimeError } from "../state/errors.ts";
import { checkSchema } from "./check-schema.ts";
import { clientConfig, destroy } from "./connection.ts";
import type { ConnectionOptions } from "./connection.ts";
import { failureOf, sqlState } from "./failure.ts";
import { openPostgresTransport } from "./postgres-transport.ts";

const NOTIFY_MS = 3_000;
const CATCH_UP_MS = 10_000;
const LOOK_AGAIN_MS = 100;

/** What one look at a database tells. */
export interface Examination {
  readonly server: ServerRow;
  /** Functions of the schema that the login may not call. */
  readonly denied: readonly string[];
  readonly schemaFault: string | null;
  readonly isPooled: boolean;
  readonly hearsNotify: boolean | null;
  readonly hasCaughtUp: boolean | null;
  readonly skewMs: number;
  readonly roundTripMs: number;
}

interface ServerRow {
  readonly version: string;
  readonly version_number: number;
  readonly is_replica: boolean;
  readonly is_paused: boolean;
  readonly login: string;
  readonly is_superuser: boolean;
  readonly may_bypass: boolean;
  readonly writable_tables: number;
  readonly may_change: boolean;
  readonly fsync: string;
  readonly full_page_writes: string;
  readonly synchronous_commit: string;
  /** Up to where its log is on disk, or replayed. */
  readonly position: string;
  readonly pid: number;
  readonly at_ms: number;
  readonly system_identifier: string | null;
}

const SERVER = `
select current_setting('server_version') as version, current_setting('server_version_num')::integer as version_number,
       pg_is_in_recovery() as is_replica,
       case when pg_is_in_recovery() then pg_is_wal_replay_paused() else false end as is_paused,
       current_user::text as login, r.rolsuper as is_superuser, r.rolbypassrls as may_bypass,
       (select count(*)::integer from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'agent_state' and c.relkind in ('r', 'p')
           and has_table_privilege(c.oid, 'insert, update, delete, truncate')) as writable_tables,
       (select coalesce(bool_or(has_schema_privilege(n.oid, 'create')), false) from pg_namespace n
         where n.nspname in ('agent_state', 'agent_state_api')) as may_change,
       current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes,
       current_setting('synchronous_commit') as synchronous_commit,
       (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_flush_lsn() end)::text as position,
       pg_backend_pid() as pid,
       (extract(epoch from clock_timestamp()) * 1000)::float8 as at_ms
  from pg_roles r where r.rolname = current_user`;

const DENIED = `
select p.proname::text as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
 where n.nspname = 'agent_state_api' and not has_function_privilege(p.oid, 'execute')
   and (not $1 or has_function_privilege((select oid from pg_roles where rolname = 'agent_state_reader'), p.oid, 'execute'))
 order by 1`;

/**
 * Looks at a database from outside; changes nothing, and needs no right but to connect.
 *
 * @param mustReach where main's log stood: a replica is waited for until it came there, for a while.
 * @throws {AgentRuntimeError} UNAVAILABLE: it cannot be reached, or does not let this login in.
 */
export async function examineDatabase(
  options: ConnectionOptions,
  role: "main" | "readonly" | "rollback",
  mustReach: string | null = null,
): Promise<Examination> {
  const client = new pg.Client(clientConfig(options));
  client.on("error", () => undefined);
  try {
    await client.connect();
    const started = systemClock.now();
    const server = await readServer(client);
    const ended = systemClock.now();
    const identifier = await identifierOf(client);
    const told = (client as unknown as { readonly processID: number }).processID;
    return {
      server: { ...server, system_identifier: identifier },
      denied: await deniedTo(client, server),
      schemaFault: await schemaFaultOf(options, role),
      isPooled: server.pid !== told,
      hearsNotify:
        role === "main" && !server.is_replica ? await hearsNotify(client, options) : null,
      hasCaughtUp: mustReach === null ? null : await catchesUp(client, server, mustReach),
      skewMs: server.at_ms - (started + ended) / 2,
      roundTripMs: ended - started,
    };
  } catch (error) {
    throw failureOf(error, false);
  } finally {
    destroy(client);
  }
}

async function readServer(client: pg.Client): Promise<ServerRow> {
  const { rows } = await client.query<ServerRow>(SERVER);
  return rows[0]!;
}

/** Not every hosted server lets everybody ask. */
async function identifierOf(client: pg.Client): Promise<string | null> {
  try {
    const { rows } = await client.query<{ id: string }>(
      "select system_identifier::text as id from pg_control_system()",
    );
    return rows[0]!.id;
  } catch {
    return null;
  }
}

/** A replica is only read from: it needs what a reader needs. */
async function deniedTo(
  client: pg.Client,
  { is_replica: isReplica }: ServerRow,
): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(DENIED, [isReplica]);
  return rows.map(({ name }) => name);
}

/** What `checkSchema` says against it. */
async function schemaFaultOf(
  options: ConnectionOptions,
  role: "main" | "readonly" | "rollback",
): Promise<string | null> {
  const transport = openPostgresTransport({ ...options, lanes: 1, readers: 1 });
  try {
    await checkSchema(transport.reader, role === "rollback" ? "rollback" : "main");
    return null;
  } catch (error) {
    if (!(error instanceof AgentRuntimeError)) throw error;
    const state = sqlState(error.cause);
    if (state === "42501") return "this login may not read it: see its grants";
    return state === "42883" || state === "3F000"
      ? "it has no schema of this program"
      : error.message;
  } finally {
    await transport.close();
  }
}

/** Listens on one connection, tells on another: behind a pooler by the transaction it is not heard. */
async function hearsNotify(listener: pg.Client, options: ConnectionOptions): Promise<boolean> {
  const channel = `agent_state_doctor_${randomUUID().replaceAll("-", "")}`;
  const teller = new pg.Client(clientConfig(options));
  teller.on("error", () => undefined);
  try {
    await teller.connect();
    const heard = new Promise<boolean>((resolve) => {
      listener.on("notification", (message) => {
        if (message.channel === channel) resolve(true);
      });
    });
    await listener.query(`listen ${channel}`);
    await teller.query("select pg_notify($1, '')", [channel]);
    return await Promise.race([heard, sleep(NOTIFY_MS, false, { ref: false })]);
  } finally {
    await listener.query(`unlisten ${channel}`).catch(() => undefined);
    destroy(teller);
  }
}

/** One that is paused, or is no replica, is not waited for. */
async function catchesUp(
  client: pg.Client,
  { is_replica: isReplica, is_paused: isPaused }: ServerRow,
  position: string,
): Promise<boolean> {
  const patience = isReplica && !isPaused ? CATCH_UP_MS : 0;
  const deadline = systemClock.monotonicMs() + patience;
  for (;;) {
    const { rows } = await client.query<{ is_there: boolean }>(
      "select pg_is_in_recovery() and pg_last_wal_replay_lsn() >= $1::pg_lsn as is_there",
      [position],
    );
    if (rows[0]!.is_there) return true;
    if (systemClock.monotonicMs() >= deadline) return false;
    await sleep(LOOK_AGAIN_MS);
  }
}
