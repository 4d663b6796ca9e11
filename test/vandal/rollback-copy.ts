import { readFileSync } from "node:fs";
import type {
  CopiedChange,
  CopiedScope,
  CopyDigest,
  RollbackCopy,
  ScopeKey,
} from "../../src/state/fsck-ports.ts";
import type { FeedPosition } from "../../src/state/ports.ts";
import type { TestHome } from "../support/homes.ts";
import { openSql } from "../support/sql.ts";
import type { Sql } from "../support/sql.ts";

/** A rollback database of a test: filled when the test says so, and open to vandals. */
export interface CopyBench extends Sql {
  readonly copy: RollbackCopy;
  /** Takes over all that main holds now. */
  follow(main: Sql): Promise<void>;
  close(): Promise<void>;
}

/** A database with the schema of the rollback database. */
export async function openCopy(home: TestHome): Promise<CopyBench> {
  const database = await home.createDatabase();
  const pool = openSql(database.adminUrl);
  const sql: Sql["sql"] = (statement, values) => pool.sql(statement, values);
  await sql(readFileSync("migrations/rollback/0001_copies.sql", "utf8"));
  return {
    sql,
    copy: copyOver({ sql }),
    follow: (main) => follow(main, { sql }),
    close: async () => {
      await pool.close();
      await database.drop();
    },
  };
}

async function follow(main: Sql, copy: Sql): Promise<void> {
  await copy.sql("truncate agent_state.changes, agent_state.states, agent_state.scopes cascade");
  const take = async (table: string, from: string, columns: string): Promise<void> => {
    const [found] = await main.sql<{ rows: string | null }>(
      `select jsonb_agg(to_jsonb(r) ${table === "changes" ? "|| jsonb_build_object('body', r.body::text)" : ""})::text as rows from (${from}) r`,
    );
    const value = table === "changes" ? columns.replace("body", "body::json") : columns;
    const type =
      table === "changes"
        ? 'scope_no bigint, step bigint, position integer, state_no bigint, version bigint, at timestamptz, kind "char", stored "char", digest bytea, phase text, actor text, cause text, body text'
        : table === "states"
          ? "state_no bigint, scope_no bigint, namespace text, id text, type text"
          : "scope_no bigint, namespace text, scope text, pending_step bigint, promoted_step bigint";
    await copy.sql(
      `insert into agent_state.${table} (${columns}) overriding system value
       select ${value} from jsonb_to_recordset($1::jsonb) r(${type})`.replace(
        table === "changes" ? "overriding system value" : "\u0000",
        "",
      ),
      [found!.rows ?? "[]"],
    );
  };
  await take(
    "scopes",
    `select o.scope_no, o.namespace, o.scope, max(c.step) as pending_step, max(c.step) - 1 as promoted_step
       from agent_state.scopes o join agent_state.changes c using (scope_no) group by 1, 2, 3`,
    "scope_no, namespace, scope, pending_step, promoted_step",
  );
  await take(
    "states",
    "select state_no, scope_no, namespace, id, type from agent_state.states",
    "state_no, scope_no, namespace, id, type",
  );
  await take(
    "changes",
    "select scope_no, step, position, state_no, version, at, kind, stored, digest, phase, actor, cause, body from agent_state.changes",
    "scope_no, step, position, state_no, version, at, kind, stored, digest, phase, actor, cause, body",
  );
  const [head] = await main.sql(
    `select (select value from agent_state.meta where name = 'lineage') as lineage, max(feed_xid::text::bigint) as xid from agent_state.changes`,
  );
  await copy.sql("update agent_state.follower set lineage = $1, xid = $2, scope_no = 1000000", [
    head!["lineage"],
    head!["xid"],
  ]);
}

const SCOPES =
  "select namespace, scope, pending_step, promoted_step, broken from agent_state.scopes";

function copyOver(database: Sql): RollbackCopy {
  const sql: Sql["sql"] = (statement, values) => database.sql(statement, values);
  return {
    follower: async () => {
      const [row] = await sql<Record<string, string>>("select * from agent_state.follower");
      if (row === undefined || row["lineage"] === null) return null;
      const at: FeedPosition = {
        xid: BigInt(row["xid"]!),
        scopeNo: BigInt(row["scope_no"]!),
        step: BigInt(row["step"]!),
        position: Number(row["position"]),
      };
      return { lineage: row["lineage"]!, at };
    },
    scopes: async (after, limit) => {
      const page = `${SCOPES} where (namespace, scope) > ($1, $2) order by 1, 2 limit $3`;
      return (await sql(page, [after?.namespace ?? "", after?.scope ?? "", limit])).map(scopeOf);
    },
    scope: async ({ namespace, scope }) => {
      const rows = await sql(`${SCOPES} where namespace = $1 and scope = $2`, [namespace, scope]);
      return rows.map(scopeOf)[0] ?? null;
    },
    digests: async ({ namespace, scope }) =>
      (
        await sql(
          `select s.namespace, o.scope, s.id, c.version, c.step, c.phase, encode(c.digest, 'hex') as digest
             from agent_state.scopes o join agent_state.changes c using (scope_no) join agent_state.states s using (state_no)
            where o.namespace = $1 and o.scope = $2`,
          [namespace, scope],
        )
      ).map(digestOf),
    change: async ({ namespace, id, version }) => {
      const rows = await sql(
        `select s.namespace, s.id, c.version, c.step, c.position, c.at, c.kind, c.stored, c.phase, c.actor, c.cause, c.body::text as body
           from agent_state.states s join agent_state.changes c using (state_no)
          where s.namespace = $1 and s.id = $2 and c.version = $3`,
        [namespace, id, version.toString()],
      );
      return rows.map(changeOf)[0] ?? null;
    },
    markBroken: async ({ namespace, scope }: ScopeKey, reason) => {
      await sql("update agent_state.scopes set broken = $3 where namespace = $1 and scope = $2", [
        namespace,
        scope,
        reason,
      ]);
    },
  };
}

type Row = Record<string, unknown>;

function scopeOf(row: Row): CopiedScope {
  return {
    namespace: row["namespace"] as string,
    scope: row["scope"] as string,
    pendingStep: BigInt(row["pending_step"] as string),
    promotedStep: BigInt(row["promoted_step"] as string),
    broken: row["broken"] as string | null,
  };
}

function digestOf(row: Row): CopyDigest {
  return {
    ...(row as unknown as CopyDigest),
    version: BigInt(row["version"] as string),
    step: BigInt(row["step"] as string),
  };
}

function changeOf(row: Row): CopiedChange {
  return {
    ...(row as unknown as CopiedChange),
    version: BigInt(row["version"] as string),
    step: BigInt(row["step"] as string),
    stored: row["stored"] === "f" ? "full" : "delta",
  };
}
