-- The tasks that are scheduled in this phase, `ready` or `working`; null where there are more than one would look up one by one.
create or replace function agent_state.scheduled_in(p_phase text)
returns bigint[] language plpgsql stable as $$
declare
  c_few   constant integer := 10000;
  v_tasks bigint[];
begin
  if p_phase = 'working' then
    v_tasks := array(select t.task_no from agent_state.tasks t where t.worker_no is not null limit c_few + 1);
  else
    v_tasks := array(select t.task_no from agent_state.tasks t where t.turn is not null
                     union all select t.task_no from agent_state.tasks t where t.due_at is not null and t.run_at is not null limit c_few + 1);
  end if;
  return case when cardinality(v_tasks) <= c_few then v_tasks end;
end $$;

-- One page of a namespace's living states by id, without their documents; filters that are null do not filter.
-- States of a phase are found by listed_phase. That says nothing of pushed tasks that are ready, being worked on or completed: of the first
-- two the rows of tasks say which they are, where they are few; where there are many, one comes upon them in the order of ids.
create or replace function agent_state_api.list_states(
  p_namespace text, p_type text, p_scope text, p_phase text, p_prefix text, p_after text, p_limit integer)
returns table (namespace text, id text, type text, scope text, version bigint, step bigint, phase text, digest bytea,
               created_at timestamptz, updated_at timestamptz, expires_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_unlisted  constant boolean := p_phase in ('ready', 'working', 'completed') and coalesce(p_type, 'task') = 'task';
  v_scheduled constant bigint[] := case when p_type = 'task' and p_phase in ('ready', 'working') then agent_state.scheduled_in(p_phase) end;
begin
  return query execute
    'select s.namespace::text, s.id::text, s.type::text, coalesce(s.scope, s.id)::text, s.version, s.step, s.phase::text, s.digest,
            s.created_at, s.updated_at, s.expires_at
       from agent_state.states s
      where s.namespace = $1 and not s.deleted and (s.expires_at is null or s.expires_at > clock_timestamp())'
    || case when p_type is not null then ' and s.type = $2' else '' end
    || case when p_scope is not null then
         ' and s.scope_no = (select c.scope_no from agent_state.scopes c where c.namespace = $1 and c.scope = $3)' else '' end
    || case when v_scheduled is not null then
              ' and s.phase = $4 and (s.namespace = $1 and s.type = $2 and s.listed_phase = $4 or s.state_no = any ($8))'
            when v_unlisted then ' and s.phase = $4'
            when p_phase is not null then ' and s.listed_phase = $4' else '' end
    || case when p_prefix is not null then ' and s.id >= $5 and starts_with(s.id, $5)' else '' end
    || case when p_after is not null then ' and s.id > $6' else '' end
    || ' order by s.id limit $7'
  using p_namespace, p_type, p_scope, p_phase, p_prefix, p_after, p_limit, v_scheduled;
end $$;
