import type pg from "pg";

/** The numbers of the steps that a database's books have. */
export async function booksOf(admin: pg.Client): Promise<unknown[]> {
  const { rows } = await admin.query<{ books: string | null }>(
    "select to_regclass('agent_state.migrations') as books",
  );
  if (rows[0]!.books === null) return [];
  return (await admin.query("select number from agent_state.migrations order by number")).rows;
}

/** Columns, constraints, indexes, functions, triggers, rights and lifecycles of a database, in words. */
export async function catalog(admin: pg.Client): Promise<unknown[]> {
  const { rows } = await admin.query<{ what: string }>(`
    with ours as (select oid, nspname from pg_namespace where nspname like 'agent\\_state%')
    select what from (
      select format('column %s.%s.%s %s %s %s %s', nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, pg_get_expr(d.adbin, d.adrelid)) as what
        from pg_attribute a join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'c') join ours on ours.oid = c.relnamespace
        left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum where a.attnum > 0
      -- PostgreSQL 18 lists "not null" among the constraints as well.
      union all select format('constraint %s on %s: %s', conname, conrelid::regclass, pg_get_constraintdef(k.oid))
        from pg_constraint k join ours on ours.oid = k.connamespace where contype <> 'n'
      union all select pg_get_indexdef(i.indexrelid) from pg_index i join pg_class c on c.oid = i.indrelid join ours on ours.oid = c.relnamespace
      union all select format('%s rows %s %s', nspname, c.relname, c.relrowsecurity) || coalesce(array_to_string(c.reloptions, ','), '')
        from pg_class c join ours on ours.oid = c.relnamespace where c.relkind = 'r'
      union all select case p.prokind when 'a' then p.oid::regprocedure::text else pg_get_functiondef(p.oid) end || array_to_string(array(select unnest(p.proacl)::text order by 1), ' ')
        from pg_proc p join ours on ours.oid = p.pronamespace
      union all select pg_get_triggerdef(t.oid) from pg_trigger t join pg_class c on c.oid = t.tgrelid join ours on ours.oid = c.relnamespace
        where not t.tgisinternal) s
    order by what collate "C"`);
  const books = await booksOf(admin);
  const moves = await admin.query(
    "select * from agent_state.transitions order by type, from_phase, to_phase",
  );
  // The superuser that owns it all has another name on each server.
  const {
    rows: [me],
  } = await admin.query<{ name: string }>("select current_user as name");
  return [
    ...rows.map(({ what }) => what.replaceAll(me!.name, "OWNER")),
    ...books,
    ...(moves.rows as unknown[]),
  ];
}
