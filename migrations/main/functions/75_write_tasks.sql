-- Writes one change to each of these tasks, those of a scope as one step: the phase (null keeps it) and the delta to its
-- document; with p_after in the step so many after that one. Whoever calls holds the stacks; a plain commit to the same scope may still be faster, then it raises as
-- unique_violation or PT503, and the caller looks again.
-- One statement for all, as in commit_batch, which also looks whether the moves are legal: the trigger of agent_state.states would at each row.
-- What a delta of the usual kind weighs is told here, without a call for each: one that only sets members, as all do that append nothing
-- (see members_delta), where nothing was appended before, while the deltas since the full copy are few and small.
create or replace function agent_state.write_tasks(
  p_task_no bigint[], p_phase text[], p_delta json[], p_cause text[], p_actor text, p_after integer[] default null)
returns void language plpgsql as $$
declare
  c_bytes constant integer := 33554432;   -- each part of the document was bounded where it came in; results of children add up
  v_now   constant timestamptz := clock_timestamp();
  v_xid   constant xid8 := pg_current_xact_id();
  v_written integer;
  v_illegal text;
begin
  if p_task_no is null then return; end if;
  perform set_config('agent_state.tasks', 'judged', true);
  with linked as materialized (
    select l.*, octet_length(l.body::text) as bytes,
           agent_state.digest_of(l.old_digest, l.namespace, l.id, 'task', l.step, l.version, 'u', l.stored, l.phase, l.body) as digest
      from (select i.cause, s.place, s.state_no, s.scope_no, s.namespace, s.id, s.digest as old_digest, s.version + 1 as version,
                   s.phase as old_phase, coalesce(i.phase, s.phase) as phase, greatest(v_xid, h.feed_xid) as feed_xid,
                   case when w.weight is null then 1 else (w.weight).added end as added, (w.weight).append_path, (w.weight).fault,
                   case when (w.weight).full_copy is null then 'd' else 'f' end as stored, coalesce((w.weight).full_copy, i.delta) as body,
                   h.step + dense_rank() over (partition by s.scope_no order by coalesce(i.after, 0)) as step,
                   row_number() over (partition by s.scope_no, coalesce(i.after, 0) order by i.n) - 1 as position
              from unnest(p_task_no, p_phase, p_delta, p_cause, p_after) with ordinality i(task_no, phase, delta, cause, after, n)
              cross join lateral (select x.ctid as place, x.state_no, x.scope_no, x.namespace, x.id, x.digest, x.version, x.phase, x.append_path,
                                         x.delta_count, x.delta_bytes, x.full_bytes
                                    from agent_state.states x where x.state_no = i.task_no limit 1) s
              cross join lateral (select c.step, c.feed_xid from agent_state.changes c where c.scope_no = s.scope_no
                                   order by c.step desc, c.position desc limit 1) h
              cross join lateral (select case
                           when s.append_path is not null or s.delta_count >= 32 or i.delta -> 'a' is not null
                             or s.delta_bytes + octet_length(i.delta::text) > greatest(s.full_bytes, 4096)
                             or s.full_bytes + s.delta_bytes + octet_length(i.delta::text) > c_bytes
                           then agent_state.weigh_move((select x from agent_state.states x where x.ctid = s.place), i.delta, c_bytes, 256)
                           end as weight offset 0) w) l
  ), updated as (
    update agent_state.states s set
        version = l.version, step = l.step, digest = l.digest, phase = l.phase, is_scheduled = true, updated_at = v_now, feed_xid = l.feed_xid,
        base_version = case when l.stored = 'f' then l.version else s.base_version end,
        full_bytes = case when l.stored = 'f' then l.bytes else s.full_bytes end,
        delta_bytes = case when l.stored = 'f' then 0 else s.delta_bytes + l.bytes end,
        delta_count = case when l.stored = 'f' then 0 else s.delta_count + l.added end,
        append_path = case when l.stored = 'd' then l.append_path end
      from linked l
     where s.ctid = l.place and s.version = l.version - 1 and l.fault is null
    returning 1
  ), logged as (
    insert into agent_state.changes (feed_xid, scope_no, step, state_no, version, at, position, writer, kind, stored, digest, phase, actor, cause, body)
    select l.feed_xid, l.scope_no, l.step, l.state_no, l.version, v_now, l.position, 0, 'u', l.stored::"char", l.digest, l.phase, p_actor, l.cause, l.body
      from linked l
  )
  select (select count(*) from updated),
         (select coalesce(l.old_phase, '(none)') || ' to ' || l.phase
            from (select distinct x.old_phase, x.phase from linked x where x.phase is distinct from x.old_phase) l
           where not exists (
                 select from agent_state.transitions t
                  where t.type = 'task' and t.from_phase = coalesce(l.old_phase, '') and t.to_phase = l.phase
                    and (t.via = 'change' or current_setting('agent_state.repair', true) = 'on')) limit 1)
    into v_written, v_illegal;
  perform set_config('agent_state.tasks', '', true);
  if v_written <> cardinality(p_task_no) then perform agent_state.lost_race(); end if;
  if v_illegal is not null then
    raise exception using errcode = 'PT422', message = 'ILLEGAL_TRANSITION', detail = format('a task may not go from %s', v_illegal);
  end if;
end $$;

-- The same as weigh_delta. Where somebody wrote something else in the place of its results by hand, or of the whole document, what is appended there
-- is all there is: else no child of it could end any more, and no sweep that ends one.
create or replace function agent_state.weigh_move(p_state agent_state.states, p_delta json, p_data_bytes integer, p_data_depth integer)
returns agent_state.weight language plpgsql stable as $$
declare
  v_weight agent_state.weight := agent_state.weigh_delta(p_state, p_delta, p_data_bytes, p_data_depth);
  v_anew   json;
begin
  if v_weight.fault is null or p_delta -> 'a' -> '/results' is null then return v_weight; end if;
  v_anew := json_build_object('m', coalesce(p_delta -> 'm', '{}'),
                              'p', json_build_array(json_build_object('op', 'add', 'path', '/results', 'value', p_delta -> 'a' -> '/results')));
  v_weight := agent_state.weigh_delta(p_state, v_anew, p_data_bytes, p_data_depth);
  if v_weight.fault is null then v_weight.full_copy := agent_state.document(p_state.state_no, p_state.version, v_anew); end if;
  return v_weight;
end $$;

-- After losing a race: whoever keeps losing queues up, as in commit_batch; after 50 times the caller has to wait.
create or replace function agent_state.try_again(p_tries integer)
returns void language plpgsql as $$
begin
  if p_tries = 4 then perform pg_advisory_xact_lock(hashtext('agent_state.commit_batch')); end if;
  if p_tries = 50 then perform agent_state.lost_race(); end if;
end $$;

-- A delta that sets members of the document. The merge beside the operations says that they apply to any: nobody needs to try.
create or replace function agent_state.members_delta(p_edits json[])
returns json language sql stable as $$
  select json_build_object('m', '{}'::json, 'p', array_to_json(p_edits))
$$;

-- A delta that sets one member of the document to any value. A merge is cheaper, and says the same where there is no null
-- in the value for it to take away, and no object where it goes for it to mix with.
create or replace function agent_state.member_delta(p_name text, p_value json, p_is_new boolean)
returns json language sql stable as $$
  select case when p_is_new and position('null' in p_value::text) = 0 then json_build_object('m', json_build_object(p_name, p_value))
              else agent_state.members_delta(array[json_build_object('op', 'add', 'path', '/' || p_name, 'value', p_value)]) end
$$;
