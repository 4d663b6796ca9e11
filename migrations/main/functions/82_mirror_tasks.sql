-- Tasks whose states were changed past the functions of tasks, by a plain commit, a rollback or a repair: their scheduling follows in
-- the same transaction, from the document. Whoever held one is fenced; the next sweep settles the stacks, and tells parents of ends
-- that are not, or no more, among their results. Receipts of effects stay.
create or replace function agent_state.mirror_tasks(p_task_no bigint[])
returns void language plpgsql set enable_seqscan = off set jit = off as $$
begin
  insert into agent_state.fenced_tasks
  select t.worker_no, t.task_no, clock_timestamp() from agent_state.tasks t where t.task_no = any (p_task_no) and t.worker_no is not null
  on conflict (worker_no, task_no) do update set at = excluded.at;

  with looked as materialized (
    select s.state_no, s.phase, s.deleted, s.deleted or s.phase in ('completed', 'failed', 'canceled', 'rejected') as ended,
           case when not s.deleted then agent_state.document(s.state_no, s.version) end as document
      from unnest(p_task_no) u(task_no) join agent_state.states s on s.state_no = u.task_no
  ), waiting as materialized (
    select l.*, case when l.phase in ('waiting', 'input_required', 'auth_required') then l.document -> 'wait' end as wait from looked l
  )
  update agent_state.tasks t set
      phase = case when w.deleted then 'canceled' else w.phase end, epoch = t.epoch + 1, worker_no = null, is_resumed = true, crashes = 0, crash_marks = null, last_report = null,
      seq = n.seq, turn = case when w.phase in ('ready', 'suspended') and not w.deleted then n.seq end,
      run_at = case when w.phase = 'submitted' and not w.deleted then coalesce(t.run_at, clock_timestamp()) end,
      wait_for = w.wait ->> 'for', wait_name = w.wait ->> 'name',
      wait_until = case when w.phase = 'canceling' and not w.deleted then clock_timestamp()   -- nobody holds it: the next sweep cancels it
                        when w.wait ->> 'for' = 'timer' then coalesce(agent_state.time_or_null(w.wait ->> 'until'), clock_timestamp()) end,
      wait_children = case when json_typeof(w.wait -> 'children') = 'array' then array(
        select x.state_no from json_array_elements_text(w.wait -> 'children') c(id) join agent_state.tasks k on k.parent_no = t.task_no
          join agent_state.states x on x.state_no = k.task_no and x.id = c.id) end,
      ended_at = case when w.ended then coalesce(t.ended_at, clock_timestamp()) end,
      deadline = case when not w.ended then t.deadline end,
      is_told = case when w.deleted then coalesce(t.parent_no = any (p_task_no), true) else t.is_told and w.ended end
    from waiting w, lateral (select case when w.phase = 'submitted' then x.seq else coalesce(x.seq, nextval('agent_state.task_seq')) end as seq
                               from agent_state.tasks x where x.task_no = w.state_no offset 0) n
   where t.task_no = w.state_no;

  update agent_state.tasks c set is_told = false
    from agent_state.tasks t join agent_state.states s on s.state_no = t.task_no
   where t.task_no = any (p_task_no) and t.ended_at is null and c.parent_no = t.task_no and c.ended_at is not null
     and not (c.task_no = any (p_task_no) and c.is_told)
     and not exists (select from agent_state.ends_in(agent_state.document(s.state_no, s.version) -> 'results') e(id), agent_state.states x
                      where x.state_no = c.task_no and x.id = e.id);
  update agent_state.stacks k set unsettled = true, ready_kind = null, ready_since = null
   where k.stack_no in (select t.stack_no from agent_state.tasks t where t.task_no = any (p_task_no));
end $$;

-- The phase that a task goes back to: what was being worked on then is nobody's now.
create or replace function agent_state.phase_back(p_state_no bigint, p_phase text)
returns text language plpgsql stable as $$
begin
  return case when p_phase = 'working' and exists (select from agent_state.tasks t where t.task_no = p_state_no) then 'ready' else p_phase end;
end $$;

create or replace function agent_state.mirror_task()
returns trigger language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
begin
  if exists (select from agent_state.tasks t where t.task_no = new.state_no) then
    perform agent_state.mirror_tasks(array[new.state_no]);
  end if;
  return null;
end $$;

create or replace trigger tasks_follow after update of phase, deleted on agent_state.states
  for each row when (new.type = 'task' and (new.phase is distinct from old.phase or new.deleted <> old.deleted)
                     and coalesce(current_setting('agent_state.tasks', true), '') not in ('on', 'judged'))
  execute function agent_state.mirror_task();
