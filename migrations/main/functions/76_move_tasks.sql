-- Moves tasks, and does all that follows: parents are told, stacks are settled, everything is written. Whoever calls holds their
-- stacks (lock_stacks), and has judged under that lock that they may move so. phase null: it stays in its phase.
create or replace function agent_state.move_tasks(p_moves agent_state.task_move[], p_actor text)
returns void language plpgsql as $$
declare
  c_ends constant text[] := '{completed,failed,canceled,rejected}';
  v_stacks bigint[];
  v_ended  bigint[];
  v_rest   record;
begin
  if p_moves is null then return; end if;
  with moved as (
    update agent_state.tasks t set
        phase = n.phase,
        seq = o.seq,
        turn = case when n.phase in ('ready', 'suspended') and m.run_at is null then o.seq end,
        epoch = t.epoch + case when m.fence then 1 else 0 end,
        worker_no = case when n.phase in ('working', 'canceling') and not coalesce(m.fence, false) then t.worker_no end,
        is_resumed = coalesce(m.is_resumed, t.is_resumed),
        crashes = coalesce(m.crashes, t.crashes),
        run_at = m.run_at, wait_for = m.wait_for, wait_name = m.wait_name, wait_until = m.wait_until, wait_children = m.wait_children,
        events = coalesce(m.events, t.events), last_report = coalesce(m.report, t.last_report),
        ended_at = case when n.phase = any (c_ends) then clock_timestamp() end,
        deadline = case when n.phase <> all (c_ends) then t.deadline end
      from unnest(p_moves) m, lateral (select x.phase, x.worker_no, case when m.arrives then nextval('agent_state.task_seq') else x.seq end as seq
                                             from agent_state.tasks x where x.task_no = m.task_no offset 0) o,
           lateral (select coalesce(m.phase, o.phase) as phase) n
     where t.task_no = m.task_no
    returning t.task_no, t.stack_no, t.parent_no, t.ended_at, case when m.fence then o.worker_no end as taken_from
  ), fenced as (
    insert into agent_state.fenced_tasks select m.taken_from, m.task_no, clock_timestamp() from moved m where m.taken_from is not null
    on conflict (worker_no, task_no) do update set at = excluded.at
  )
  select array_agg(m.stack_no), array_agg(m.task_no) filter (where m.ended_at is not null and m.parent_no is not null)
    into v_stacks, v_ended from moved m;

  perform agent_state.write_tasks(array_agg(m.task_no order by t.stack_no, n), array_agg(m.phase order by t.stack_no, n),
                                  array_agg(m.delta order by t.stack_no, n), array_agg(m.cause order by t.stack_no, n), p_actor)
     from unnest(p_moves) with ordinality m(task_no, phase, delta, outcome, fence, arrives, is_resumed, crashes, run_at, wait_for, wait_name,
                                            wait_until, wait_children, events, report, cause, n)
     join agent_state.tasks t on t.task_no = m.task_no where m.delta is not null;
  perform agent_state.follow_up(v_stacks, v_ended, (select array_agg(m.outcome order by m.task_no) from unnest(p_moves) m
                                                     where m.task_no = any (v_ended)), p_actor);
end $$;

-- What follows from tasks that moved: their parents know, and the next task of each stack is ready.
create or replace function agent_state.follow_up(p_stack_no bigint[], p_ended bigint[], p_outcome json[], p_actor text)
returns void language plpgsql as $$
declare
  v_told  bigint[];
  v_phase text[];
  v_delta json[];
  v_stacks bigint[] := p_stack_no;
begin
  if p_ended is not null then
    select array_agg(p.task_no order by p.task_no), array_agg(p.phase order by p.task_no), array_agg(p.delta order by p.task_no)
      into v_told, v_phase, v_delta
      from agent_state.tell_parents((select array_agg(e order by e) from unnest(p_ended) e), p_outcome) p;
    select v_stacks || array_agg(t.stack_no) into v_stacks from agent_state.tasks t where t.task_no = any (v_told);
  end if;
  perform agent_state.write_tasks(array_agg(w.task_no), array_agg(w.phase), array_agg(w.delta), array_agg(w.cause), p_actor)
     from (select coalesce(s.task_no, p.task_no) as task_no, coalesce(s.phase, p.phase) as phase, coalesce(p.delta, '{"m":{}}') as delta,
                  case when s.phase = 'suspended' then 'interrupted at once' when p.task_no is null then 'its turn again' else 'a result came' end as cause
             from agent_state.settle_stacks(v_stacks) s
             full join unnest(v_told, v_phase, v_delta) p(task_no, phase, delta) on p.task_no = s.task_no
             join agent_state.tasks t on t.task_no = coalesce(s.task_no, p.task_no)
            order by t.stack_no, t.task_no) w
   having count(*) > 0;
end $$;
