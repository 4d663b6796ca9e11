-- Writes one change to each of these tasks, those of a scope as one step: the phase (null keeps it) and the delta to its
-- document; with p_after in the step so many after that one. Whoever calls holds the stacks; a plain commit to the same scope may still be faster, then it raises as
-- unique_violation or PT503, and the caller looks again. That moves are legal, the trigger of agent_state.states minds.
-- Looked up and judged one by one, and written together: to set up one statement for all of it costs more than that.
create or replace function agent_state.write_tasks(
  p_task_no bigint[], p_phase text[], p_delta json[], p_cause text[], p_actor text, p_after integer[] default null)
returns void language plpgsql as $$
declare
  c_bytes constant integer := 33554432;   -- each part of the document was bounded where it came in; results of children add up
  v_count constant integer := coalesce(cardinality(p_task_no), 0);
  v_now    timestamptz := clock_timestamp();
  v_xid    xid8 := pg_current_xact_id();
  v_state  agent_state.states;
  v_weight agent_state.weight;
  v_scope  bigint := 0;
  v_after  integer;
  v_head   bigint;
  v_head_xid xid8;
  v_body   json;
  v_body_stored text;
  v_scopes bigint[] := array_fill(null::bigint, array[v_count]);
  v_steps  bigint[] := v_scopes;
  v_versions bigint[] := v_scopes;
  v_feed   xid8[] := array_fill(null::xid8, array[v_count]);
  v_positions integer[] := array_fill(0, array[v_count]);
  v_added  integer[] := v_positions;
  v_phases text[] := array_fill(null::text, array[v_count]);
  v_paths  text[] := v_phases;
  v_stored text[] := v_phases;
  v_bodies json[] := p_delta;
  v_digests bytea[] := array_fill(null::bytea, array[v_count]);
  v_written integer;
begin
  if p_task_no is null then return; end if;
  for i in 1 .. v_count loop
    select x.* into v_state from agent_state.states x where x.state_no = p_task_no[i];
    if v_state.scope_no <> v_scope then
      v_scope := v_state.scope_no;
      select c.step, c.feed_xid into v_head, v_head_xid
        from agent_state.changes c where c.scope_no = v_scope order by c.step desc, c.position desc limit 1;
    elsif coalesce(p_after[i], 0) = v_after then
      v_positions[i] := v_positions[i - 1] + 1;
    end if;
    v_after := coalesce(p_after[i], 0);
    v_weight := agent_state.weigh_delta(v_state, p_delta[i], c_bytes, 256);
    if v_weight.fault is not null then perform agent_state.lost_race(); end if;
    v_body := coalesce(v_weight.full_copy, p_delta[i]);
    v_body_stored := case when v_weight.full_copy is null then 'd' else 'f' end;
    v_scopes[i] := v_scope;
    v_steps[i] := v_head + 1 + v_after;
    v_feed[i] := greatest(v_xid, v_head_xid);
    v_versions[i] := v_state.version + 1;
    v_phases[i] := coalesce(p_phase[i], v_state.phase);
    v_stored[i] := v_body_stored;
    v_added[i] := v_weight.added;
    v_paths[i] := v_weight.append_path;
    v_bodies[i] := v_body;
    v_digests[i] := agent_state.digest_of(v_state.digest, v_state.namespace, v_state.id, 'task', v_steps[i], v_versions[i], 'u', v_body_stored,
                                          v_phases[i], v_body);
  end loop;
  perform set_config('agent_state.tasks', 'on', true);
  update agent_state.states s set
      version = l.version, step = l.step, digest = l.digest, phase = l.phase, updated_at = v_now, feed_xid = l.feed_xid,
      base_version = case when l.stored = 'f' then l.version else s.base_version end,
      full_bytes = case when l.stored = 'f' then octet_length(l.body::text) else s.full_bytes end,
      delta_bytes = case when l.stored = 'f' then 0 else s.delta_bytes + octet_length(l.body::text) end,
      delta_count = case when l.stored = 'f' then 0 else s.delta_count + l.added end,
      append_path = case when l.stored = 'd' then l.append_path end
    from unnest(p_task_no, v_versions, v_steps, v_digests, v_phases, v_feed, v_stored, v_bodies, v_added, v_paths)
           l(state_no, version, step, digest, phase, feed_xid, stored, body, added, append_path)
   where s.state_no = l.state_no and s.version = l.version - 1;
  get diagnostics v_written = row_count;
  if v_written <> v_count then perform agent_state.lost_race(); end if;
  insert into agent_state.changes (feed_xid, scope_no, step, state_no, version, at, position, writer, kind, stored, digest, phase, actor, cause, body)
  select l.feed_xid, l.scope_no, l.step, l.state_no, l.version, v_now, l.position, 0, 'u', l.stored::"char", l.digest, l.phase, p_actor, l.cause, l.body
    from unnest(v_feed, v_scopes, v_steps, p_task_no, v_versions, v_positions, v_stored, v_digests, v_phases, p_cause, v_bodies)
           l(feed_xid, scope_no, step, state_no, version, position, stored, digest, phase, cause, body);
  perform set_config('agent_state.tasks', '', true);
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
returns json language sql immutable as $$
  select json_build_object('m', '{}'::json, 'p', array_to_json(p_edits))
$$;

-- A delta that sets one member of the document to any value. A merge is cheaper, and says the same where there is no null
-- in the value for it to take away, and no object where it goes for it to mix with.
create or replace function agent_state.member_delta(p_name text, p_value json, p_is_new boolean)
returns json language sql stable as $$
  select case when p_is_new and position('null' in p_value::text) = 0 then json_build_object('m', json_build_object(p_name, p_value))
              else agent_state.members_delta(array[json_build_object('op', 'add', 'path', '/' || p_name, 'value', p_value)]) end
$$;
