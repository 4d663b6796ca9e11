-- A worker lives: its lease goes on from now, for all that it holds. Writes one row, however much that is. It is told which of its tasks
-- are to be given up (cancel), which are to give way at their next step (preempt), and which were taken from it (fenced).
create or replace function agent_state_api.heartbeat(p_namespace text, p_worker text, p_incarnation text, p_lease_ms integer)
returns table (lease_until timestamptz, cancel json, preempt json, fenced json)
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
  set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  v_worker bigint;
  v_tries  integer := 0;
begin
  loop
    begin
      v_worker := agent_state.know_worker(p_namespace, p_worker, p_incarnation, p_lease_ms, true);
      exit;
    exception when unique_violation or deadlock_detected or sqlstate 'PT503' then
      v_tries := v_tries + 1;
      perform agent_state.try_again(v_tries);
    end;
  end loop;
  return query
  select w.lease_until,
         to_json(array(select s.id from agent_state.tasks t join agent_state.states s on s.state_no = t.task_no
                where t.worker_no = v_worker and t.phase = 'canceling' order by s.id)),
         to_json(array(select s.id from agent_state.tasks t join agent_state.states s on s.state_no = t.task_no
                where t.worker_no = v_worker and agent_state.is_preempted(t) order by s.id)),
         to_json(array(select s.id from agent_state.fenced_tasks f join agent_state.states s on s.state_no = f.task_no
                where f.worker_no = v_worker and (select t.worker_no from agent_state.tasks t where t.task_no = f.task_no) is distinct from v_worker
                order by s.id))
    from agent_state.workers w where w.worker_no = v_worker;
end $$;
