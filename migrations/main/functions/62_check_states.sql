-- One page of states checked (check_range), by their numbers. The first row has no check: its state_no is how far this
-- looked (null: to the end), its version how many states that were. Runs on one snapshot: commits do not disturb it.
create or replace function agent_state_api.check_states(p_after bigint, p_limit integer)
returns table (check_name text, namespace text, scope text, id text, state_no bigint, version bigint, step bigint, detail text, evidence jsonb)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_count bigint;
  v_last  bigint;
begin
  select count(*), max(s.state_no) into v_count, v_last
    from (select x.state_no from agent_state.states x where x.state_no > p_after order by x.state_no limit p_limit) s;
  return query select null::text, null::text, null::text, null::text, case when v_count = p_limit then v_last end, v_count, null::bigint, null::text, null::jsonb;
  return query select * from agent_state.named_faults(p_after, case when v_count = p_limit then v_last else 9223372036854775807 end);
end $$;

-- The faults of a range of states, with their names.
create or replace function agent_state.named_faults(p_after bigint, p_to bigint)
returns table (check_name text, namespace text, scope text, id text, state_no bigint, version bigint, step bigint, detail text, evidence jsonb)
language sql stable as $$
  select f.check_name, coalesce(s.namespace, o.namespace), coalesce(o.scope, s.scope, s.id), s.id, f.state_no, f.version, f.step, f.detail, f.evidence
    from (select * from agent_state.check_range(p_after, p_to) union all select * from agent_state.check_tasks(p_after, p_to)
          union all select * from agent_state.check_orphans(p_after, p_to)) f
    left join agent_state.states s on s.state_no = f.state_no
    left join agent_state.scopes o on o.scope_no = coalesce(s.scope_no, f.scope_no)
   order by f.state_no, f.version
$$;

-- Some states checked, by their numbers, as far as they or changes of them are there.
create or replace function agent_state_api.check_these(p_state_no bigint[])
returns table (check_name text, namespace text, scope text, id text, state_no bigint, version bigint, step bigint, detail text, evidence jsonb)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select f.* from (select distinct n from unnest(p_state_no) n) i, lateral agent_state.named_faults(i.n - 1, i.n) f
$$;

-- The numbers of a scope's states, in pages: what check_these takes.
create or replace function agent_state_api.scope_state_numbers(p_namespace text, p_scope text, p_after bigint, p_limit integer)
returns table (state_no bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select s.state_no from agent_state.scopes o join agent_state.states s on s.scope_no = o.scope_no
   where o.namespace = p_namespace and o.scope = p_scope and s.state_no > coalesce(p_after, 0)
   order by s.state_no limit p_limit
$$;
