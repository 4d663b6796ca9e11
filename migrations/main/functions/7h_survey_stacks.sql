-- How stacks do, those after a number: how many of their tasks wait for a worker (counted up to 10,000), and how long the lowest of these,
-- which newest first starves longest, has not moved.
create or replace function agent_state_api.survey_stacks(p_after bigint, p_limit integer)
returns table (stack_no bigint, namespace text, stack text, waiting integer, id text, waited_ms bigint)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
  set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query
  select k.stack_no, k.namespace, o.scope, d.waiting::integer, s.id, (extract(epoch from clock_timestamp() - s.updated_at) * 1000)::bigint
    from (select x.stack_no, x.namespace from agent_state.stacks x where x.stack_no > p_after order by x.stack_no limit p_limit) k
    join agent_state.scopes o on o.scope_no = k.stack_no
    cross join lateral (select count(*) as waiting
                          from (select from agent_state.tasks t where t.stack_no = k.stack_no and t.turn is not null limit 10000) c) d
    left join lateral (select t.task_no from agent_state.tasks t where t.stack_no = k.stack_no and t.turn is not null
                        order by t.stack_no, t.priority, t.turn limit 1) b on true
    left join agent_state.states s on s.state_no = b.task_no
   order by k.stack_no;
end $$;
