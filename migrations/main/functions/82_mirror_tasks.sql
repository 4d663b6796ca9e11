-- A task whose phase is moved past the functions of tasks, by a plain commit, a rollback or a repair: its scheduling follows in the same
-- transaction. Whoever held it is fenced; the next sweep settles its stack.
create or replace function agent_state.mirror_task()
returns trigger language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
  v_was agent_state.tasks;
begin
  select t.* into v_was from agent_state.tasks t where t.task_no = new.state_no for update;
  if not found then return null; end if;
  update agent_state.tasks t set
      phase = case when new.deleted then 'canceled' else new.phase end,
      epoch = t.epoch + 1, worker_no = null, is_resumed = true, last_report = null, run_at = null, wait_for = n.wait ->> 'for', wait_name = n.wait ->> 'name',
      wait_children = null, crashes = 0,
      -- What nobody holds and is to be canceled, the next sweep cancels.
      wait_until = case when new.phase = 'canceling' then clock_timestamp() else (n.wait ->> 'until')::timestamptz end,
      seq = n.seq, turn = case when new.phase in ('ready', 'suspended') and not new.deleted then n.seq end,
      ended_at = case when n.ended then coalesce(t.ended_at, clock_timestamp()) end,
      is_told = t.is_told and n.ended, deadline = case when not n.ended then t.deadline end
    from (select new.deleted or new.phase in ('completed', 'failed', 'canceled', 'rejected') as ended,
                 case when new.phase in ('submitted') then v_was.seq else coalesce(v_was.seq, nextval('agent_state.task_seq')) end as seq,
                 case when not new.deleted and new.phase in ('waiting', 'input_required', 'auth_required')
                      then agent_state.document(new.state_no, new.version) -> 'wait' end as wait offset 0) n
   where t.task_no = new.state_no;
  if v_was.worker_no is not null then
    insert into agent_state.fenced_tasks values (v_was.worker_no, new.state_no, clock_timestamp())
    on conflict (worker_no, task_no) do update set at = excluded.at;
  end if;
  update agent_state.stacks k set unsettled = true, ready_kind = null, ready_since = null where k.stack_no = v_was.stack_no;
  return null;
end $$;

create or replace trigger tasks_follow after update of phase, deleted on agent_state.states
  for each row when (new.type = 'task' and (new.phase is distinct from old.phase or new.deleted <> old.deleted)
                     and current_setting('agent_state.tasks', true) is distinct from 'on')
  execute function agent_state.mirror_task();
