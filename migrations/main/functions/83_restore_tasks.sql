-- Rebuilding what scheduling needs of tasks after main was lost, from what they are about (62_restore_log.sql).

create or replace function agent_state.time_or_null(p_text text)
returns timestamptz language plpgsql stable as $$
begin
  return p_text::timestamptz;
exception when data_exception then
  return null;
end $$;

create or replace function agent_state.count_or_null(p_text text)
returns bigint language sql immutable as $$
  select case when p_text ~ '^[0-9]{1,15}$' then p_text::bigint end
$$;

-- Living states that are tasks of the stacks after one, with their documents: a state of type task alone is none.
create or replace function agent_state.task_states(p_after bigint, p_limit integer)
returns table (state_no bigint, stack_no bigint, namespace text, phase text, created_at timestamptz, updated_at timestamptz, document json)
language plpgsql stable set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
begin
  return query
  select d.* from (
    select s.state_no, s.scope_no, s.namespace, s.phase, s.created_at, s.updated_at, agent_state.document(s.state_no, s.version) as document, s.id, s.scope
      from (select o.scope_no from agent_state.scopes o
             where o.scope_no > p_after and exists (select from agent_state.states x where x.scope_no = o.scope_no and x.type = 'task' and not x.deleted)
             order by o.scope_no limit p_limit) o
      join agent_state.states s on s.scope_no = o.scope_no and s.type = 'task' and not s.deleted and s.phase is not null) r,
    lateral (select r.state_no, r.scope_no, r.namespace, r.phase, r.created_at, r.updated_at, r.document) d
   where agent_state.is_task_document(r.document, coalesce(r.scope, r.id));
end $$;

-- Whether a document is that of a task of a stack: a state of type task alone is none.
create or replace function agent_state.is_task_document(p_document json, p_stack text)
returns boolean language sql immutable as $$
  select coalesce(p_document ->> 'stack' = p_stack and p_document ->> 'kind' is not null and p_document ->> 'preempt' in ('now', 'step', 'never')
    and p_document ->> 'priority' ~ '^-?[0-9]{1,9}$' and agent_state.count_or_null(p_document ->> 'maxAttempts') < 1000000000, false)
$$;

-- The last of some stacks after one; null: there are no more.
create or replace function agent_state.last_of_stacks(p_after bigint, p_limit integer)
returns bigint language sql stable set enable_seqscan = off set jit = off as $$
  select max(o.scope_no)
    from (select x.scope_no from agent_state.scopes x
           where x.scope_no > p_after and exists (select from agent_state.states s where s.scope_no = x.scope_no and s.type = 'task' and not s.deleted)
           order by x.scope_no limit p_limit) o
$$;

-- The tasks of some stacks after one, in the order in which they arrived; answers the last of the stacks, null: there are no more.
-- Who worked on one lost it: its lease is over, and the next sweep takes the task over. Epochs go on far above any that was given out.
create or replace function agent_state.restore_tasks(p_after bigint, p_limit integer)
returns bigint language plpgsql set enable_seqscan = off set jit = off as $$
declare
  c_lost    constant text := 'before main was lost';
  c_ends    constant text[] := '{completed,failed,canceled,rejected}';
  c_held    constant text[] := '{working,canceling}';
  c_epochs  constant bigint := 1000000;
begin
  insert into agent_state.workers (namespace, worker, incarnation, lease_ms, lease_until)
  select distinct t.namespace, coalesce(t.document ->> 'worker', 'unknown'), c_lost, 1000, clock_timestamp()
    from agent_state.task_states(p_after, p_limit) t where t.phase = any (c_held)
  on conflict do nothing;
  insert into agent_state.stacks (stack_no, namespace, unsettled)
  select distinct t.stack_no, t.namespace, true from agent_state.task_states(p_after, p_limit) t
  on conflict do nothing;

  insert into agent_state.tasks (task_no, stack_no, seq, turn, epoch, worker_no, run_at, wait_until, deadline, ended_at, priority, depth, attempt,
                                 max_attempts, backoff_ms, max_backoff_ms, is_resumed, preempt, phase, kind, wait_for, wait_name)
  select q.state_no, q.stack_no, q.seq, case when q.phase in ('ready', 'suspended') then q.seq end, q.epoch + c_epochs, w.worker_no,
         case when q.phase = 'submitted' then coalesce(agent_state.time_or_null(q.document ->> 'runAt'), q.created_at + q.delay_ms * interval '1 ms',
                                                       clock_timestamp()) end,
         case when q.wait ->> 'for' = 'timer'
              then coalesce(agent_state.time_or_null(q.wait ->> 'until'), q.updated_at + coalesce(q.wait_ms, 0) * interval '1 ms')
              else q.updated_at + agent_state.count_or_null(q.wait ->> 'timeoutMs') * interval '1 ms' end,
         case when q.phase <> all (c_ends) then agent_state.time_or_null(q.document ->> 'deadline') end,
         case when q.phase = any (c_ends) then q.updated_at end,
         (q.document ->> 'priority')::integer, 0, q.attempt, (q.document ->> 'maxAttempts')::integer, 1000, 300000, q.attempt > 0 and q.phase <> 'working',
         q.document ->> 'preempt', q.phase, q.document ->> 'kind', q.wait ->> 'for', q.wait ->> 'name'
    from (select t.*, case when t.phase in ('waiting', 'input_required', 'auth_required') then t.document -> 'wait' end as wait,
                 coalesce(agent_state.count_or_null(t.document ->> 'epoch'), 0) as epoch,
                 coalesce(agent_state.count_or_null(t.document ->> 'attempt'), 0)::integer as attempt,
                 coalesce(agent_state.count_or_null(t.document ->> 'delayMs'), 0) as delay_ms,
                 agent_state.count_or_null(t.document -> 'wait' ->> 'ms') as wait_ms,
                 case when t.phase <> 'submitted' then nextval('agent_state.task_seq') end as seq
            from (select x.*, a.step, a.position from agent_state.task_states(p_after, p_limit) x
                    left join lateral (select c.step, c.position from agent_state.changes c
                                        where c.state_no = x.state_no and c.phase <> 'submitted' order by c.version limit 1) a on true
                   order by x.stack_no, a.step, a.position) t) q
    left join agent_state.workers w on q.phase = any (c_held) and w.namespace = q.namespace and w.worker = coalesce(q.document ->> 'worker', 'unknown')
                                   and w.incarnation = c_lost
  on conflict do nothing;

  update agent_state.stacks k set working_no = t.state_no
    from agent_state.task_states(p_after, p_limit) t where k.stack_no = t.stack_no and t.phase = any (c_held);
  return agent_state.last_of_stacks(p_after, p_limit);
end $$;

-- What ties the tasks of some stacks to others: whose children they are, whether their end was told, which children they wait for.
create or replace function agent_state.tie_tasks(p_after bigint, p_limit integer)
returns bigint language plpgsql set enable_seqscan = off set jit = off as $$
begin
  update agent_state.tasks c set
      parent_no = p.task_no,
      is_told = c.ended_at is not null and p.child in (select e.id from agent_state.ends_in(p.document -> 'results') e(id))
    from (select t.state_no, s.id as child, q.state_no as task_no, agent_state.document(q.state_no, q.version) as document
            from agent_state.task_states(p_after, p_limit) t
            join agent_state.states s on s.state_no = t.state_no
            join agent_state.states q on q.namespace = t.namespace and q.id = t.document ->> 'parent'
            join agent_state.tasks x on x.task_no = q.state_no and x.task_no <> t.state_no) p
   where c.task_no = p.state_no;
  update agent_state.tasks t set wait_children = w.children
    from (select p.state_no, (select coalesce(array_agg(s.state_no), '{}') from json_array_elements_text(p.document -> 'wait' -> 'children') i(id)
                                join agent_state.states s on s.namespace = p.namespace and s.id = i.id
                                join agent_state.tasks c on c.task_no = s.state_no) as children
            from agent_state.task_states(p_after, p_limit) p
           where p.phase = 'waiting' and json_typeof(p.document -> 'wait' -> 'children') = 'array') w
   where t.task_no = w.state_no;
  return agent_state.last_of_stacks(p_after, p_limit);
end $$;
