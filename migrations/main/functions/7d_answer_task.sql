-- Gives a task what it waits for: the input that it asked a person for (p_event null), or an event, which is kept for a task that does not
-- wait for it yet. It stands among the task's results. Answers the refusal, or the phase after it. What a task can be given is bounded: events that it does not
-- wait for end sooner, for it must not run full of them.
create or replace function agent_state_api.answer_task(p_namespace text, p_id text, p_event text, p_data text, p_actor text)
returns table (code text, phase text)
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
  set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  v_task  agent_state.tasks;
  c_spare  constant integer := 4194304;    -- bytes of its document
  c_full   constant integer := 16777216;
  c_events constant integer := 1000;       -- names that it was not waiting for
  v_bytes integer;
  v_meets boolean;
  v_move  agent_state.task_move;
  v_tries integer := 0;
begin
  loop
    begin
      select t.* into v_task from agent_state.states s join agent_state.tasks t on t.task_no = s.state_no where s.namespace = p_namespace and s.id = p_id;
      if not found then return query select 'TASK_NOT_FOUND', null; return; end if;
      perform agent_state.lock_stacks(array[v_task.task_no]);
      select t.* into v_task from agent_state.tasks t where t.task_no = v_task.task_no;
      code := case when v_task.ended_at is not null then 'TASK_ENDED'
                   when exists (select from agent_state.holds h where h.scope_no = v_task.stack_no) then 'SCOPE_ON_HOLD'
                   when p_event is null and v_task.phase not in ('input_required', 'auth_required') then 'ILLEGAL_TRANSITION' end;
      v_meets := p_event is null or (v_task.wait_for = 'event' and v_task.wait_name = p_event);
      select s.full_bytes + s.delta_bytes into v_bytes from agent_state.states s where s.state_no = v_task.task_no;
      if code is null and (v_bytes > case when v_meets then c_full else c_spare end
                           or (not v_meets and cardinality(v_task.events) >= c_events and p_event <> all (v_task.events))) then
        code := 'PAYLOAD_TOO_LARGE';
      end if;
      if code is not null then phase := v_task.phase; return next; return; end if;
      v_move.task_no := v_task.task_no;
      v_move.delta := json_build_object('a', json_build_object('/results', json_build_array(
        case when p_event is null then json_build_object('from', 'input', 'data', p_data::json) else json_build_object('from', 'event', 'name', p_event, 'data', p_data::json) end)),
        'm', case when v_meets then '{"wait":null}' else '{}' end::json);
      v_move.cause := coalesce('event ' || p_event, 'answered');
      if v_meets then
        v_move.phase := 'ready';
        v_move.is_resumed := true;
      else
        v_move.events := array_append(array_remove(v_task.events, p_event), p_event);
        v_move.run_at := v_task.run_at;
        v_move.wait_for := v_task.wait_for; v_move.wait_name := v_task.wait_name; v_move.wait_until := v_task.wait_until;
        v_move.wait_children := v_task.wait_children;
      end if;
      perform agent_state.move_tasks(array[v_move], p_actor);
      return query select null, t.phase from agent_state.tasks t where t.task_no = v_task.task_no;
      return;
    exception when unique_violation or deadlock_detected or sqlstate 'PT503' then
      v_tries := v_tries + 1;
      perform agent_state.try_again(v_tries);
    end;
  end loop;
end $$;
