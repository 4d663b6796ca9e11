-- Commits many changesets ("units") in one transaction without sharing their fate: one row a change
-- comes back, with its result or the code of its refusal; a refused unit leaves nothing behind.
--
-- Arrays, one element a change; the changes of a unit are next to each other, units count from 1.
-- What is per unit (scope, expected_step, actor, cause, key) stands at each of its changes.
--   op             u: body is the document; c: body is a delta; d: delete
--   expected       the version it must be at; 0 = must not exist; null = any
--   based_on       a delta made from two documents holds only on this version: else REBASE
--   expires        null keeps, 'infinity' takes back
--   create         false: the caller believes that all these states exist; wrong costs a second look
--   place, head    hints: where the state's row lies, and that of a state which the scope's newest step changed.
--                  Proven by one look at each, which saves two searches; null or wrong costs a search. A head that was
--                  overtaken meets the step that overtook it in the log, as long as that cannot have been pruned.
-- Answers `place` for the next time.
--
-- A batch whose units depend on each other goes unit by unit; where it then has to look again, a change
-- comes more than once, and its last row counts.
--
-- Writers of one scope are serialised by the log's unique (scope_no, step, position): the slower one
-- looks again. Nothing is locked that is not written, except by who lost several races. The statement
-- joins its own parts nowhere: the planner expects one row, and a join would be a loop in a loop.
-- The plan is kept, and may have been made when the tables were empty: it may only be one that goes by index.
-- What is forbidden so counts as dear beyond measure, and what is dear would be compiled first: 0.1 to 1 s each.
create or replace function agent_state_api.commit_batch(
  p_unit integer[], p_namespace text[], p_id text[], p_type text[], p_scope text[], p_op text[], p_body json[],
  p_phase text[], p_expected bigint[], p_based_on bigint[], p_expected_step bigint[],
  p_actor text[], p_cause text[], p_key text[], p_expires timestamptz[], p_data_bytes integer, p_create boolean default true,
  p_writer integer default 0, p_place tid[] default null, p_head tid[] default null, p_data_depth integer default 64,
  p_traceparent text[] default null)
returns table (n integer, code text, detail text, type text, scope text, version bigint, step bigint,
               phase text, digest bytea, created boolean, at timestamptz, place tid)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set work_mem = '32MB' as $$
#variable_conflict use_column
declare
  v_now         timestamptz := clock_timestamp();
  v_xid         xid8 := pg_current_xact_id();
  v_units       integer := p_unit[array_length(p_unit, 1)];
  v_many        boolean := v_units < array_length(p_unit, 1);   -- a unit has several changes
  v_create      boolean := p_create;
  v_apart       boolean;
  v_fingerprint bytea[];
  v_hints       boolean := p_head is not null and p_expected_step is null and not v_many;
  v_missing     integer[];
  v_scopes      bigint[];
  v_tries       integer := 0;
  v_pushed      constant boolean := coalesce(current_setting('agent_state.tasks', true) = 'pushed', false);   -- see push_tasks
begin
  if v_many and exists (
       select from unnest(p_unit, p_namespace, p_id) i(unit, namespace, id) group by i.unit, i.namespace, i.id having count(*) > 1) then
    raise exception using errcode = 'PT400', message = 'INVALID_REQUEST', detail = 'one step does one thing to a state';
  end if;
  if p_key is not null then
    v_fingerprint := agent_state.fingerprints(p_unit, p_id, p_type, p_scope, p_op, p_body, p_phase, p_expected, p_expected_step, p_expires);
  end if;
  loop
    begin
      v_missing := case when v_create then agent_state.missing_states(p_namespace, p_id, p_op, p_expected) end;
      v_scopes := case when v_missing is not null then agent_state.make_scopes(v_missing, p_namespace, p_id, p_scope) end;
      v_apart := agent_state.must_go_apart(p_unit, p_namespace, p_id, p_type, p_scope, p_op, p_phase, p_expected, p_expected_step, p_key,
                                           v_missing);
      for v_only in 1 .. case when v_apart then v_units else 1 end loop
        return query
        with judged as materialized (
          select i.n, i.unit, i.namespace, i.id, i.op, i.body, i.new_phase, i.actor, i.cause, i.key, i.expires, s.place,
                 coalesce(s.scope_no, o.scope_no) as scope_no, coalesce(s.version, 0) as was,
                 coalesce(s.state_no, case when o.scope_no is not null then nextval('agent_state.states_state_no_seq') end) as state_no,
                 coalesce(s.type, i.new_type) as type, coalesce(s.scope, case when s.state_no is null then i.new_scope end, i.id) as scope,
                 coalesce(s.digest, '') as old_digest, case when not s.deleted then s.phase end as old_phase, coalesce(s.deleted, true) as absent,
                 coalesce(h.step, 0) as head, h.feed_xid, (w.weight).full_copy, (w.weight).detail, (w.weight).append_path,
                 (w.weight).added, k.step as first_step,
                 case
                   when k.fingerprint = v_fingerprint[i.n] then 'REPLAYED'
                   when k.fingerprint is not null then 'IDEMPOTENCY_KEY_REUSED'
                   when s.state_no is null and not v_create and i.op = 'u' and coalesce(i.expected, 0) = 0 then 'LOOK_AGAIN'
                   when coalesce(s.deleted, true) and i.op <> 'u' then case when s.deleted then 'GONE' else 'STATE_NOT_FOUND' end
                   when i.expected = 0 and not s.deleted then 'ALREADY_EXISTS'
                   when i.expected > 0 and i.expected is distinct from s.version then 'VERSION_CONFLICT'
                   when i.new_type <> s.type then 'INVALID_TYPE'
                   when s.state_no is not null and i.new_scope <> coalesce(s.scope, i.id) then 'INVALID_SCOPE'
                   when v_many and i.new_scope is null
                    and agent_state.scope_fault(i.namespace, i.id, p_id[array_position(p_unit, i.unit)]) is not null then 'INVALID_SCOPE'
                   when i.expected_step <> coalesce(h.step, 0) then 'STEP_CONFLICT'
                   when exists (select from agent_state.holds x where x.scope_no = coalesce(s.scope_no, o.scope_no)) then 'SCOPE_ON_HOLD'
                   when i.based_on <> s.version then 'REBASE'
                   when (w.weight).fault is not null then (w.weight).fault
                   when i.new_phase is not null then
                     agent_state.phase_fault(coalesce(s.type, i.new_type), case when not s.deleted then s.phase else '' end, i.new_phase)
                 end as code
            from unnest(p_unit, p_namespace, p_id, p_type, p_scope, p_op, p_body, p_phase, p_expected, p_based_on, p_expected_step, p_actor,
                        p_cause, p_key, p_expires, p_place, p_head) with ordinality
                   i(unit, namespace, id, new_type, new_scope, op, body, new_phase, expected, based_on, expected_step, actor, cause, key, expires,
                     place, head, n)
            left join lateral (
                   select x.ctid as place, x.state_no, x.scope_no, x.version, x.deleted, x.type, x.scope, x.phase, x.digest
                     from agent_state.states x where x.ctid = i.place and x.namespace = i.namespace and x.id = i.id
                   union all
                   select x.ctid, x.state_no, x.scope_no, x.version, x.deleted, x.type, x.scope, x.phase, x.digest
                     from agent_state.states x where x.namespace = i.namespace and x.id = i.id
                   limit 1) s on true
            left join lateral (select x.scope_no from agent_state.scopes x
                                where x.namespace = i.namespace and x.scope = coalesce(i.new_scope, i.id) limit 1) o on s.state_no is null and i.op = 'u'
            left join lateral (
                   select x.step, x.feed_xid from agent_state.states x where x.ctid = i.head and x.scope_no = s.scope_no and v_hints and not v_apart
                                                                   and x.updated_at > v_now - interval '1 hour'
                   union all
                   (select x.step, x.feed_xid from agent_state.changes x where x.scope_no = coalesce(s.scope_no, o.scope_no)
                     order by x.step desc, x.position desc limit 1)
                   limit 1) h on true
            left join lateral (select x.step, x.fingerprint from agent_state.idempotency_keys x
                                where x.namespace = i.namespace and x.key = i.key limit 1) k on i.key is not null
            left join lateral (select case when i.op = 'c' and not s.deleted then agent_state.weigh_delta(
                                        (select x from agent_state.states x where x.ctid = s.place), i.body, p_data_bytes, p_data_depth) end as weight
                               offset 0) w on true
           where not v_apart or i.unit = v_only
        ), refused as materialized (
          select array_agg(j.unit) as units from judged j where j.code is not null
        ), linked as materialized (
          select l.*, case when l.chain > 1 then agent_state.digest_chain(
                     l.old_digest, l.namespace, l.id, l.type, l.step, l.version, l.kind, l.stored, l.phase, l.body)
                     filter (where l.chain > 1) over (partition by l.state_no order by l.n)
                   else agent_state.digest_of(l.old_digest, l.namespace, l.id, l.type, l.step, l.version, l.kind, l.stored, l.phase,
                     l.body) end as digest
            from (select d.*, row_number() over (partition by d.state_no order by d.n) + d.was as version,
                         count(*) over (partition by d.state_no) as chain
                    from (select j.n, j.unit, j.namespace, j.id, j.type, j.scope, j.state_no, j.place, j.scope_no, j.was, j.old_digest, j.absent,
                                 j.actor, j.cause, j.key, j.expires, j.append_path, j.added, coalesce(j.full_copy, j.body) as body, greatest(v_xid, j.feed_xid) as feed_xid,
                                 j.head + dense_rank() over (partition by j.scope_no order by j.unit) as step,
                                 case when j.op = 'd' then 'd' else 'u' end as kind,
                                 case when j.op = 'c' and j.full_copy is null then 'd' else 'f' end as stored,
                                 case when j.absent then coalesce(j.new_phase, agent_state.first_phase(j.type))
                                      else coalesce(j.new_phase, j.old_phase) end as phase
                            from judged j, refused r
                           where r.units is null or j.unit <> all (r.units)) d) l
        ), updated as (
          update agent_state.states s set
              version = l.version, step = l.step, digest = l.digest, phase = l.phase, deleted = l.kind = 'd', updated_at = v_now,
              is_scheduled = s.is_scheduled and l.phase is not distinct from s.phase, feed_xid = l.feed_xid, created_at = case when l.absent then v_now else s.created_at end,
              expires_at = case when l.expires is not null then nullif(l.expires, 'infinity') when not l.absent then s.expires_at end,
              base_version = case when l.stored = 'f' then l.version else s.base_version end,
              full_bytes = case when l.stored = 'f' then l.bytes else s.full_bytes end,
              delta_bytes = case when l.stored = 'f' then 0 else s.delta_bytes + l.bytes end,
              delta_count = case when l.stored = 'f' then 0 else s.delta_count + l.added end,
              append_path = case when l.stored = 'd' then l.append_path end
            from (select o.n, o.state_no, o.place, o.was, o.version, o.step, o.digest, o.phase, o.kind, o.absent, o.stored, o.chain, o.feed_xid,
                         o.expires, o.append_path, o.added, o.type, o.scope, coalesce(octet_length(o.body::text), 0) as bytes
                    from linked o where o.place is not null and o.version = o.was + o.chain order by o.state_no) l
           where s.ctid = l.place and s.version = l.was
          returning l.n, l.chain, l.type, l.scope, l.version, l.step, l.phase, l.digest, l.absent and l.chain = 1 as created, s.ctid as place
        ), made as (
          insert into agent_state.states (state_no, scope_no, version, step, base_version, created_at, updated_at, expires_at, full_bytes,
                                          deleted, namespace, id, type, scope, phase, is_scheduled, digest, feed_xid)
          overriding system value
          select l.state_no, l.scope_no, l.version, l.step, l.version, v_now, v_now, nullif(l.expires, 'infinity'), octet_length(l.body::text),
                 false, l.namespace, l.id, l.type, nullif(l.scope, l.id), l.phase, v_pushed, l.digest, l.feed_xid
            from linked l where l.place is null order by l.state_no
        ), logged as (
          insert into agent_state.changes (feed_xid, scope_no, step, state_no, version, at, position, writer, kind, stored, digest, phase,
                                           actor, cause, idempotency_key, body, traceparent)
          select l.feed_xid, l.scope_no, l.step, l.state_no, l.version, v_now, l.n - array_position(p_unit, l.unit), p_writer, l.kind::"char",
                 l.stored::"char", l.digest, l.phase, l.actor, l.cause, l.key, l.body, p_traceparent[l.n]
            from linked l order by l.scope_no, l.step, l.n
        ), keyed as (
          insert into agent_state.idempotency_keys (namespace, key, scope_no, step, fingerprint, at)
          select l.namespace, l.key, l.scope_no, l.step, v_fingerprint[l.n], v_now
            from linked l where l.key is not null and l.n = array_position(p_unit, l.unit)
        )
        select u.n::integer, null, null, u.type, u.scope, u.version, u.step, u.phase, u.digest, u.created, v_now, u.place
          from updated u
         where (select sum(x.chain) from updated x) is not distinct from (select sum(1) from linked x where x.place is not null)
            or agent_state.lost_race() > 0
        union all
        select l.n::integer, null, null, l.type, l.scope, l.version, l.step, l.phase, l.digest, l.absent and l.version = l.was + 1, v_now, null
          from linked l
         where l.place is null or l.version < l.was + l.chain
            or ((select count(*) from updated) = 0 and agent_state.lost_race() > 0)
        union all
        select j.n::integer, coalesce(j.code, 'UNIT_REFUSED'),
               case when j.code = 'INVALID_SCOPE' and p_scope[j.n] is null
                 then agent_state.scope_fault(j.namespace, j.id, p_id[array_position(p_unit, j.unit)]) else j.detail end,
               j.type, j.scope, j.was, coalesce(j.first_step, j.head), j.old_phase, j.old_digest, false, v_now, null
          from judged j, refused r
         where j.unit = any (r.units) and (j.code is distinct from 'LOOK_AGAIN' or agent_state.lost_race() > 0);
      end loop;
      if v_scopes is not null then  -- of refused creates nothing stays
        delete from agent_state.scopes o
         where o.scope_no = any (v_scopes) and not exists (select from agent_state.changes c where c.scope_no = o.scope_no);
      end if;
      return;
    exception when unique_violation or deadlock_detected or sqlstate 'PT503' then
      v_create := true;
      v_hints := false;
      v_tries := v_tries + 1;
      -- Who keeps losing queues up, so that only newcomers can still be faster: with luck alone, of eight
      -- writers to one scope one would soon lose twenty times in a row.
      if v_tries = 4 then perform pg_advisory_xact_lock(hashtext('agent_state.commit_batch')); end if;
      if v_tries = 50 then perform agent_state.lost_race(); end if;
    end;
  end loop;
end $$;
