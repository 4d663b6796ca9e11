-- Takes from workers whose lease ran out what they held: their epoch is over, the tasks are ready for others. One that is being
-- canceled is canceled. One that crashed its holder too often in a row, without a checkpoint between, is confused: it would go on so.
create or replace function agent_state.take_over(p_worker_no bigint[])
returns integer language plpgsql as $$
declare
  c_crashes constant integer := coalesce((select m.value::integer from agent_state.meta m where m.name = 'crash_budget'), 3);
  v_tasks   bigint[];
  v_moves   agent_state.task_move[];
begin
  select array_agg(t.task_no) into v_tasks from unnest(p_worker_no) u(worker_no) join agent_state.tasks t on t.worker_no = u.worker_no
   where not exists (select from agent_state.holds h where h.scope_no = t.stack_no);
  if v_tasks is null then return 0; end if;
  perform agent_state.lock_stacks(v_tasks);
  select array_agg(row(t.task_no, n.phase, case n.phase when 'confused' then '{"m":{"reason":"it lost its worker too often"}}' else '{"m":{}}' end,
                       case n.phase when 'canceled' then '{"error":{"message":"canceled"}}' end, true, null, false, t.crashes + 1,
                       null, null, null, null, null, null, null, 'lease lost')::agent_state.task_move order by t.task_no)
    into v_moves
    from unnest(v_tasks) u(task_no) join agent_state.tasks t on t.task_no = u.task_no
    join agent_state.workers w on w.worker_no = t.worker_no and w.lease_until <= clock_timestamp(),
         lateral (select case when t.phase = 'canceling' then 'canceled' when t.crashes >= c_crashes then 'confused' else 'ready' end as phase) n;
  perform agent_state.move_tasks(v_moves, null);
  return coalesce(cardinality(v_moves), 0);
end $$;

-- What time makes of tasks: who was delayed arrives, who backed off may be next again, timers ring, waits and lives end.
create or replace function agent_state.ring_tasks(p_limit integer)
returns integer language plpgsql as $$
declare
  v_now   timestamptz := clock_timestamp();
  v_tasks bigint[];
  v_moves agent_state.task_move[];
begin
  select array_agg(d.task_no) into v_tasks
    from (select t.task_no from agent_state.tasks t
           where t.due_at <= v_now and not exists (select from agent_state.holds h where h.scope_no = t.stack_no)
           order by t.due_at limit p_limit) d;
  if v_tasks is null then return 0; end if;
  perform agent_state.lock_stacks(v_tasks);
  select array_agg(row(t.task_no, n.phase,
                       case when n.reason is not null then json_build_object('m', json_build_object('error', json_build_object('message', n.reason)))
                            when t.phase in ('submitted', 'waiting') then '{"m":{"wait":null}}' when n.phase is not null then '{"m":{}}' end,
                       case when n.reason is not null then json_build_object('error', json_build_object('message', n.reason)) end,
                       t.worker_no is not null, n.phase = 'ready' and t.phase = 'submitted', t.phase = 'waiting', null,
                       null, null, null, null, null, null, null, coalesce(n.reason, 'due'))::agent_state.task_move order by t.due_at, t.task_no)
    into v_moves
    from unnest(v_tasks) u(task_no) join agent_state.tasks t on t.task_no = u.task_no and t.due_at <= v_now,
         lateral (select case when t.phase = 'canceling' then 'canceled' when t.deadline <= v_now then 'failed'
                              when t.wait_until <= v_now then case t.wait_for when 'timer' then 'ready' else 'failed' end
                              when t.phase = 'submitted' then 'ready' end as phase,
                         case when t.phase = 'canceling' then 'canceled' when t.deadline <= v_now then 'its deadline passed'
                              when t.wait_until <= v_now and t.wait_for <> 'timer' then 'what it waited for did not come in time' end as reason) n;
  perform agent_state.move_tasks(v_moves, null);
  return coalesce(cardinality(v_moves), 0);
end $$;

-- The tasks whose ends stand among the results of another one. What is no array, somebody wrote by hand.
create or replace function agent_state.ends_in(p_results json)
returns setof text language sql immutable as $$
  select r ->> 'id' from json_array_elements(case when json_typeof(p_results) = 'array' then p_results else '[]' end) r
   where r ->> 'from' = 'task' and r ->> 'id' is not null
$$;

-- Puts right what was changed past the functions of tasks: results that their parent does not have, stacks whose next task is not known.
create or replace function agent_state.reconcile_tasks(p_limit integer)
returns integer language plpgsql as $$
declare
  v_tasks  bigint[];
  v_stacks bigint[];
begin
  select array_agg(d.task_no order by d.task_no) into v_tasks
    from (select t.task_no from agent_state.tasks t
           cross join lateral (select x.stack_no from agent_state.tasks x where x.task_no = t.parent_no limit 1) q
           where t.ended_at is not null and not t.is_told and t.parent_no is not null
             and not exists (select from agent_state.holds h where h.scope_no = q.stack_no) order by t.task_no limit p_limit) d;
  select array_agg(d.stack_no) into v_stacks
    from (select k.stack_no from agent_state.stacks k where k.unsettled and not exists (select from agent_state.holds h where h.scope_no = k.stack_no)
           limit p_limit) d;
  if v_tasks is null and v_stacks is null then return 0; end if;
  perform from agent_state.stacks k
    where k.stack_no = any (v_stacks) or k.stack_no in (select q.stack_no from agent_state.tasks t join agent_state.tasks q on q.task_no = t.parent_no
                                                         where t.task_no = any (v_tasks))
    order by k.stack_no for update;
  -- A parent that ended needs to hear of nothing; one that has an end among its results already, whatever is noted, not again.
  with parents as materialized (
    select q.task_no, q.ended_at, case when q.ended_at is null then agent_state.document_or_null(s.state_no, s.version) -> 'results' end as results
      from agent_state.tasks q join agent_state.states s on s.state_no = q.task_no
     where q.task_no in (select t.parent_no from agent_state.tasks t where t.task_no = any (v_tasks))
  )
  update agent_state.tasks t set is_told = true
    from parents q, agent_state.states x
   where t.task_no = any (v_tasks) and q.task_no = t.parent_no and x.state_no = t.task_no
     and (q.ended_at is not null or x.id in (select e.id from agent_state.ends_in(q.results) e(id)));
  perform agent_state.follow_up(v_stacks, v_tasks,
    (select array_agg(json_build_object(case when t.phase = 'completed' then 'result' else 'error' end,
                                        agent_state.document(s.state_no, s.version) -> case when t.phase = 'completed' then 'result' else 'error' end)
                      order by t.task_no)
       from agent_state.tasks t join agent_state.states s on s.state_no = t.task_no where t.task_no = any (v_tasks)), null);
  return coalesce(cardinality(v_tasks), 0) + coalesce(cardinality(v_stacks), 0);
end $$;

-- What is due: to be called once a second by every process that runs tasks; one of them does it. At most p_limit of each; `more`: call
-- again. `next_due`: the next moment at which a task becomes due.
-- p_crash_budget: how often in a row a task may lose its worker; it is kept, for takeovers between two sweeps.
create or replace function agent_state_api.sweep_tasks(p_limit integer, p_crash_budget integer default 3)
returns table (taken_over integer, rung integer, reconciled integer, more boolean, next_due timestamptz)
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
  set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  v_workers bigint[];
  v_tries   integer := 0;
begin
  if not pg_try_advisory_xact_lock(hashtext('agent_state.sweep_tasks')) then return; end if;
  if coalesce((select m.value from agent_state.meta m where m.name = 'crash_budget'), '3') <> p_crash_budget::text then
    insert into agent_state.meta as m values ('crash_budget', p_crash_budget::text) on conflict (name) do update set value = excluded.value;
  end if;
  loop
    begin
      select array_agg(w.worker_no) into v_workers
        from (select w.worker_no from agent_state.workers w where w.lease_until <= clock_timestamp() order by w.lease_until limit p_limit) w;
      taken_over := agent_state.take_over(v_workers);
      rung := agent_state.ring_tasks(p_limit);
      reconciled := agent_state.reconcile_tasks(p_limit);
      delete from agent_state.workers w where w.worker_no = any (v_workers) and w.lease_until <= clock_timestamp() - interval '1 hour'
         and not exists (select from agent_state.tasks t where t.worker_no = w.worker_no);
      delete from agent_state.fenced_tasks f where f.at <= clock_timestamp() - interval '1 hour';
      more := greatest(cardinality(v_workers), rung, reconciled) >= p_limit;
      next_due := (select min(t.due_at) from agent_state.tasks t where t.due_at > clock_timestamp());
      return next;
      return;
    exception when unique_violation or deadlock_detected or sqlstate 'PT503' then
      v_tries := v_tries + 1;
      perform agent_state.try_again(v_tries);
    end;
  end loop;
end $$;
