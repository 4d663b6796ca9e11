-- Locks the stacks of tasks and of their parents, in one order for all.
create or replace function agent_state.lock_stacks(p_task_no bigint[])
returns void language plpgsql as $$
declare
  v_stacks bigint[];
begin
  select array_agg(x.stack_no) into v_stacks
    from unnest(p_task_no) i(task_no)
    cross join lateral (select t.stack_no, t.parent_no from agent_state.tasks t where t.task_no = i.task_no limit 1) t
    left join lateral (select q.stack_no from agent_state.tasks q where q.task_no = t.parent_no limit 1) q on true
    cross join lateral (values (t.stack_no), (q.stack_no)) x(stack_no) where x.stack_no is not null;
  perform from agent_state.stacks k where k.stack_no = any (v_stacks) order by k.stack_no for update;
end $$;

-- The rule of the stack, in the one place where it is: after tasks of these stacks moved, which one is next. Highest is who has
-- the highest priority, and of these the newest.
--   * One task at most is held. It keeps its place, unless one above it with preempt "now" is ready: then it is fenced and suspended.
--   * While none is held, the highest of those that are ready or suspended is the next; where it was suspended, it is made ready.
-- Whoever waits, for a time, an event or a person, has no turn, and stands in nobody's way.
-- Returns what has to be written: the tasks whose phase it changed.
create or replace function agent_state.settle_stacks(p_stack_no bigint[])
returns table (task_no bigint, phase text) language plpgsql as $$
#variable_conflict use_column
begin
  return query
  with looked as materialized (
    select k.stack_no, w.task_no as held_no, w.worker_no, t.task_no as top_no, t.kind, t.phase as top_phase,
           coalesce(w.phase = 'working' and t.preempt = 'now' and (t.priority, t.turn) > (w.priority, w.seq), false) as cuts_in
      from (select distinct u.stack_no from unnest(p_stack_no) u(stack_no)) u
      cross join lateral (select x.stack_no, x.working_no from agent_state.stacks x where x.stack_no = u.stack_no limit 1) k
      left join lateral (select x.* from agent_state.tasks x where x.task_no = k.working_no and x.phase in ('working', 'canceling') limit 1) w on true
      left join lateral (select x.* from agent_state.tasks x where x.stack_no = k.stack_no and x.turn is not null
                          order by x.stack_no desc, x.priority desc, x.turn desc limit 1) t on true
  ), cut as (
    update agent_state.tasks t set phase = 'suspended', turn = t.seq, epoch = t.epoch + 1, worker_no = null, is_resumed = true, last_report = null
      from looked l where l.cuts_in and t.task_no = l.held_no
    returning t.task_no
  ), fenced as (
    insert into agent_state.fenced_tasks as f (worker_no, task_no, at, cuts)
    select l.worker_no, l.held_no, clock_timestamp(), 1 from looked l where l.cuts_in and l.worker_no is not null
    on conflict (worker_no, task_no) do update set at = excluded.at, cuts = f.cuts + 1
  ), woken as (
    update agent_state.tasks t set phase = 'ready'
      from looked l where l.top_phase = 'suspended' and (l.held_no is null or l.cuts_in) and t.task_no = l.top_no
    returning t.task_no
  ), settled as (
    update agent_state.stacks k set
        working_no = case when not l.cuts_in then l.held_no end, ready_kind = n.kind, unsettled = false,
        ready_since = case when n.kind is not null then coalesce(k.ready_since, clock_timestamp()) end
      from looked l, lateral (select case when l.held_no is null or l.cuts_in then l.kind end as kind) n
     where k.stack_no = l.stack_no
       and (k.working_no is distinct from case when not l.cuts_in then l.held_no end or k.ready_kind is distinct from n.kind or k.unsettled)
  )
  select c.task_no, 'suspended' from cut c union all select w.task_no, 'ready' from woken w;
end $$;

-- Puts the ends of tasks among the results of their parents, each once; a parent that waited for them becomes ready.
-- p_outcome holds what the task left: {"result": ...} or {"error": ...}. What is larger than 64 KiB is read from the child itself, and so is any of a parent
-- that has 4 MiB already: it must not run full, or no child could end any more.
create or replace function agent_state.tell_parents(p_task_no bigint[], p_outcome json[])
returns table (task_no bigint, phase text, delta json) language plpgsql as $$
#variable_conflict use_column
begin
  return query
  with ended as materialized (
    select t.task_no, t.parent_no, (format('{"from":"task","id":%s,"phase":"%s",', to_json(s.id), t.phase)
             || case when octet_length(o.outcome::text) <= case when q.full_bytes + q.delta_bytes > 4194304 then 0 else 65536 end then substr(o.outcome::text, 2) else '"isLarge":true}' end)::json as result
      from unnest(p_task_no, p_outcome) o(task_no, outcome)
      cross join lateral (select x.* from agent_state.tasks x where x.task_no = o.task_no limit 1) t
      cross join lateral (select x.id from agent_state.states x where x.state_no = t.task_no limit 1) s
      left join lateral (select x.full_bytes, x.delta_bytes from agent_state.states x where x.state_no = t.parent_no limit 1) q on true
     where t.ended_at is not null and not t.is_told and t.parent_no is not null
  ), told as (
    update agent_state.tasks t set is_told = true from ended e where t.task_no = e.task_no
  ), parents as materialized (
    select p.task_no, json_build_object('a', json_build_object('/results', json_agg(e.result order by e.task_no))) as delta,
           p.wait_for = 'child' and not exists (
             select from agent_state.tasks c where c.parent_no = p.task_no and c.ended_at is null
                and (p.wait_children is null or c.task_no = any (p.wait_children))) as is_met
      from ended e join agent_state.tasks p on p.task_no = e.parent_no and p.ended_at is null
     group by p.task_no, p.wait_for, p.wait_children
  ), woken as (
    update agent_state.tasks t set phase = 'ready', turn = t.seq, is_resumed = true, wait_for = null, wait_children = null, wait_until = null
      from parents p where p.is_met and t.phase = 'waiting' and t.task_no = p.task_no
    returning t.task_no
  )
  select p.task_no, case when w.task_no is not null then 'ready' end,
         case when w.task_no is not null then json_build_object('a', p.delta -> 'a', 'm', '{"wait":null}'::json) else p.delta end
    from parents p left join woken w on w.task_no = p.task_no;
end $$;
