-- A task that ended stays so: what it was before, p_body, goes on as a new task in its place of the stack, which says whom it supersedes.
-- It has the receipts of what was done outside as well, and is asked about what was begun there, which is in doubt.
create or replace function agent_state.supersede_task(
  p_task_no bigint, p_body json, p_step bigint, p_position integer, p_feed xid8, p_now timestamptz, p_actor text, p_cause text, p_writer integer)
returns void language plpgsql as $$
declare
  v_old  agent_state.states;
  v_task agent_state.tasks;
  v_no   bigint := nextval('agent_state.states_state_no_seq');
  v_id   text;
  v_body json;
  v_digest bytea;
  v_phase  text := 'ready';
  v_run_at timestamptz;
begin
  select s.* into v_old from agent_state.states s where s.state_no = p_task_no;
  select t.* into v_task from agent_state.tasks t where t.task_no = p_task_no;
  v_id := agent_state.superseding_id(v_old.id, p_step);
  v_body := agent_state.apply_deltas(p_body, array[json_build_object('m', json_build_object('supersedes', v_old.id, 'epoch', null, 'attempt', null,
              'worker', null, 'wait', null, 'error', null, 'reason', null, 'cancelReason', null))]);
  -- One that ended before it arrived arrives when that one was to, or now.
  if v_task.seq is null then
    v_run_at := coalesce(agent_state.time_or_null(v_body ->> 'runAt'),
                         v_old.created_at + agent_state.count_or_null(v_body ->> 'delayMs') * interval '1 ms');
    if v_run_at > p_now then v_phase := 'submitted'; else v_run_at := null; v_task.seq := nextval('agent_state.task_seq'); end if;
  end if;
  v_digest := agent_state.digest_of('', v_old.namespace, v_id, v_old.type, p_step, 1, 'u', 'f', v_phase, v_body);
  insert into agent_state.states (state_no, scope_no, version, step, base_version, created_at, updated_at, full_bytes, deleted, namespace, id, type,
                                  scope, phase, digest, feed_xid)
  overriding system value
  values (v_no, v_old.scope_no, 1, p_step, 1, p_now, p_now, octet_length(v_body::text), false, v_old.namespace, v_id, v_old.type,
          coalesce(v_old.scope, v_old.id), v_phase, v_digest, p_feed);
  insert into agent_state.changes (feed_xid, scope_no, step, state_no, version, at, position, writer, kind, stored, digest, phase, actor, cause, body)
  values (p_feed, v_old.scope_no, p_step, v_no, 1, p_now, p_position, p_writer, 'u', 'f', v_digest, v_phase, p_actor, p_cause, v_body);
  insert into agent_state.tasks (task_no, stack_no, seq, turn, parent_no, run_at, deadline, priority, depth, max_attempts, backoff_ms, max_backoff_ms,
                                 preempt, phase, kind)
  values (v_no, v_task.stack_no, v_task.seq, v_task.seq, v_task.parent_no, v_run_at, agent_state.time_or_null(v_body ->> 'deadline'), v_task.priority, v_task.depth,
          v_task.max_attempts, v_task.backoff_ms, v_task.max_backoff_ms, v_task.preempt, v_phase, v_task.kind);
  insert into agent_state.effects (task_no, key, epoch, begun_at, done_at, receipt)
  select v_no, e.key, 0, e.begun_at, e.done_at, e.receipt from agent_state.effects e where e.task_no = p_task_no and e.done_at is not null;
  update agent_state.effects e set task_no = v_no, epoch = 0 where e.task_no = p_task_no and e.done_at is null;
  update agent_state.tasks p set wait_children = array_append(p.wait_children, v_no)
   where p.task_no = v_task.parent_no and p_task_no = any (p.wait_children);
  -- Its children are the new one's: what it has not heard of them it is told.
  update agent_state.tasks c set parent_no = v_no, is_told = c.ended_at is not null and exists (
      select from agent_state.ends_in(v_body -> 'results') e(id), agent_state.states x where x.state_no = c.task_no and x.id = e.id)
   where c.parent_no = p_task_no;
  update agent_state.stacks k set unsettled = true, ready_kind = null, ready_since = null where k.stack_no = v_task.stack_no;
end $$;
