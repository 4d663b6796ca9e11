-- Lets a confused task run again, or one that backs off at once; its crashes are forgiven. For operators.
create or replace function agent_state_api.retry_task(p_namespace text, p_id text, p_reason text, p_actor text)
returns table (code text, phase text)
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
  set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  v_task  agent_state.tasks;
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
                   when v_task.phase not in ('confused', 'ready') then 'ILLEGAL_TRANSITION' end;
      if code is not null then phase := v_task.phase; return next; return; end if;
      v_move.task_no := v_task.task_no;
      v_move.phase := 'ready';
      v_move.fence := v_task.phase = 'confused';
      v_move.crashes := 0;
      v_move.delta := case when v_task.phase = 'confused' then '{"m":{"reason":null}}' else '{"m":{}}' end;
      v_move.cause := coalesce(p_reason, 'run again');
      perform set_config('agent_state.repair', 'on', true);
      perform agent_state.move_tasks(array[v_move], p_actor);
      perform set_config('agent_state.repair', 'off', true);
      return query select null, t.phase from agent_state.tasks t where t.task_no = v_task.task_no;
      return;
    exception when unique_violation or deadlock_detected or sqlstate 'PT503' then
      v_tries := v_tries + 1;
      perform agent_state.try_again(v_tries);
    end;
  end loop;
end $$;
