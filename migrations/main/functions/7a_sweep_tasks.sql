-- What a task has come to, in 16 bytes: where it goes on, how many results came to it, how many effects it has receipts of.
create or replace function agent_state.progress_mark(p_task_no bigint)
returns bytea language plpgsql stable as $$
declare
  v_document json;
begin
  select agent_state.document_or_null(s.state_no, s.version) into v_document from agent_state.states s where s.state_no = p_task_no;
  return substr(sha256(convert_to(concat_ws(E'\x1f', v_document ->> 'resumePoint',
    case when json_typeof(v_document -> 'results') = 'array' then json_array_length(v_document -> 'results') end,
    (select count(*) from agent_state.effects e where e.task_no = p_task_no and e.done_at is not null)), 'UTF8')), 1, 16);
end $$;

-- Takes from workers whose lease ran out what they held: their epoch is over, the tasks are ready for others. One that is being
-- canceled is canceled. One that crashed its holder too often in a row, and came to nothing in which it had not been before, is confused: it would go
-- on so. That it made a checkpoint says little: after each crash it makes the same one again.
create or replace function agent_state.take_over(p_worker_no bigint[], out taken integer, out canceled integer)
language plpgsql as $$
declare
  c_crashes constant integer := coalesce((select m.value::integer from agent_state.meta m where m.name = 'crash_budget'), 3);
  c_marks   constant integer := 8;   -- a circle of more stations is taken for progress
  v_tasks   bigint[];
  v_moves   agent_state.task_move[];
begin
  select array_agg(t.task_no) into v_tasks from unnest(p_worker_no) u(worker_no) join agent_state.tasks t on t.worker_no = u.worker_no
   where not exists (select from agent_state.holds h where h.scope_no = t.stack_no);
  taken := 0;
  canceled := 0;
  if v_tasks is null then return; end if;
  perform agent_state.lock_stacks(v_tasks);
  with lost as materialized (
    select t.task_no, t.phase, g.mark, g.mark = any (t.crash_marks) as is_known, case when g.mark = any (t.crash_marks) then t.crashes else 0 end as crashes
      from unnest(v_tasks) u(task_no) join agent_state.tasks t on t.task_no = u.task_no
      join agent_state.workers w on w.worker_no = t.worker_no and w.lease_until <= clock_timestamp(),
           lateral (select agent_state.progress_mark(t.task_no) as mark offset 0) g
  ), marked as (
    update agent_state.tasks t set crash_marks = (l.mark || coalesce(t.crash_marks, '{}'))[:c_marks]
      from lost l where t.task_no = l.task_no and l.is_known is not true
  )
  select array_agg(row(l.task_no, n.phase, case n.phase when 'confused' then '{"m":{"reason":"it lost its worker too often"}}' else '{"m":{}}' end,
                       case n.phase when 'canceled' then '{"error":{"message":"canceled"}}' end, true, null, false, l.crashes + 1,
                       null, null, null, null, null, null, null, 'lease lost')::agent_state.task_move order by l.task_no)
    into v_moves
    from lost l, lateral (select case when l.phase = 'canceling' then 'canceled' when l.crashes >= c_crashes then 'confused' else 'ready' end as phase) n;
  perform agent_state.move_tasks(v_moves, null);
  select count(*), count(*) filter (where m.phase = 'canceled') into taken, canceled from unnest(v_moves) m;
end $$;

-- A worker comes back past its lease: it begins with nothing in its hands. What it held in a scope that is on hold nobody may move; that stays
-- held by the lease that ended, and a sweep takes it over once the scope is released.
create or replace function agent_state.empty_hands(p_worker agent_state.workers)
returns void language plpgsql as $$
declare
  v_now    constant timestamptz := clock_timestamp();
  v_ended bigint;
begin
  if (select o.taken from agent_state.take_over(array[p_worker.worker_no]) o) > 0 then
    update agent_state.fenced_tasks f set losses = f.losses + 1 where f.worker_no = p_worker.worker_no and f.at >= v_now;
  end if;
  if not exists (select from agent_state.tasks t where t.worker_no = p_worker.worker_no) then return; end if;
  -- No worker is called so: a name has no slash.
  insert into agent_state.workers as w (namespace, worker, incarnation, lease_ms, lease_until)
  values (p_worker.namespace, p_worker.worker, p_worker.incarnation || '/held', p_worker.lease_ms, p_worker.lease_until)
  on conflict (namespace, worker, incarnation) do update set lease_until = excluded.lease_until, ended_at = null
  returning w.worker_no into v_ended;
  with left_behind as (
    update agent_state.tasks t set worker_no = v_ended where t.worker_no = p_worker.worker_no returning t.task_no
  )
  insert into agent_state.fenced_tasks (worker_no, task_no, at) select p_worker.worker_no, l.task_no, v_now from left_behind l
  on conflict (worker_no, task_no) do update set at = excluded.at;
end $$;

-- What time makes of tasks: who was delayed arrives, who backed off may be next again, timers ring, waits and lives end.
create or replace function agent_state.ring_tasks(p_limit integer, out rung integer, out failed integer, out canceled integer)
language plpgsql as $$
declare
  v_now   timestamptz := clock_timestamp();
  v_tasks bigint[];
  v_moves agent_state.task_move[];
begin
  select array_agg(d.task_no) into v_tasks
    from (select t.task_no from agent_state.tasks t
           where t.due_at <= v_now and not exists (select from agent_state.holds h where h.scope_no = t.stack_no)
           order by t.due_at limit p_limit) d;
  rung := 0;
  failed := 0;
  canceled := 0;
  if v_tasks is null then return; end if;
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
  select count(*), count(*) filter (where m.phase = 'failed'), count(*) filter (where m.phase = 'canceled')
    into rung, failed, canceled from unnest(v_moves) m;
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

-- Workers whose lease ran out, and of whom there is something to take, or who hold nothing any more: of these sweeps are done.
create or replace function agent_state.lost_workers(p_limit integer)
returns bigint[] language plpgsql stable as $$
begin
  return (select array_agg(l.worker_no)
            from (select w.worker_no from agent_state.workers w
                   where w.ended_at is null and w.lease_until <= clock_timestamp()
                     and (not exists (select from agent_state.tasks t where t.worker_no = w.worker_no)
                          or exists (select from agent_state.tasks t where t.worker_no = w.worker_no
                                        and not exists (select from agent_state.holds h where h.scope_no = t.stack_no)))
                   limit p_limit) l);
end $$;

-- Forgets workers whose lease ended an hour ago, and what was taken from living ones then; answers the larger of the two numbers.
create or replace function agent_state.forget_workers(p_limit integer)
returns integer language plpgsql as $$
declare
  c_before constant timestamptz := clock_timestamp() - interval '1 hour';
  v_workers integer;
  v_fenced  integer;
begin
  delete from agent_state.workers w
   where w.ctid = any (array(select o.ctid from agent_state.workers o where o.ended_at <= c_before order by o.ended_at limit p_limit));
  get diagnostics v_workers = row_count;
  delete from agent_state.fenced_tasks f
   where f.ctid = any (array(select o.ctid from agent_state.fenced_tasks o where o.at <= c_before order by o.at limit p_limit));
  get diagnostics v_fenced = row_count;
  return greatest(v_workers, v_fenced);
end $$;

-- What happened to tasks in other calls than those that answer it, since it was asked last: how often something newer cut in at once, and how often
-- a worker came back past its lease and lost what it held.
create or replace function agent_state.count_fenced(p_limit integer, out cuts integer, out losses integer)
language plpgsql as $$
begin
  with uncounted as (
    select f.worker_no, f.task_no, f.cuts, f.losses from agent_state.fenced_tasks f
     where f.cuts > 0 or f.losses > 0 limit p_limit for update skip locked
  ), counted as (
    update agent_state.fenced_tasks f set cuts = 0, losses = 0 from uncounted u where f.worker_no = u.worker_no and f.task_no = u.task_no
  )
  select coalesce(sum(u.cuts), 0), coalesce(sum(u.losses), 0) into cuts, losses from uncounted u;
end $$;

-- What is due: to be called once a second by every process that runs tasks; one of them does it. At most p_limit of each; `more`: call
-- again. `next_due`: the next moment at which a task becomes due. `interrupted`: how many something newer cut in on at once, since the last sweep.
-- p_crash_budget: how often in a row a task may lose its worker; it is kept, for takeovers between two sweeps.
create or replace function agent_state_api.sweep_tasks(p_limit integer, p_crash_budget integer default 3)
returns table (taken_over integer, rung integer, reconciled integer, more boolean, next_due timestamptz, interrupted integer, failed integer, canceled integer)
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
  set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  v_workers bigint[];
  v_taken   record;
  v_rung    record;
  v_fenced  record;
  v_tries   integer := 0;
begin
  if not pg_try_advisory_xact_lock(hashtext('agent_state.sweep_tasks')) then return; end if;
  if coalesce((select m.value from agent_state.meta m where m.name = 'crash_budget'), '3') <> p_crash_budget::text then
    insert into agent_state.meta as m values ('crash_budget', p_crash_budget::text) on conflict (name) do update set value = excluded.value;
  end if;
  loop
    begin
      v_workers := agent_state.lost_workers(p_limit);
      select * into v_taken from agent_state.take_over(v_workers);
      update agent_state.workers w set ended_at = clock_timestamp()
       where w.worker_no = any (v_workers) and w.lease_until <= clock_timestamp()
         and not exists (select from agent_state.tasks t where t.worker_no = w.worker_no);
      select * into v_rung from agent_state.ring_tasks(p_limit);
      select * into v_fenced from agent_state.count_fenced(p_limit);
      taken_over := v_taken.taken + v_fenced.losses;
      rung := v_rung.rung;
      reconciled := agent_state.reconcile_tasks(p_limit);
      more := greatest(cardinality(v_workers), rung, reconciled, agent_state.forget_workers(p_limit)) >= p_limit;
      next_due := (select min(t.due_at) from agent_state.tasks t where t.due_at > clock_timestamp());
      interrupted := v_fenced.cuts;
      failed := v_rung.failed;
      canceled := v_taken.canceled + v_rung.canceled;
      return next;
      return;
    exception when unique_violation or deadlock_detected or sqlstate 'PT503' then
      v_tries := v_tries + 1;
      perform agent_state.try_again(v_tries);
    end;
  end loop;
end $$;
