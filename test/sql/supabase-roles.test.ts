import { afterAll, beforeAll, expect, test } from "vitest";
import { describeOnPrivateServers, openSupabase } from "../support/supabase.ts";
import type { Supabase } from "../support/supabase.ts";

describeOnPrivateServers("on a Supabase, the roles that it brings", (createDatabase) => {
  let supabase: Supabase;

  beforeAll(async () => {
    supabase = await openSupabase(createDatabase);
  });

  afterAll(() => supabase.close());

  async function functionsOf(role: string): Promise<string[]> {
    const rows = await supabase.sql<{ name: string }>(
      `select n.nspname || '.' || p.proname as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname like 'agent\\_state%' and has_function_privilege($1, p.oid, 'execute') order by 1`,
      [role],
    );
    return rows.map(({ name }) => name);
  }

  async function relationsOf(role: string): Promise<string[]> {
    const rows = await supabase.sql<{ name: string }>(
      `select c.relname || ' ' || privilege as name
         from pg_class c join pg_namespace n on n.oid = c.relnamespace,
              unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) privilege
        where n.nspname like 'agent\\_state%' and c.relkind = 'r' and has_table_privilege($1, c.oid, privilege)
        union all select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname like 'agent\\_state%' and case c.relkind when 'S' then has_sequence_privilege($1, c.oid, 'usage, select, update') end`,
      [role],
    );
    return rows.map(({ name }) => name);
  }

  async function schemasOf(role: string): Promise<string[]> {
    const rows = await supabase.sql<{ name: string }>(
      `select nspname as name from pg_namespace where nspname like 'agent\\_state%'
          and (has_schema_privilege($1, oid, 'usage') or has_schema_privilege($1, oid, 'create')) order by 1`,
      [role],
    );
    return rows.map(({ name }) => name);
  }

  test.each(["anon", "authenticated"])(
    "%s may do nothing, though what is new would be theirs by default",
    async (role) => {
      const [defaults] = await supabase.sql("select count(*)::integer as n from pg_default_acl");
      expect(defaults).toEqual({ n: 4 });
      expect(await schemasOf(role)).toEqual([]);
      expect(await functionsOf(role)).toEqual([]);
      expect(await relationsOf(role)).toEqual([]);
    },
  );

  test("service_role may call what an operator may, though it inherits nothing, and touch no table", async () => {
    expect(await schemasOf("service_role")).toEqual(["agent_state_api"]);
    expect(await functionsOf("service_role")).toEqual(await functionsOf("agent_state_operator"));
    expect(await functionsOf("service_role")).toContain("agent_state_api.commit_batch_json");
    expect(await relationsOf("service_role")).toEqual([]);
  });

  test("authenticator may become each of the three roles, and is none of them by itself", async () => {
    const rows = await supabase.sql(
      `select r.rolname as name, pg_has_role('authenticator', r.oid, 'member') as may, pg_has_role('authenticator', r.oid, 'usage') as is
         from pg_roles r where r.rolname like 'agent\\_state\\_%' order by 1`,
    );
    expect(rows).toEqual(
      ["operator", "reader", "writer"].map((role) => ({
        name: `agent_state_${role}`,
        may: true,
        is: false,
      })),
    );
    expect(await functionsOf("authenticator")).toEqual([]);
  });

  test("a second project on the server finds all of it there", async () => {
    const second = await openSupabase(createDatabase);
    const version = await second.openStore().describe();
    expect(version.server).toBe("PostgreSQL");
    await second.close();
  });
});
