-- Puts right what check_tasks says of a task by one check; null where that was (p_is_dry: would be) done, or why not. Nothing is guessed: what
-- the task is stands in its state, and what follows from that is made anew. Whoever held it is fenced; receipts stay.
create or replace function agent_state_api.repair_task(p_namespace text, p_id text, p_check text, p_is_dry boolean)
returns text language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off
  set enable_mergejoin = off set jit = off as $$
declare
  v_task  agent_state.tasks;
  v_state agent_state.states;
begin
  select s.* into v_state from agent_state.states s where s.namespace = p_namespace and s.id = p_id;
  select t.* into v_task from agent_state.tasks t where t.task_no = v_state.state_no;
  if v_task.task_no is null then return 'it is not scheduled'; end if;
  perform agent_state.lock_stacks(array[v_task.task_no]);
  if exists (select from agent_state.holds h where h.scope_no = v_task.stack_no) then return 'its scope is on hold'; end if;
  select t.* into v_task from agent_state.tasks t where t.task_no = v_task.task_no;
  if not exists (select from agent_state.check_tasks(v_task.task_no - 1, v_task.task_no) c where c.check_name = p_check) then
    return null;   -- it is no longer so
  end if;
  if p_check not in ('C8', 'C9', 'C10', 'C11') then return 'a person has to see to it'; end if;
  if p_check = 'C11' and v_task.parent_no is not null and not exists (select from agent_state.tasks q where q.task_no = v_task.parent_no) then
    return 'its parent is not there';
  end if;
  if p_is_dry then return null; end if;

  insert into agent_state.stacks (stack_no, namespace) values (v_task.stack_no, p_namespace) on conflict do nothing;
  if p_check = 'C10' and v_task.phase is distinct from v_state.phase then
    perform agent_state.mirror_tasks(array[v_task.task_no]);
  elsif p_check = 'C11' then
    perform agent_state.mend_family(v_task);
  else
    perform agent_state.mend_hold(v_task, v_state.version);
  end if;
  update agent_state.stacks k set unsettled = true, ready_kind = null, ready_since = null where k.stack_no = v_task.stack_no;
  perform agent_state.follow_up(array[v_task.stack_no], null, null, 'fsck');
  return null;
end $$;

-- A task that is held without a lease, under an epoch that is over, or beside another one, is nobody's again, and above every epoch that
-- was given out; one that is ready has its turn.
create or replace function agent_state.mend_hold(p_task agent_state.tasks, p_version bigint)
returns void language plpgsql as $$
declare
  v_held agent_state.task_move[];
begin
  update agent_state.tasks t set epoch = g.epoch
    from (select greatest(agent_state.count_or_null(agent_state.document_or_null(p_task.task_no, p_version) ->> 'epoch'),
                          (select max(e.epoch) from agent_state.effects e where e.task_no = p_task.task_no)) as epoch) g
   where t.task_no = p_task.task_no and g.epoch > t.epoch;
  update agent_state.tasks t set seq = n.seq, turn = n.seq
    from (select coalesce(p_task.seq, nextval('agent_state.task_seq')) as seq) n
   where t.task_no = p_task.task_no and t.phase in ('ready', 'suspended') and t.turn is null and t.run_at is null;
  select array_agg(row(t.task_no, case t.phase when 'canceling' then 'canceled' else 'ready' end, '{"m":{}}',
                       case t.phase when 'canceling' then '{"error":{"message":"canceled"}}' end, true, null, true, t.crashes,
                       null, null, null, null, null, null, null, 'put right')::agent_state.task_move)
    into v_held from agent_state.tasks t where t.task_no = p_task.task_no and t.phase in ('working', 'canceling');
  perform agent_state.move_tasks(v_held, 'fsck');
end $$;

-- What a task has of its children, and its parent of it, is told again where it is missing; who waits for nobody any more goes on.
create or replace function agent_state.mend_family(p_task agent_state.tasks)
returns void language plpgsql as $$
declare
  v_parent bigint := case when p_task.ended_at is not null then p_task.parent_no else p_task.task_no end;
  v_results json;
  v_waits  agent_state.task_move[];
begin
  select agent_state.document_or_null(s.state_no, s.version) -> 'results' into v_results from agent_state.states s where s.state_no = v_parent;
  update agent_state.tasks c set is_told = x.id in (select e.id from agent_state.ends_in(v_results) e(id))
    from agent_state.states x where c.parent_no = v_parent and c.ended_at is not null and x.state_no = c.task_no and not x.deleted;
  perform agent_state.reconcile_tasks(1000);
  select array_agg(row(t.task_no, 'ready', '{"m":{"wait":null}}', null, false, null, true, null,
                       null, null, null, null, null, null, null, 'put right')::agent_state.task_move)
    into v_waits
    from agent_state.tasks t
   where t.task_no = v_parent and t.phase = 'waiting' and t.wait_for = 'child'
     and not exists (select from agent_state.tasks c where c.parent_no = t.task_no and c.ended_at is null
                        and (t.wait_children is null or c.task_no = any (t.wait_children)));
  perform agent_state.move_tasks(v_waits, 'fsck');
end $$;
