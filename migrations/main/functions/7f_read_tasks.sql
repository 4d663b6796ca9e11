-- Tasks as they are, by id: what they are about is their document; also their children, oldest first, and what they did outside. One that ended so long
-- ago that scheduling forgot it (prune_tasks) is what its document says.
create or replace function agent_state_api.read_tasks(p_namespace text, p_id text[])
returns table (id text, stack text, kind text, phase text, seq bigint, priority integer, depth integer, parent text, epoch bigint, attempt integer,
               deadline timestamptz, lease_until timestamptz, created_at timestamptz, document json, worker text, run_at timestamptz, held_since timestamptz,
               children json, effects json)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
  set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query
  select s.id, coalesce(s.scope, s.id), coalesce(t.kind, d.document ->> 'kind'), coalesce(t.phase, s.phase), t.seq,
         coalesce(t.priority, (d.document ->> 'priority')::integer), coalesce(t.depth, 0), case when t.task_no is null then d.document ->> 'parent' else q.id end,
         coalesce(t.epoch, agent_state.count_or_null(d.document ->> 'epoch'), 0),
         coalesce(t.attempt, agent_state.count_or_null(d.document ->> 'attempt')::integer, 0), t.deadline,
         w.lease_until, s.created_at, d.document, w.worker, t.run_at, case when t.worker_no is not null then agent_state.held_since(t.task_no) end,
         (select coalesce(json_agg(json_build_object('id', x.id, 'phase', c.phase) order by c.task_no), '[]')
            from agent_state.tasks c join agent_state.states x on x.state_no = c.task_no where c.parent_no = t.task_no),
         (select coalesce(json_agg(json_build_object('key', e.key, 'epoch', e.epoch::text, 'receipt', e.receipt, 'begunAt', e.begun_at, 'doneAt', e.done_at,
                                     'standing', case when e.done_at is not null then 'done' when e.epoch = t.epoch and t.worker_no is not null then 'begun'
                                                      else 'in_doubt' end) order by e.begun_at), '[]')
            from agent_state.effects e where e.task_no = t.task_no)
    from unnest(p_id) with ordinality i(id, n)
    cross join lateral (select x.* from agent_state.states x where x.namespace = p_namespace and x.id = i.id and x.type = 'task' and not x.deleted limit 1) s
    cross join lateral (select agent_state.document(s.state_no, s.version) as document offset 0) d
    left join agent_state.tasks t on t.task_no = s.state_no
    left join agent_state.workers w on w.worker_no = t.worker_no
    left join agent_state.states q on q.state_no = t.parent_no
   where t.task_no is not null
      or s.phase in ('completed', 'failed', 'canceled', 'rejected') and agent_state.is_task_document(d.document, coalesce(s.scope, s.id))
   order by i.n;
end $$;

-- The living tasks of a stack in the order in which they run: the one that is held, then the others, the highest first; those
-- that are not due yet at the end. Those that wait stand where they will be once what they wait for is there. Nothing that ended is looked at.
create or replace function agent_state_api.read_stack(p_namespace text, p_stack text, p_limit integer)
returns table (id text, stack text, kind text, phase text, seq bigint, priority integer, depth integer, parent text, epoch bigint, attempt integer,
               deadline timestamptz, lease_until timestamptz, created_at timestamptz, document json, worker text, run_at timestamptz, held_since timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
  set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query
  with stack as materialized (
    select k.stack_no, k.working_no from agent_state.scopes o join agent_state.stacks k on k.stack_no = o.scope_no
     where o.namespace = p_namespace and o.scope = p_stack
  ), living as (
    select k.working_no as task_no from stack k where k.working_no is not null
    union
    select h.task_no from stack k
      cross join lateral (select x.task_no from agent_state.tasks x where x.stack_no = k.stack_no and x.turn is not null
                           order by x.stack_no desc, x.priority desc, x.turn desc limit p_limit) h
    union
    select x.task_no from stack k join agent_state.tasks x on x.stack_no = k.stack_no and x.ended_at is null and x.turn is null and x.worker_no is null
  )
  select s.id, p_stack, t.kind, t.phase, t.seq, t.priority, t.depth, q.id, t.epoch, t.attempt, t.deadline, w.lease_until, s.created_at,
         agent_state.document(s.state_no, s.version), w.worker, t.run_at, case when t.worker_no is not null then agent_state.held_since(t.task_no) end
    from (select x.* from living l join agent_state.tasks x on x.task_no = l.task_no and x.ended_at is null
            join agent_state.states y on y.state_no = x.task_no and not y.deleted
           order by x.worker_no is null, x.seq is null, x.priority desc, x.seq desc, x.run_at, x.task_no limit p_limit) t
    join agent_state.states s on s.state_no = t.task_no
    left join agent_state.workers w on w.worker_no = t.worker_no
    left join agent_state.states q on q.state_no = t.parent_no
   order by t.worker_no is null, t.seq is null, t.priority desc, t.seq desc, t.run_at, t.task_no;
end $$;

-- When a task was claimed that is held; null where history does not go back so far.
create or replace function agent_state.held_since(p_task_no bigint)
returns timestamptz language plpgsql stable as $$
begin
  return (select c.at from agent_state.changes c where c.state_no = p_task_no and c.cause = 'claimed' order by c.version desc limit 1);
end $$;
