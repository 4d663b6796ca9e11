-- The first version from a state's newest full copy at or before a version up to that version whose digest does
-- not follow from the one before; null where all hold. The full copy's own digest is proven where its predecessor is kept.
create or replace function agent_state.broken_version(p_state_no bigint, p_version bigint)
returns bigint language plpgsql stable set enable_seqscan = off set jit = off as $$
begin
  return (
    select min(v.version)
      from (select c.version, c.digest = agent_state.digest_of(
                     case when c.version = 1 then '' else lag(c.digest) over (order by c.version) end, s.namespace, s.id, s.type, c.step, c.version,
                     case when c.body is null and c.stored = 'f' then 'd' else 'u' end, c.stored::text, c.phase, c.body) as holds
              from agent_state.changes c join agent_state.states s on s.state_no = c.state_no
             where c.state_no = p_state_no and c.version <= p_version
               and c.version >= (select max(f.version) from agent_state.changes f
                                  where f.state_no = p_state_no and f.version <= p_version and f.stored = 'f') - 1) v
     where v.holds = false);
end $$;

-- Whether a state may go back to a phase: what a repair may, and from a tombstone ('') to any.
create or replace function agent_state.may_go_back(p_type text, p_from text, p_to text, p_deletes boolean)
returns boolean language plpgsql stable as $$
begin
  return p_deletes or p_to is null or p_from is not distinct from p_to
      or exists (select from agent_state.transitions t where t.type = p_type and t.from_phase = p_from and t.to_phase = p_to);
end $$;

-- Goes back: appends one step that makes the states of a scope what they were at an earlier one, and
-- quarantines the steps between. Never rewrites: each state gets a new version, or a tombstone. A task that ended since stays ended;
-- what it was then goes on in a new one.
--
--   p_expected  the HEAD that the plan was made for; another one refuses
--   p_asked     the target where the caller named it: what p_key, the idempotency key, stands for
--   p_source    rollback: documents come in, as the rollback database holds them, each with version and digest, which
--               must be those of this history where it still has them; history: from here, its digests proven first
-- Answers {"refused": code, "detail", "id"?} and has done nothing, or {"step", "states": how many}; what it did is what the plan said.
create or replace function agent_state_api.rollback_scope(
  p_namespace text, p_scope text, p_expected bigint, p_target bigint, p_source text,
  p_id text[], p_version bigint[], p_digest text[], p_phase text[], p_body json[], p_reason text, p_actor text, p_writer integer,
  p_key text, p_asked bigint)
returns json language plpgsql security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off set enable_hashjoin = on set jit = off as $$
#variable_conflict use_column
declare
  v_now      timestamptz := clock_timestamp();
  v_scope_no bigint;
  v_head     bigint;
  v_feed     xid8;
  v_fault    json;
  v_steps    bigint[];
  v_states   bigint;
  v_tasks    bigint[];
  v_ended    bigint[];   -- tasks that stay as they ended
  v_bodies   json[];     -- what they were then; null: they were not there
begin
  select o.scope_no into v_scope_no from agent_state.scopes o where o.namespace = p_namespace and o.scope = p_scope;
  -- Whoever reports about a task of the scope waits until it is fenced.
  perform from agent_state.stacks k where k.stack_no = v_scope_no for update;
  select c.step, greatest(c.feed_xid, pg_current_xact_id()) into v_head, v_feed
    from agent_state.changes c where c.scope_no = v_scope_no order by c.step desc, c.position desc limit 1;
  if v_head is null then return json_build_object('refused', 'SCOPE_NOT_FOUND'); end if;
  if v_head <> p_expected then return json_build_object('refused', 'STEP_CONFLICT', 'detail', v_head::text); end if;
  if p_target >= v_head or p_target < 0 then return json_build_object('refused', 'STEP_NOT_FOUND', 'detail', v_head::text); end if;
  if exists (select from agent_state.quarantine q where q.scope_no = v_scope_no and q.step = p_target) then
    return json_build_object('refused', 'STEP_QUARANTINED', 'detail', p_target::text);
  end if;

  -- What speaks against it, the gravest first.
  select json_build_object('refused', f.code, 'id', f.id, 'detail', f.version::text) into v_fault
    from (select r.id, r.was_version as version,
                 case
                   when x.ends and r.was_deleted then null
                   when r.undone is not null and not x.ends then 'TERMINAL_PUBLISHED'
                   when p_source = 'rollback' and r.kept and case when r.was_deleted then d.n is not null
                          else (d.version, d.digest, d.phase) is distinct from (r.was_version, encode(r.was_digest, 'hex'), r.was_phase) end
                     then 'COPY_DIVERGES'
                   when not r.kept and d.n is null then 'HISTORY_PRUNED'
                   when p_source = 'history' and not r.was_deleted and agent_state.broken_version(r.state_no, r.was_version) is not null
                     then 'HISTORY_BROKEN'
                   when not x.ends and not agent_state.may_go_back(r.type, case when r.deleted then '' else r.phase end, case when r.kept then r.was_phase else d.phase end,
                                                    r.kept and r.was_deleted) then 'ILLEGAL_TRANSITION'
                 end as code
            from agent_state.rollback_rows(v_scope_no, p_target) r
            cross join lateral (select agent_state.is_superseded(r.state_no, r.deleted, r.undone) as ends) x
            left join unnest(p_id, p_version, p_digest, p_phase) with ordinality d(id, version, digest, phase, n) on d.id = r.id) f
   where f.code is not null order by array_position(array['TERMINAL_PUBLISHED', 'COPY_DIVERGES', 'HISTORY_BROKEN', 'HISTORY_PRUNED', 'ILLEGAL_TRANSITION'], f.code) limit 1;
  if v_fault is not null then return v_fault; end if;
  if not exists (select from agent_state.rollback_rows(v_scope_no, p_target)) then
    return json_build_object('refused', 'NO_EARLIER_STEP', 'detail', p_target::text);
  end if;
  select array_agg(r.state_no order by r.id), array_agg(case when not r.was_deleted then
           case when p_source = 'history' then agent_state.document(r.state_no, r.was_version) else p_body[d.n] end end order by r.id)
    into v_ended, v_bodies
    from agent_state.rollback_rows(v_scope_no, p_target) r left join unnest(p_id) with ordinality d(id, n) on d.id = r.id
   where agent_state.is_superseded(r.state_no, r.deleted, r.undone);
  if array_remove(v_bodies::text[], null) = '{}' and not exists (select from agent_state.rollback_rows(v_scope_no, p_target) r where r.state_no <> all (v_ended)) then
    return json_build_object('refused', 'TERMINAL_PUBLISHED', 'id', (select s.id from agent_state.states s where s.state_no = v_ended[1]));
  end if;

  select array_agg(g order by g) into v_steps from generate_series(p_target + 1, v_head) g
   where not exists (select from agent_state.quarantine q where q.scope_no = v_scope_no and q.step = g);
  insert into agent_state.quarantine (scope_no, step, reason, by_whom, at)
  select v_scope_no, g, coalesce(p_reason, 'rolled back'), p_actor, v_now from unnest(v_steps) g;
  insert into agent_state.rollbacks (scope_no, step, restored_step, undone_step, source, reason, actor, at)
  values (v_scope_no, v_head + 1, p_target, v_head, p_source, p_reason, p_actor, v_now);
  insert into agent_state.gates values (v_scope_no, v_now)
  on conflict (scope_no) do update set changed_at = excluded.changed_at;
  if p_key is not null then
    insert into agent_state.idempotency_keys (namespace, key, scope_no, step, fingerprint, at)
    values (p_namespace, p_key, v_scope_no, v_head + 1, agent_state.rollback_fingerprint(p_namespace, p_scope, p_asked), v_now);
  end if;

  select array_agg(r.state_no) into v_tasks from agent_state.rollback_rows(v_scope_no, p_target) r join agent_state.tasks t on t.task_no = r.state_no
   where v_ended is null or r.state_no <> all (v_ended);

  -- Not as settings of the function: only a superuser may attach ones of our own to it.
  perform set_config('agent_state.repair', 'on', true), set_config('agent_state.tasks', 'on', true);
  with rows as materialized (
    select r.*, row_number() over (order by r.id) as n,
           case when r.kept then r.was_version else d.version end as target_version,
           case when r.was_deleted and r.kept then r.phase else agent_state.phase_back(r.state_no, case when r.kept then r.was_phase else d.phase end) end as new_phase,
           case when r.was_deleted and r.kept then null
                when p_source = 'history' then agent_state.document(r.state_no, r.was_version) else p_body[d.n] end as body
      from agent_state.rollback_rows(v_scope_no, p_target) r
      left join unnest(p_id, p_version, p_phase) with ordinality d(id, version, phase, n) on d.id = r.id
     where v_ended is null or r.state_no <> all (v_ended)
  ), linked as materialized (
    select w.*, agent_state.digest_of(w.digest, p_namespace, w.id, w.type, v_head + 1, w.version + 1, case when w.body is null then 'd' else 'u' end,
             'f', w.new_phase, w.body) as new_digest
      from rows w
  ), updated as (
    update agent_state.states s set
        version = l.version + 1, step = v_head + 1, base_version = l.version + 1, digest = l.new_digest, phase = l.new_phase,
        deleted = l.body is null, updated_at = v_now, created_at = case when s.deleted then v_now else s.created_at end,
        expires_at = case when not s.deleted and s.expires_at > v_now then s.expires_at end, feed_xid = v_feed,
        full_bytes = coalesce(octet_length(l.body::text), 0), delta_bytes = 0, delta_count = 0, append_path = null
      from linked l where s.state_no = l.state_no and s.version = l.version
    returning s.state_no
  ), logged as (
    insert into agent_state.changes (feed_xid, scope_no, step, state_no, version, at, position, writer, kind, stored, digest, phase, actor, cause,
                                     idempotency_key, body)
    select v_feed, v_scope_no, v_head + 1, l.state_no, l.version + 1, v_now, l.n - 1, p_writer, 'r', 'f', l.new_digest, l.new_phase, p_actor,
           p_reason, p_key, l.body
      from linked l order by l.n
  )
  select count(*) into v_states from linked
  having count(*) = (select count(*) from updated) or agent_state.lost_race() > 0;
  perform set_config('agent_state.repair', 'off', true), set_config('agent_state.tasks', '', true);
  if v_tasks is not null then perform agent_state.mirror_tasks(v_tasks); end if;
  for i in 1 .. coalesce(cardinality(v_ended), 0) loop
    if v_bodies[i] is not null then
      perform agent_state.supersede_task(v_ended[i], v_bodies[i], v_head + 1, v_states::integer, v_feed, v_now, p_actor, p_reason, p_writer);
      v_states := v_states + 1;
    end if;
  end loop;
  -- Told when nobody can add to it: whoever worked is fenced by now.
  return json_build_object('step', (v_head + 1)::text, 'states', v_states, 'effects', agent_state.effects_since(v_scope_no, p_target, 'infinity'));
exception when unique_violation or deadlock_detected or sqlstate 'PT503' then
  return json_build_object('refused', 'STEP_CONFLICT', 'detail', (v_head + 1)::text);
end $$;
