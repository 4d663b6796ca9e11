import type { Sql } from "./sql.ts";
import { until } from "./until.ts";

/** A database, and the same one on a replica. */
export interface Replicated {
  readonly main: Sql;
  readonly readonly: Sql;
}

/** Waits until the replica has all that main has on disk now, or at `lsn`. */
export async function waitForReplay({ main, readonly }: Replicated, lsn?: string): Promise<void> {
  const target = lsn ?? (await flushedLsn(main));
  const isThere = async (): Promise<unknown> => {
    const statement = "select pg_last_wal_replay_lsn() >= $1::pg_lsn as there";
    return (await readonly.sql(statement, [target]))[0]?.["there"];
  };
  await until(isThere, { what: `the replica's replay of ${target}` });
}

/** How far main's log is on disk: all that was acknowledged lies before it. */
export async function flushedLsn(main: Sql): Promise<string> {
  const [row] = await main.sql<{ lsn: string }>("select pg_current_wal_flush_lsn()::text as lsn");
  return row!.lsn;
}

/**
 * Holds the replica where it is, until `resumeReplay`; its reads go on. A whole server stands still:
 * only for a private one, as every test file stands on the run's own.
 */
export async function pauseReplay(readonly: Sql): Promise<void> {
  await readonly.sql("select pg_wal_replay_pause()");
  const isPaused = async (): Promise<boolean> => {
    const [row] = await readonly.sql("select pg_get_wal_replay_pause_state() as state");
    return row?.["state"] === "paused";
  };
  await until(isPaused, { what: "the pause of the replica" });
}

/** Lets a paused replica go on. */
export async function resumeReplay(readonly: Sql): Promise<void> {
  await readonly.sql("select pg_wal_replay_resume()");
}

/**
 * Cancels every read of the database that runs on the replica now, with 40001 "conflict with
 * recovery": main removes for good a row that such a read may still see. Resolves after that.
 */
export async function provokeConflict({ main, readonly }: Replicated): Promise<void> {
  const table = "public.removed_for_good";
  await main.sql(`create table ${table} as select 1 as one`);
  await main.sql(`delete from ${table}`);
  const isRemoved = async (): Promise<boolean> => {
    await main.sql(`vacuum ${table}`); // leaves the row as long as somebody on main may see it
    const [row] = await main.sql(`select pg_relation_size('${table}') = 0 as empty`);
    return row?.["empty"] === true;
  };
  await until(isRemoved, { what: "the end of all older transactions on main" });
  await waitForReplay({ main, readonly });
  await main.sql(`drop table ${table}`);
}
