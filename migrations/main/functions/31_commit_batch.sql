-- Commits many changesets ("units") in one transaction without sharing their fate: one row a change
-- comes back, with its result or the code of its refusal; a refused unit leaves nothing behind.
--
-- Arrays, one element a change; the changes of a unit are next to each other, units count from 1.
-- What is per unit (scope, expected_step, actor, cause, key) stands at each of its changes.
--   op             u: body is the document; c: body is a delta; d: delete
--   expected       the version it must be at; 0 = must not exist; null = any
--   based_on       a delta made from two documents holds only on this version: else REBASE
--   expires        null keeps, 'infinity' takes back
--   reserve        false: the caller believes that all these states exist; wrong costs a second look
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
  p_actor text[], p_cause text[], p_key text[], p_expires timestamptz[], p_data_bytes integer, p_reserve boolean default true,
  p_writer integer default 0)
returns table (n integer, code text, detail text, type text, scope text, version bigint, step bigint,
               phase text, digest bytea, created boolean, at timestamptz)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off as $$
#variable_conflict use_column
declare
  v_now         timestamptz := clock_timestamp();
  v_xid         xid8 := pg_current_xact_id();
  v_units       integer := p_unit[array_length(p_unit, 1)];
  v_apart       boolean := agent_state.must_go_apart(p_unit, p_namespace, p_id, p_type, p_scope, p_op, p_phase, p_expected,
                                                         p_expected_step, p_key);
  v_reserve     boolean := p_reserve;
  v_fingerprint bytea[];
  v_fresh       bigint[];
  v_tries       integer := 0;
begin
  if v_units < array_length(p_unit, 1) and exists (
       select from unnest(p_unit, p_namespace, p_id) i(unit, namespace, id) group by i.unit, i.namespace, i.id having count(*) > 1) then
    raise exception using errcode = 'PT400', message = 'INVALID_REQUEST', detail = 'one step does one thing to a state';
  end if;
  if p_key is not null then
    v_fingerprint := agent_state.fingerprints(p_unit, p_id, p_type, p_scope, p_op, p_body, p_phase, p_expected, p_expected_step, p_expires);
  end if;
  loop
    begin
      for v_only in 1 .. case when v_apart then v_units else 1 end loop
        if v_reserve then
          v_fresh := agent_state.reserve_states(v_now, p_unit, case when v_apart then v_only end, p_namespace, p_id, p_type, p_scope, p_op,
                                                p_expected);
        end if;
        return query
        with judged as materialized (
          select i.n, i.unit, i.namespace, i.id, i.op, i.new_phase, s.state_no, s.ctid as place, s.scope_no, s.version as was,
                 coalesce(s.type, i.new_type) as type, coalesce(s.scope, i.id) as scope, s.digest as old_digest,
                 case when not s.deleted then s.phase end as old_phase, s.version = 0 or s.deleted as absent,
                 coalesce(h.step, 0) as head, h.feed_xid, (w.weight).full_copy, (w.weight).detail, k.step as first_step,
                 case
                   when k.fingerprint = v_fingerprint[i.n] then 'REPLAYED'
                   when k.fingerprint is not null then 'IDEMPOTENCY_KEY_REUSED'
                   when s.state_no is null and not v_reserve and i.op = 'u' and coalesce(i.expected, 0) = 0 then 'RESERVE'
                   when (s.state_no is null or s.version = 0 or s.deleted) and i.op <> 'u'
                     then case when s.version > 0 then 'GONE' else 'STATE_NOT_FOUND' end
                   when i.expected = 0 and s.version > 0 and not s.deleted then 'ALREADY_EXISTS'
                   when i.expected > 0 and i.expected is distinct from s.version then 'VERSION_CONFLICT'
                   when i.new_type <> s.type then 'INVALID_TYPE'
                   when i.new_scope <> coalesce(s.scope, i.id) then 'INVALID_SCOPE'
                   when i.expected_step <> coalesce(h.step, 0) then 'STEP_CONFLICT'
                   when exists (select from agent_state.holds o where o.scope_no = s.scope_no) then 'SCOPE_ON_HOLD'
                   when i.based_on <> s.version then 'REBASE'
                   when (w.weight).fault is not null then (w.weight).fault
                   when i.new_phase is not null then
                     agent_state.phase_fault(s.type, case when s.version = 0 or s.deleted then '' else s.phase end, i.new_phase)
                 end as code
            from unnest(p_unit, p_namespace, p_id, p_type, p_scope, p_op, p_phase, p_expected, p_based_on, p_expected_step, p_key)
                   with ordinality i(unit, namespace, id, new_type, new_scope, op, new_phase, expected, based_on, expected_step, key, n)
            left join agent_state.states s on s.namespace = i.namespace and s.id = i.id
            left join lateral (select c.step, c.feed_xid from agent_state.changes c where c.scope_no = s.scope_no
                                order by c.step desc, c.position desc limit 1) h on true
            left join agent_state.idempotency_keys k on k.namespace = i.namespace and k.key = i.key
            left join lateral (select case when i.op = 'c' and s.version > 0 and not s.deleted
                                             then agent_state.weigh_delta(s, p_body[i.n], p_data_bytes) end as weight offset 0) w on true
           where not v_apart or i.unit = v_only
        ), refused as materialized (
          select array_agg(j.unit) as units from judged j where j.code is not null
        ), linked as materialized (
          select l.*, case when l.chain > 1 then agent_state.digest_chain(
                     l.old_digest, l.namespace, l.id, l.type, l.step, l.version, l.kind, l.stored, l.phase, coalesce(l.full_copy, p_body[l.n]))
                     filter (where l.chain > 1) over (partition by l.state_no order by l.n)
                   else agent_state.digest_of(l.old_digest, l.namespace, l.id, l.type, l.step, l.version, l.kind, l.stored, l.phase,
                     coalesce(l.full_copy, p_body[l.n])) end as digest
            from (select d.*, row_number() over (partition by d.state_no order by d.n) + d.was as version,
                         count(*) over (partition by d.state_no) as chain
                    from (select j.n, j.unit, j.namespace, j.id, j.type, j.scope, j.state_no, j.place, j.scope_no, j.was, j.old_digest, j.absent,
                                 j.full_copy, greatest(v_xid, j.feed_xid) as feed_xid,
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
              created_at = case when l.absent then v_now else s.created_at end,
              expires_at = case when p_expires[l.n] is not null then nullif(p_expires[l.n], 'infinity') when not l.absent then s.expires_at end,
              base_version = case when l.stored = 'f' then l.version else s.base_version end,
              full_bytes = case when l.stored = 'f' then coalesce(octet_length(coalesce(l.full_copy, p_body[l.n])::text), 0) else s.full_bytes end,
              delta_bytes = case when l.stored = 'f' then 0 else s.delta_bytes + octet_length(p_body[l.n]::text) end,
              delta_count = case when l.stored = 'f' then 0 else s.delta_count + agent_state.delta_weight(s.append_path, p_body[l.n]) end,
              append_path = case when l.stored = 'd' then agent_state.array_after(s.append_path, p_body[l.n]) end
            from (select o.* from linked o where o.version = o.was + o.chain order by o.state_no) l
           where s.ctid = l.place and s.version = l.was
          returning l.chain
        ), logged as (
          insert into agent_state.changes (feed_xid, scope_no, step, state_no, version, at, position, writer, kind, stored, digest, phase,
                                           actor, cause, idempotency_key, body)
          select l.feed_xid, l.scope_no, l.step, l.state_no, l.version, v_now, l.n - array_position(p_unit, l.unit), p_writer, l.kind::"char",
                 l.stored::"char", l.digest, l.phase, p_actor[l.n], p_cause[l.n], p_key[l.n], coalesce(l.full_copy, p_body[l.n])
            from linked l order by l.scope_no, l.step, l.n
        ), keyed as (
          insert into agent_state.idempotency_keys (namespace, key, scope_no, step, fingerprint, at)
          select l.namespace, p_key[l.n], l.scope_no, l.step, v_fingerprint[l.n], v_now
            from linked l where p_key[l.n] is not null and l.n = array_position(p_unit, l.unit)
        )
        select l.n::integer, null, null, l.type, l.scope, l.version, l.step, l.phase, l.digest, l.absent and l.version = l.was + 1, v_now
          from linked l
         where (select sum(u.chain) from updated u) is not distinct from (select sum(1) from linked) or agent_state.lost_race() > 0
        union all
        select j.n::integer, coalesce(j.code, 'UNIT_REFUSED'), j.detail, j.type, j.scope, j.was, coalesce(j.first_step, j.head), j.old_phase,
               j.old_digest, false, v_now
          from judged j, refused r
         where j.unit = any (r.units) and (j.code is distinct from 'RESERVE' or agent_state.lost_race() > 0);
        if v_fresh is not null then
          delete from agent_state.states s where s.state_no = any (v_fresh) and s.version = 0;
        end if;
      end loop;
      return;
    exception when unique_violation or deadlock_detected or sqlstate 'PT503' then
      v_reserve := true;
      v_tries := v_tries + 1;
      -- Who keeps losing queues up, so that only newcomers can still be faster: with luck alone, of eight
      -- writers to one scope one would soon lose twenty times in a row.
      if v_tries = 4 then perform pg_advisory_xact_lock(hashtext('agent_state.commit_batch')); end if;
      if v_tries = 50 then perform agent_state.lost_race(); end if;
    end;
  end loop;
end $$;
