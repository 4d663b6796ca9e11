-- Whether a report of a holder may be taken: its code otherwise. The same report again, after the task went from hand, is REPLAYED.
create or replace function agent_state.report_fault(p_task agent_state.tasks, p_epoch bigint, p_report text)
returns text language plpgsql stable as $$
begin
  return case
    when p_task.task_no is null then 'TASK_NOT_FOUND'
    when p_task.epoch = p_epoch and p_task.worker_no is null and p_task.last_report = p_report then 'REPLAYED'
    when p_task.epoch <> p_epoch or p_task.phase not in ('working', 'canceling')
      or not exists (select from agent_state.workers w where w.worker_no = p_task.worker_no and w.lease_until > clock_timestamp()) then 'EPOCH_FENCED'
    when exists (select from agent_state.holds h where h.scope_no = p_task.stack_no) then 'SCOPE_ON_HOLD' end;
end $$;

-- Whether somebody above a working task is ready to interrupt it at its next step.
create or replace function agent_state.is_preempted(p_task agent_state.tasks)
returns boolean language plpgsql stable as $$
begin
  return p_task.phase = 'working' and exists (
    select from agent_state.tasks x where x.stack_no = p_task.stack_no and x.turn is not null and (x.priority, x.turn) > (p_task.priority, p_task.seq)
       and x.preempt <> 'never');
end $$;

-- Where a report leads: the move that it asks for. `p_body` by report:
--   checkpoint, suspend, release  -
--   wait      {"for": "child", "children"?: [ids]} | {"for": "timer", "until" | "ms"} | {"for": "event", "name"} | {"for": "input"|"auth", "prompt"?},
--             and "timeoutMs" but for a timer; what it waits for may be there already, then it is ready at once
--   complete  the result;  fail {"error", "retry"?: false, "retryAfterMs"?};  reject {"error"}
create or replace function agent_state.reported_move(p_task agent_state.tasks, p_report text, p_body json, p_resume json)
returns agent_state.task_move language plpgsql as $$
declare
  v_move  agent_state.task_move;
  v_for   text := case when p_report = 'wait' then p_body ->> 'for' end;
  v_now   timestamptz := clock_timestamp();
  v_edits json[] := '{}';
begin
  v_move.task_no := p_task.task_no;
  v_move.report := p_report;
  v_move.is_resumed := p_report <> 'fail';
  if p_resume is not null then
    v_edits := v_edits || json_build_object('op', 'add', 'path', '/resumePoint', 'value', p_resume);
  end if;
  if p_task.phase = 'canceling' and p_report in ('suspend', 'release', 'wait') then
    v_move.phase := 'canceled';
  elsif p_report = 'checkpoint' then
    if agent_state.is_preempted(p_task) then v_move.phase := 'suspended'; v_move.cause := 'interrupted'; else v_move.report := null; end if;
  elsif p_report = 'suspend' then v_move.phase := 'suspended';
  elsif p_report = 'release' then v_move.phase := 'ready';
  elsif p_report = 'complete' then
    v_move.phase := 'completed';
    v_move.outcome := json_build_object('result', p_body);
    if p_resume is null then v_move.delta := agent_state.member_delta('result', p_body, true); end if;
    v_edits := v_edits || json_build_object('op', 'add', 'path', '/result', 'value', p_body);
  elsif p_report = 'fail' and p_task.phase = 'working' and coalesce((p_body ->> 'retry')::boolean, true) and p_task.attempt < p_task.max_attempts then
    v_move.phase := 'ready';
    v_move.run_at := v_now + interval '1 ms' * coalesce((p_body ->> 'retryAfterMs')::bigint,
      least(p_task.max_backoff_ms, p_task.backoff_ms * 2 ^ least(p_task.attempt - 1, 30)) * (0.5 + random() / 2));
    if v_move.run_at <= v_now then v_move.run_at := null; end if;
    v_edits := v_edits || json_build_object('op', 'add', 'path', '/error', 'value', p_body -> 'error');
  elsif p_report in ('fail', 'reject') then
    v_move.phase := case when p_report = 'reject' and p_task.phase = 'working' then 'rejected' else 'failed' end;
    v_move.outcome := json_build_object('error', p_body -> 'error');
    v_edits := v_edits || json_build_object('op', 'add', 'path', '/error', 'value', p_body -> 'error');
  elsif p_report = 'wait' then
    v_move.wait_for := v_for;
    v_move.wait_name := p_body ->> 'name';
    v_move.wait_until := case when v_for = 'timer' then coalesce((p_body ->> 'until')::timestamptz, v_now + (p_body ->> 'ms')::bigint * interval '1 ms')
                              else v_now + (p_body ->> 'timeoutMs')::bigint * interval '1 ms' end;
    if p_body -> 'children' is not null then
      select coalesce(array_agg(s.state_no), '{}') into v_move.wait_children
        from json_array_elements_text(p_body -> 'children') c(id) join agent_state.tasks t on t.parent_no = p_task.task_no
        join agent_state.states s on s.state_no = t.task_no and s.id = c.id;
    end if;
    if (case v_for
         when 'child' then not exists (select from agent_state.tasks c where c.parent_no = p_task.task_no and c.ended_at is null
                                          and (v_move.wait_children is null or c.task_no = any (v_move.wait_children)))
         when 'timer' then v_move.wait_until <= v_now
         when 'event' then v_move.wait_name = any (p_task.events) end) then
      v_move.events := case when v_for = 'event' then array_remove(p_task.events, v_move.wait_name) end;
      v_move.phase := 'ready';
      v_move.wait_for := null; v_move.wait_name := null; v_move.wait_until := null; v_move.wait_children := null;
    else
      v_move.phase := case v_for when 'input' then 'input_required' when 'auth' then 'auth_required' else 'waiting' end;
      v_edits := v_edits || json_build_object('op', 'add', 'path', '/wait', 'value', p_body);
    end if;
  end if;
  if v_move.delta is null then
    v_move.delta := case when cardinality(v_edits) = 0 then '{"m":{}}' else agent_state.members_delta(v_edits) end;
  end if;
  v_move.cause := coalesce(v_move.cause, p_report);
  return v_move;
end $$;

-- What holders say about their tasks, one a position of the arrays, each with its own fate; and then, where p_claim is above 0, the next
-- tasks for the same worker, from p_stacks (null: any). Nothing of a task that is held no more, or by another epoch, changes.
-- Rows with n answer reports: code null or REPLAYED where it holds, and the phase after it; `wanted` is cancel where the holder
-- should give it up, suspended where a checkpoint gave it back. Rows without n are claimed tasks, as of claim_tasks.
create or replace function agent_state_api.report_tasks(
  p_namespace text, p_id text[], p_epoch bigint[], p_report text[], p_body json[], p_resume json[], p_actor text, p_worker text, p_incarnation text,
  p_lease_ms integer, p_stacks text[], p_kinds text[], p_claim integer)
returns table (n integer, code text, wanted text, id text, stack text, kind text, phase text, seq bigint, priority integer, depth integer, parent text,
               epoch bigint, attempt integer, deadline timestamptz, lease_until timestamptz, created_at timestamptz, document json)
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
  set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  v_tasks   bigint[];
  v_done    boolean[];   -- which of them are done with
  v_code    text[];
  v_moves   agent_state.task_move[];
  v_worker  bigint;
  v_stacks  bigint[];
  v_claimed bigint[];
  v_lean    boolean := false;
  v_task_no bigint;
  v_stack_no bigint;
  v_one     record;
  v_tries   integer := 0;
begin
  if cardinality(p_id) = 1 then
    select s.state_no, s.scope_no into v_task_no, v_stack_no from agent_state.states s where s.namespace = p_namespace and s.id = p_id[1];
    v_tasks := array[v_task_no];
    v_lean := p_report[1] = 'complete' and p_resume[1] is null and v_stack_no is not null and p_claim <= 1 and (p_claim = 0 or p_worker = p_actor);
  else
    if exists (select from unnest(p_id) i(id) group by i.id having count(*) > 1) then
      raise exception using errcode = 'PT400', message = 'INVALID_REQUEST', detail = 'two reports about one task in one call';
    end if;
    select array_agg(s.state_no order by i.n) into v_tasks from unnest(p_id) with ordinality i(id, n)
      left join lateral (select x.state_no from agent_state.states x where x.namespace = p_namespace and x.id = i.id limit 1) s on true;
  end if;
  loop
    begin
      v_done := null;
      v_code := null;
      if v_lean then
        v_one := agent_state.complete_one(v_task_no, v_stack_no, p_epoch[1], p_body[1], p_actor, p_namespace, case when p_claim > 0 then p_worker end,
                                          p_incarnation, p_lease_ms, case when cardinality(p_stacks) > 0 then p_stacks end,
                                          case when cardinality(p_kinds) > 0 then p_kinds end);
        if v_one.is_done and (p_claim = 0 or v_one.task_no is not null) then
          n := 1; id := p_id[1]; phase := 'completed'; epoch := p_epoch[1];
          return next;
          if v_one.task_no is null then return; end if;
          n := null; id := v_one.id; stack := v_one.stack; kind := v_one.kind; phase := 'working'; seq := v_one.seq; priority := v_one.priority;
          depth := v_one.depth; parent := v_one.parent; epoch := v_one.epoch; attempt := v_one.attempt; deadline := v_one.deadline;
          lease_until := v_one.lease_until; created_at := v_one.created_at; document := v_one.document;
          return next;
          return;
        end if;
        if v_one.is_done then v_done := '{true}'; end if;
      end if;
      if v_done is null then
        perform agent_state.lock_stacks(v_tasks);
        v_done := case when not v_lean and 'complete' = any (p_report)
                       then agent_state.complete_many(v_tasks, p_epoch, p_report, p_body, p_resume, p_actor)
                       else array_fill(false, array[cardinality(p_id)]) end;
      end if;
      if false = any (v_done) then
        select array_agg(f.code order by i.n), array_agg(m.move order by i.n) filter (where f.code is null and not v_done[i.n]) into v_code, v_moves
          from unnest(v_tasks, p_epoch, p_report, p_body, p_resume) with ordinality i(task_no, epoch, report, body, resume, n)
          left join lateral (select x from agent_state.tasks x where x.task_no = i.task_no limit 1) t on not v_done[i.n]
          join lateral (select case when not v_done[i.n] then agent_state.report_fault(t.x, i.epoch, i.report) end as code offset 0) f on true
          left join lateral (select agent_state.reported_move(t.x, i.report, i.body, i.resume) as move offset 0) m
            on f.code is null and not v_done[i.n];
        perform agent_state.move_tasks(v_moves, p_actor);
      end if;
      if p_claim > 0 and cardinality(p_stacks) > 0 then
        v_stacks := agent_state.stack_numbers(p_namespace, p_stacks);
      end if;
      if p_claim > 0 then
        v_worker := agent_state.know_worker(p_namespace, p_worker, p_incarnation, p_lease_ms, false);
        v_claimed := agent_state.claim_next(p_namespace, v_worker, v_stacks, case when cardinality(p_kinds) > 0 then p_kinds end, p_claim, p_worker);
      end if;
      return query
      select i.n::integer, v_code[i.n], case when t.phase = 'canceling' then 'cancel' when t.phase = 'suspended' or v_code[i.n] = 'REPLAYED'
                  and p_report[i.n] = 'checkpoint' then 'suspended' end, i.id, null, null,
             case when v_done[i.n] then 'completed' else t.phase end, null::bigint, null::integer, null::integer, null,
             case when v_done[i.n] then p_epoch[i.n] else t.epoch end, t.attempt, null::timestamptz, null::timestamptz, null::timestamptz, null::json
        from unnest(p_id, v_tasks) with ordinality i(id, task_no, n) left join agent_state.tasks t on t.task_no = i.task_no and not v_done[i.n]
      union all
      select null, null, null, c.id, c.stack, c.kind, c.phase, c.seq, c.priority, c.depth, c.parent, c.epoch, c.attempt, c.deadline, c.lease_until,
             c.created_at, c.document
        from agent_state.claimed_tasks(v_claimed) c;
      return;
    exception when unique_violation or deadlock_detected or sqlstate 'PT503' then
      v_tries := v_tries + 1;
      perform agent_state.try_again(v_tries);
    end;
  end loop;
end $$;
