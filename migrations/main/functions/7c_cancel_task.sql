-- Cancels a task and all that it pushed. Who works on one is told by heartbeat and checkpoint, and has until its lease ends; the others
-- are canceled at once. What ended stays as it is. Answers the refusal, or each task of the tree with its phase.
create or replace function agent_state_api.cancel_task(p_namespace text, p_id text, p_reason text, p_actor text)
returns table (code text, id text, phase text)
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
  set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  v_tree  bigint[];
  v_seen  integer;
  v_moves agent_state.task_move[];
  v_tries integer := 0;
begin
  loop
    begin
      v_seen := 0;
      -- Looked at again under the locks, until nobody has pushed another child meanwhile: a push waits for the row of its parent.
      loop
        with recursive tree as (
          select t.task_no from agent_state.states s join agent_state.tasks t on t.task_no = s.state_no where s.namespace = p_namespace and s.id = p_id
          union
          select c.task_no from tree t join agent_state.tasks c on c.parent_no = t.task_no)
        select array_agg(t.task_no) into v_tree from tree t;
        if v_tree is null then return query select 'TASK_NOT_FOUND', p_id, null; return; end if;
        exit when cardinality(v_tree) = v_seen;
        v_seen := cardinality(v_tree);
        perform agent_state.lock_stacks(v_tree);
        perform from agent_state.tasks t where t.task_no = any (v_tree) and t.ended_at is null order by t.task_no for no key update;
      end loop;
      if exists (select from agent_state.tasks t join agent_state.holds h on h.scope_no = t.stack_no where t.task_no = any (v_tree) and t.ended_at is null) then
        return query select 'SCOPE_ON_HOLD', p_id, null;
        return;
      end if;
      select array_agg(row(t.task_no, case when t.phase = 'working' then 'canceling' else 'canceled' end,
                           json_build_object('m', json_build_object('cancelReason', coalesce(p_reason, 'canceled'))),
                           case when t.phase <> 'working' then json_build_object('error', json_build_object('message', coalesce(p_reason, 'canceled'))) end,
                           false, null, null, null, null, null, null, null, null, null, null, coalesce(p_reason, 'canceled'))::agent_state.task_move
                       order by t.task_no)
        into v_moves
        from agent_state.tasks t where t.task_no = any (v_tree) and t.ended_at is null and t.phase <> 'canceling';
      perform agent_state.move_tasks(v_moves, p_actor);
      return query select null, s.id, t.phase from unnest(v_tree) with ordinality u(task_no, n) join agent_state.tasks t on t.task_no = u.task_no
                     join agent_state.states s on s.state_no = t.task_no order by u.n;
      return;
    exception when unique_violation or deadlock_detected or sqlstate 'PT503' then
      v_tries := v_tries + 1;
      perform agent_state.try_again(v_tries);
    end;
  end loop;
end $$;
