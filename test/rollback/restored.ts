import { expect } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/options.ts";
import { restoreMain } from "../../src/runtime/restore-main.ts";
import type { RestoreCall, RestoreReport } from "../../src/runtime/restore-main.ts";
import type { TestDatabase } from "../support/homes.ts";
import type { Sql } from "../support/sql.ts";

/** A configuration with these databases. */
export function configWith(urls: { readonly main?: string; readonly rollback?: string }): Config {
  // A socket folder without a host is no URL to a URL parser.
  const named = (url = ""): string => url.replace("@/", "@localhost/");
  const flags = { "supabase-main": named(urls.main), "supabase-rollback": named(urls.rollback) };
  return loadConfig({ flags: { ...flags }, env: {}, cwd: "/" });
}

/** Rebuilds a database from the rollback database, as the command does. */
export function restoreInto(
  main: TestDatabase,
  rollback: { readonly url: string },
  call: Partial<RestoreCall> = {},
): Promise<RestoreReport> {
  return restoreMain(configWith({ main: main.adminUrl, rollback: rollback.url }), {
    until: "newest",
    signal: new AbortController().signal,
    onProgress: () => undefined,
    ...call,
  });
}

/** Every change that a main or a rollback database holds, in its words, with all that a restore keeps. */
export async function loggedIn(database: Sql, where = "true"): Promise<readonly object[]> {
  return await database.sql(
    `select o.namespace, o.scope, c.step, c.position, s.id, s.type, c.version, c.kind::text, c.stored::text, encode(c.digest, 'hex') as digest,
            c.phase, c.actor, c.cause, c.at, c.body::text
       from agent_state.changes c
       join agent_state.states s on s.state_no = c.state_no
       join agent_state.scopes o on o.scope_no = c.scope_no
      where ${where} order by o.namespace, o.scope, s.id, c.version`,
  );
}

/** Living states as they are in main, by what a restore keeps of them. */
export async function livingIn(database: Sql): Promise<readonly object[]> {
  return await database.sql(
    `select s.namespace, s.id, s.type, coalesce(s.scope, s.id) as scope, s.version, s.step, s.phase, s.deleted, s.updated_at,
            encode(s.digest, 'hex') as digest, agent_state.document(s.state_no, s.version)::text as document
       from agent_state.states s order by s.namespace, s.id`,
  );
}

/** What must hold in a main that was restored: every chain proves, and each state's row says what its log says. */
export async function expectSound(database: Sql): Promise<void> {
  const rows = await database.sql(
    `select s.id, agent_state_api.verify_state(s.namespace, s.id) as broken
       from agent_state.states s
       join lateral (select * from agent_state.changes c where c.state_no = s.state_no order by c.version desc limit 1) l on true
      where agent_state_api.verify_state(s.namespace, s.id) is not null
         or (s.version, s.step, s.digest, s.phase) is distinct from (l.version, l.step, l.digest, l.phase)`,
  );
  expect(rows).toEqual([]);
  const [, ...faults] = await database.sql(
    "select check_name, id, version, detail from agent_state_api.check_states(0, 2147483647)",
  );
  expect(faults, "what the detector finds").toEqual([]);
  const strays = await database.sql("select what, state_no, version from agent_state.strays");
  expect(strays, "what counts as made by hand").toEqual([]);
}
