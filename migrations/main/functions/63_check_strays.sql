-- What was touched without the functions of this schema, after a number: which states to look at. state_no null: all of them.
create or replace function agent_state_api.read_strays(p_after bigint, p_limit integer)
returns table (stray_no bigint, state_no bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select x.stray_no, x.state_no from agent_state.strays x where x.stray_no > p_after order by x.stray_no limit p_limit
$$;

-- They have been looked at, and what was found is recorded. Notes of changes that were put into the log by hand and are
-- still there, or taken out and are missing, stay: they tell what digests cannot, where somebody computed good ones.
create or replace function agent_state_api.settle_strays(p_stray_no bigint[])
returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_count integer;
begin
  delete from agent_state.strays x
   where x.stray_no = any (p_stray_no)
     and case x.what when 'INSERT changes' then not exists (select from agent_state.changes c where c.state_no = x.state_no and c.version = x.version)
                     when 'DELETE changes' then exists (select from agent_state.changes c where c.state_no = x.state_no and c.version = x.version)
                     else true end;
  get diagnostics v_count = row_count;
  return v_count;
end $$;

-- The states that the newest settled changes were made to.
create or replace function agent_state_api.newest_states(p_limit integer)
returns table (state_no bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
  select distinct c.state_no
    from (select l.state_no from agent_state.changes l where l.feed_xid < pg_snapshot_xmin(pg_current_snapshot())
           order by l.feed_xid desc, l.scope_no desc, l.step desc, l.position desc limit p_limit) c
$$;
