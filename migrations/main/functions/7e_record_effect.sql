-- What a task does outside, told before (p_is_done false) and after, with its receipt. Before, it answers what is to be done:
--   begun     go on, and tell the receipt
--   done      it was done; here is the receipt
--   in_doubt  an earlier holder began it, and whether it came to anything is not known: look, then tell the receipt, or begin it again (p_again)
-- Outside of what rolls back: a receipt stays. One task has 10,000 of them at most.
create or replace function agent_state_api.record_effect(
  p_namespace text, p_id text, p_epoch bigint, p_key text, p_is_done boolean, p_receipt text, p_again boolean)
returns table (code text, standing text, receipt json)
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
  set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  c_effects constant integer := 10000;
  v_task   agent_state.tasks;
  v_effect agent_state.effects;
begin
  -- Locked against whoever takes the task: what is begun under an epoch is begun before that is over.
  select t.* into v_task from agent_state.tasks t
   where t.task_no = (select s.state_no from agent_state.states s where s.namespace = p_namespace and s.id = p_id) for share;
  code := agent_state.report_fault(v_task, p_epoch, 'effect');
  if code is not null and code <> 'SCOPE_ON_HOLD' then return next; return; end if;
  code := null;

  insert into agent_state.effects as e (task_no, key, epoch, begun_at)
  select v_task.task_no, p_key, p_epoch, clock_timestamp()
   where exists (select from agent_state.effects k where k.task_no = v_task.task_no and k.key = p_key)
      or (select count(*) from (select from agent_state.effects k where k.task_no = v_task.task_no limit c_effects) k) < c_effects
  on conflict (task_no, key) do update set epoch = e.epoch returning e.* into v_effect;
  if not found then code := 'PAYLOAD_TOO_LARGE'; return next; return; end if;
  if v_effect.done_at is not null then
    standing := 'done';
  elsif p_is_done then
    update agent_state.effects e set done_at = clock_timestamp(), receipt = p_receipt::json, epoch = p_epoch
     where e.task_no = v_task.task_no and e.key = p_key returning e.* into v_effect;
    standing := 'done';
  elsif v_effect.epoch = p_epoch then
    standing := 'begun';
  elsif p_again then
    update agent_state.effects e set epoch = p_epoch, begun_at = clock_timestamp() where e.task_no = v_task.task_no and e.key = p_key;
    standing := 'begun';
  else
    standing := 'in_doubt';
  end if;
  receipt := v_effect.receipt;
  return next;
end $$;
