-- Writes one change to each of these tasks, those of a scope as one step: the phase (null keeps it) and the delta to its
-- document. Whoever calls holds the stacks; a plain commit to the same scope may still be faster, then it raises as
-- unique_violation or PT503, and the caller looks again. That moves are legal, the trigger of agent_state.states minds.
create or replace function agent_state.write_tasks(
  p_task_no bigint[], p_phase text[], p_delta json[], p_cause text[], p_actor text)
returns void language plpgsql as $$
declare
  c_bytes constant integer := 33554432;   -- each part of the document was bounded where it came in; results of children add up
  v_now timestamptz := clock_timestamp();
  v_xid xid8 := pg_current_xact_id();
  v_written integer;
begin
  if p_task_no is null then return; end if;
  perform set_config('agent_state.tasks', 'on', true);
  with rows as materialized (
    select s.ctid as place, s.state_no, s.scope_no, s.namespace, s.id, s.digest as old_digest, s.version + 1 as version, h.step + 1 as step,
           greatest(v_xid, h.feed_xid) as feed_xid, coalesce(i.phase, s.phase) as phase, i.cause, w.weight,
           coalesce((w.weight).full_copy, i.delta) as body, case when (w.weight).full_copy is null then 'd' else 'f' end as stored,
           row_number() over (partition by s.scope_no order by i.n) - 1 as position
      from unnest(p_task_no, p_phase, p_delta, p_cause) with ordinality i(task_no, phase, delta, cause, n)
      join lateral (select x.ctid, x.* from agent_state.states x where x.state_no = i.task_no limit 1) s on true
      join lateral (select c.step, c.feed_xid from agent_state.changes c where c.scope_no = s.scope_no
                     order by c.step desc, c.position desc limit 1) h on true
      join lateral (select agent_state.weigh_delta((select x from agent_state.states x where x.ctid = s.ctid), i.delta, c_bytes, 256) as weight
                    offset 0) w on true
  ), linked as materialized (
    select r.*, agent_state.digest_of(r.old_digest, r.namespace, r.id, 'task', r.step, r.version, 'u', r.stored, r.phase, r.body) as digest,
           octet_length(r.body::text) as bytes
      from rows r
  ), updated as (
    update agent_state.states s set
        version = l.version, step = l.step, digest = l.digest, phase = l.phase, updated_at = v_now, feed_xid = l.feed_xid,
        base_version = case when l.stored = 'f' then l.version else s.base_version end,
        full_bytes = case when l.stored = 'f' then l.bytes else s.full_bytes end,
        delta_bytes = case when l.stored = 'f' then 0 else s.delta_bytes + l.bytes end,
        delta_count = case when l.stored = 'f' then 0 else s.delta_count + (l.weight).added end,
        append_path = case when l.stored = 'd' then (l.weight).append_path end
      from linked l where s.ctid = l.place and s.version = l.version - 1 and (l.weight).fault is null
    returning s.state_no
  ), logged as (
    insert into agent_state.changes (feed_xid, scope_no, step, state_no, version, at, position, writer, kind, stored, digest, phase, actor, cause, body)
    select l.feed_xid, l.scope_no, l.step, l.state_no, l.version, v_now, l.position, 0, 'u', l.stored::"char", l.digest, l.phase, p_actor,
           l.cause, l.body
      from linked l order by l.scope_no, l.position
  )
  select count(*) into v_written from updated;
  if v_written <> cardinality(p_task_no) then perform agent_state.lost_race(); end if;
  perform set_config('agent_state.tasks', '', true);
end $$;

-- After losing a race: whoever keeps losing queues up, as in commit_batch; after 50 times the caller has to wait.
create or replace function agent_state.try_again(p_tries integer)
returns void language plpgsql as $$
begin
  if p_tries = 4 then perform pg_advisory_xact_lock(hashtext('agent_state.commit_batch')); end if;
  if p_tries = 50 then perform agent_state.lost_race(); end if;
end $$;

-- A delta that sets one member of the document to any value. A merge is cheaper, and says the same where there is no null
-- in the value for it to take away, and no object where it goes for it to mix with.
create or replace function agent_state.member_delta(p_name text, p_value json, p_is_new boolean)
returns json language sql immutable as $$
  select case when p_is_new and position('null' in p_value::text) = 0 then json_build_object('m', json_build_object(p_name, p_value))
              else json_build_object('p', json_build_array(json_build_object('op', 'add', 'path', '/' || p_name, 'value', p_value))) end
$$;
