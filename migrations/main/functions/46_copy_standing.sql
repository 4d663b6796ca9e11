-- Where this copy of the database stands, in the snapshot of the statement that asks: beside a read it says whether that
-- read is fresh enough. It is behind where it has not replayed up to a position of main's log, or where a scope that the caller
-- knows of has not come to its step.
create or replace function agent_state_api.copy_standing(p_position text, p_namespace text[], p_scope text[], p_step bigint[])
returns table (lineage text, is_copy boolean, is_behind boolean, "position" text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select (select m.value from agent_state.meta m where m.name = 'lineage'),
         pg_is_in_recovery(),
         coalesce(w.here < p_position::pg_lsn, false) or exists (
           select from unnest(p_namespace, p_scope, p_step) k(namespace, scope, step)
            where not exists (select from agent_state.scopes c
                                join agent_state.changes l on l.scope_no = c.scope_no and l.step >= k.step
                               where c.namespace = k.namespace and c.scope = k.scope)),
         w.here::text
    from (select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_flush_lsn() end) w(here)
$$;
