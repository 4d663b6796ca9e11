-- The end of one task and the claim of the next of its stack, which is what a stack that is worked off is made of: the same as
-- move_tasks and claim_next come to where nobody but the two is concerned, in a few statements by index. Each is small and written out:
-- with one task, what a statement costs is to be set up. is_done false: others are concerned, and nothing was done.
--   p_worker  who claims; null: nobody does
--   p_stacks  from which of them, by their names; null: any. p_kinds null: of any kind.
create or replace function agent_state.complete_one(
  p_task_no bigint, p_stack_no bigint, p_epoch bigint, p_result json, p_actor text, p_namespace text, p_worker text, p_incarnation text,
  p_lease_ms integer, p_stacks text[], p_kinds text[],
  out is_done boolean, out task_no bigint, out id text, out stack text, out kind text, out seq bigint, out priority integer, out depth integer,
  out parent text, out epoch bigint, out attempt integer, out deadline timestamptz, out lease_until timestamptz, out created_at timestamptz,
  out document json) language plpgsql as $$
#variable_conflict use_column
declare
  v         record;
  v_now     timestamptz;
  v_lease   timestamptz;
  v_claims  boolean := false;
  v_end     json;
  v_claim   json;
  v_xid     xid8;
  v_written integer;
  v_setting text;
begin
  is_done := false;
  perform from agent_state.stacks k where k.stack_no = p_stack_no for update;
  v_now := clock_timestamp();
  -- Both tasks with their states, who holds the first, and the HEAD of their scope; nothing where this is not for here to do.
  select t.phase, s.id, s.version, s.digest, h.step, h.feed_xid, w.worker_no, w.lease_until, w.namespace = p_namespace and w.worker = p_worker
           and w.incarnation = p_incarnation and w.lease_until > v_now + p_lease_ms * interval '0.5 ms' and g.type is not null as is_claimer,
         n.task_no as next_no, n.kind, n.seq, n.priority, n.depth, n.parent_no, n.epoch, n.attempt, n.is_resumed, n.deadline,
         x.id as next_id, x.version as next_version, x.digest as next_digest, x.created_at, b.body, coalesce(s.scope, s.id) as stack
    into v
    from agent_state.tasks t
    join agent_state.states s on s.state_no = t.task_no
    join agent_state.workers w on w.worker_no = t.worker_no
    join agent_state.transitions e on e.type = 'task' and e.from_phase = s.phase and e.to_phase = 'completed' and e.via = 'change'
    cross join lateral (select c.step, c.feed_xid from agent_state.changes c where c.scope_no = p_stack_no
                         order by c.step desc, c.position desc limit 1) h
    left join lateral (select q.* from agent_state.tasks q where q.stack_no = p_stack_no and q.turn is not null
                        order by q.stack_no desc, q.priority desc, q.turn desc limit 1) n on true
    left join agent_state.states x on x.state_no = n.task_no
    left join agent_state.transitions g on g.type = 'task' and g.from_phase = x.phase and g.to_phase = 'working' and g.via = 'change'
    left join agent_state.changes b on b.state_no = x.state_no and b.version = x.base_version and x.base_version = x.version
   where t.task_no = p_task_no and t.epoch = p_epoch and t.phase in ('working', 'canceling') and t.parent_no is null and w.lease_until > v_now
     and n.phase is distinct from 'suspended' and s.append_path is null and s.delta_count < 32 and s.delta_bytes + coalesce(octet_length(p_result::text), 0) < 4000
     and s.full_bytes < 16777216 and x.append_path is null and (x.state_no is null or x.delta_count < 32 and x.delta_bytes < 3500 and x.full_bytes < 16777216)
     and not exists (select from agent_state.holds o where o.scope_no = p_stack_no);
  if v.worker_no is null then return; end if;
  if v.is_claimer and v.next_no is not null and (p_kinds is null or v.kind = any (p_kinds)) then
    v_claims := case when p_stacks is not null then p_stacks = array[v.stack]
                     else not exists (select from agent_state.stacks k where k.namespace = p_namespace and k.ready_since is not null) end;
  end if;

  v_setting := set_config('agent_state.tasks', 'judged', true);
  v_xid := greatest(pg_current_xact_id(), v.feed_xid);
  v_end := agent_state.member_delta('result', p_result, true);
  v.digest := agent_state.digest_of(v.digest, p_namespace, v.id, 'task', v.step + 1, v.version + 1, 'u', 'd', 'completed', v_end);
  if v_claims then
    epoch := v.epoch + 1;
    attempt := v.attempt + case when v.is_resumed then 0 else 1 end;
    v_claim := agent_state.claim_delta(epoch, attempt, p_worker);
    v.next_digest := agent_state.digest_of(v.next_digest, p_namespace, v.next_id, 'task', v.step + 2, v.next_version + 1, 'u', 'd', 'working', v_claim);
    task_no := v.next_no;
  end if;
  update agent_state.tasks t set
      phase = case when t.task_no = p_task_no then 'completed' else 'working' end, turn = null,
      worker_no = case when t.task_no <> p_task_no then v.worker_no end, epoch = t.epoch + case when t.task_no = p_task_no then 0 else 1 end,
      attempt = t.attempt + case when t.task_no = p_task_no or t.is_resumed then 0 else 1 end, is_resumed = t.task_no = p_task_no,
      last_report = case when t.task_no = p_task_no then 'complete' end, run_at = case when t.task_no <> p_task_no then t.run_at end,
      ended_at = case when t.task_no = p_task_no then v_now end, deadline = case when t.task_no <> p_task_no then t.deadline end
    where t.task_no in (p_task_no, complete_one.task_no);
  update agent_state.stacks k set
      working_no = complete_one.task_no, unsettled = false, ready_kind = case when not v_claims then v.kind end,
      ready_since = case when v.next_no is not null and not v_claims then v_now end
    where k.stack_no = p_stack_no;
  update agent_state.states s set
      version = s.version + 1, step = v.step + case when s.state_no = p_task_no then 1 else 2 end,
      digest = case when s.state_no = p_task_no then v.digest else v.next_digest end,
      phase = case when s.state_no = p_task_no then 'completed' else 'working' end,
      is_scheduled = true, updated_at = v_now, feed_xid = v_xid, delta_count = s.delta_count + 1,
      delta_bytes = s.delta_bytes + octet_length(case when s.state_no = p_task_no then v_end else v_claim end::text)
    where s.state_no in (p_task_no, complete_one.task_no) and s.version = case when s.state_no = p_task_no then v.version else v.next_version end;
  get diagnostics v_written = row_count;
  insert into agent_state.changes (feed_xid, scope_no, step, state_no, version, at, position, writer, kind, stored, digest, phase, actor, cause, body)
  select v_xid, p_stack_no, c.step, c.state_no, c.version, v_now, 0, 0, 'u', 'd', c.digest, c.phase, p_actor, c.cause, c.body
    from (values (v.step + 1, p_task_no, v.version + 1, v.digest, 'completed', 'complete', v_end),
                 (v.step + 2, complete_one.task_no, v.next_version + 1, v.next_digest, 'working', 'claimed', v_claim))
         c(step, state_no, version, digest, phase, cause, body) where c.state_no is not null;
  v_setting := set_config('agent_state.tasks', '', true);
  if v_written <> (case when v_claims then 2 else 1 end) then perform agent_state.lost_race(); end if;

  is_done := true;
  if not v_claims then return; end if;
  id := v.next_id; stack := v.stack; kind := v.kind; seq := v.seq; priority := v.priority; depth := v.depth; deadline := v.deadline;
  lease_until := v.lease_until; created_at := v.created_at;
  document := coalesce(v.body, agent_state.document(task_no, v.next_version + 1));
  if v.parent_no is not null then parent := (select s.id from agent_state.states s where s.state_no = v.parent_no); end if;
end $$;
