-- Ends those of these tasks whose reports are plain ones: completed, without a last resume point, and nobody but their stack is concerned.
-- The same as report_fault, reported_move, move_tasks and settle_stacks come to, by one look at each for all at once. Whoever calls
-- holds their stacks. Answers of each whether it was ended; of the others nothing was done.
create or replace function agent_state.complete_many(
  p_task_no bigint[], p_epoch bigint[], p_report text[], p_body json[], p_resume json[], p_actor text)
returns boolean[] language plpgsql as $$
declare
  v_now    constant timestamptz := clock_timestamp();
  v_plain  boolean[];
  v_tasks  bigint[];
  v_deltas json[];
  v_ended  integer;
begin
  with looked as materialized (
    select i.n, i.body, t.task_no, t.stack_no, t.place, top.kind,
           t.task_no is not null and top.phase is distinct from 'suspended'
             and exists (select from agent_state.workers w where w.worker_no = t.worker_no and w.lease_until > v_now)
             and not exists (select from agent_state.holds h where h.scope_no = t.stack_no) as is_plain
      from unnest(p_task_no, p_epoch, p_report, p_body, p_resume) with ordinality i(task_no, epoch, report, body, resume, n)
      left join lateral (select x.task_no, x.stack_no, x.worker_no, x.ctid as place from agent_state.tasks x
                          where x.task_no = i.task_no and x.epoch = i.epoch and x.phase in ('working', 'canceling') and x.parent_no is null
                            and i.report = 'complete' and i.resume is null limit 1) t on true
      left join lateral (select x.kind, x.phase from agent_state.tasks x where x.stack_no = t.stack_no and x.turn is not null
                          order by x.stack_no desc, x.priority desc, x.turn desc limit 1) top on true
  ), ended as (
    update agent_state.tasks t set
        phase = 'completed', turn = null, worker_no = null, is_resumed = true, run_at = null, wait_for = null, wait_name = null,
        wait_until = null, wait_children = null, last_report = 'complete', ended_at = v_now, deadline = null
      from looked l where l.is_plain and t.ctid = l.place
    returning 1
  ), settled as (
    update agent_state.stacks k set
        working_no = null, ready_kind = l.kind, unsettled = false, ready_since = case when l.kind is not null then v_now end
      from looked l where l.is_plain and k.stack_no = l.stack_no
  )
  select array_agg(l.is_plain order by l.n), array_agg(l.task_no order by l.stack_no) filter (where l.is_plain),
         array_agg(agent_state.member_delta('result', l.body, true) order by l.stack_no) filter (where l.is_plain), (select count(*) from ended)
    into v_plain, v_tasks, v_deltas, v_ended from looked l;
  if v_ended > 0 then
    if v_ended <> cardinality(v_tasks) then perform agent_state.lost_race(); end if;
    perform agent_state.write_tasks(v_tasks, array_fill('completed'::text, array[v_ended]), v_deltas, array_fill('complete'::text, array[v_ended]),
                                    p_actor);
  end if;
  return v_plain;
end $$;
