-- Takes a page of main's feed, whole steps, in one transaction: the changes become pending, and what they supersede is
-- promoted. A step that is here already is skipped, so that a page may come twice; one that does not follow on the
-- newest here breaks the copy (a rebuild fills it from main's history), and so does a digest that does not follow
-- from the one before (nothing of its scope is taken until somebody has looked).
--
--   p_gate_*      of the scopes of the page, those that are on hold or have quarantined steps (the others have none), and
--                 of others whatever changed. `skipped`: a step too large for a page was left out.
--   p_moment      the snapshot of main that the gates come from
--   p_lineage ... where the feed goes on; null leaves that
-- The plan is kept, and may have been made when the tables were empty: names are looked up one by one, by the whole key.
-- Answers the scopes that were broken by it, or one row with need 'lease': another one follows, nothing was done.
create or replace function agent_state_api.follow(
  p_epoch bigint, p_namespace text[], p_scope text[], p_step bigint[], p_position integer[], p_id text[], p_type text[], p_version bigint[],
  p_at text[], p_kind text[], p_stored text[], p_digest text[], p_phase text[], p_actor text[], p_cause text[], p_body json[],
  p_gate_namespace text[], p_gate_scope text[], p_gate_hold text[], p_gate_quarantined text[], p_gate_skipped text[], p_moment bigint,
  p_lineage text, p_xid bigint, p_scope_no bigint, p_feed_step bigint, p_feed_position integer, p_settled_at text)
returns table (namespace text, scope text, need text, why text, id text, version bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set work_mem = '32MB' as $$
#variable_conflict use_column
declare
  v_now    timestamptz := clock_timestamp();
  v_rows   agent_state.changes[];
  v_fault  text[];                 -- of each row, why it cannot be taken; null: it can
  v_ids    text[];
  v_scopes bigint[];               -- touched: by a change or a gate
  v_was    bigint[];               -- and their promoted steps before
  v_pending     bigint[];
  v_hold        boolean[];
  v_quarantined text[];
begin
  if not agent_state.holds_lease(p_epoch) then
    return query select null, null, 'lease', null, null, null::bigint;
    return;
  end if;
  -- Nothing was acknowledged to anybody by this: what a crash of this server takes away is followed again from main, whose
  -- writers would wait for every flush of a disk that both share.
  perform set_config('synchronous_commit', 'off', true);
  perform agent_state.make_scopes(p_namespace, p_scope);
  perform agent_state.make_states(p_namespace, p_scope, p_id, p_type);

  -- Each change with the digest before it, from this page or from here, and what is wrong with it.
  select array_agg(l.change order by l.n), array_agg(l.id order by l.n),
         array_agg(case
             when l.state_scope <> (l.change).scope_no then 'suspect its scope'
             when (l.change).step <= l.pending then case when l.held <> (l.change).digest then 'suspect its digest' end
             when (l.change).step <> l.pending + l.nth then 'rebuild a step is missing'
             when (l.change).before is null then 'rebuild a version is missing'
             when not agent_state.is_genuine(l.namespace, l.id, l.type, l.change) then 'suspect its digest' end order by l.n)
    into v_rows, v_ids, v_fault
    from (select row_number() over (order by g.scope_no, g.step, g.position) as n, g.namespace, g.id, g.type, g.state_scope, g.pending, g.nth, h.digest as held,
                 row(g.scope_no, g.step, g.state_no, g.version, g.at, g.position, g.kind, g.stored, g.digest,
                     case when g.version = 1 then '' when g.was = g.version - 1 then g.was_digest else b.digest end,
                     null, g.phase, g.actor, g.cause, g.body)::agent_state.changes as change
            from (select d.*, lag(d.version) over w as was, lag(d.digest) over w as was_digest,
                         dense_rank() over (partition by d.scope_no, d.step > d.pending order by d.step) as nth
                    from (select distinct on (o.scope_no, i.step, i.position) i.namespace, i.id, i.type, o.scope_no, o.pending_step as pending,
                                 s.state_no, s.scope_no as state_scope, i.step, i.version, i.at::timestamptz as at, i.position, i.kind::"char" as kind,
                                 i.stored::"char" as stored, decode(i.digest, 'hex') as digest, i.phase, i.actor, i.cause, i.body
                            from unnest(p_namespace, p_scope, p_step, p_position, p_id, p_type, p_version, p_at, p_kind, p_stored, p_digest,
                                        p_phase, p_actor, p_cause, p_body)
                                   i(namespace, scope, step, position, id, type, version, at, kind, stored, digest, phase, actor, cause, body)
                            cross join lateral (select x.scope_no, x.pending_step, x.broken from agent_state.scopes x
                                                 where x.namespace = i.namespace and x.scope = i.scope limit 1) o
                            cross join lateral (select x.scope_no, x.state_no from agent_state.states x
                                                 where x.namespace = i.namespace and x.id = i.id limit 1) s
                           where o.broken is null
                           order by o.scope_no, i.step, i.position) d
                  window w as (partition by d.state_no order by d.version)) g
            left join lateral (select x.digest from agent_state.changes x
                                where x.state_no = g.state_no and x.version = g.version limit 1) h on true
            left join lateral (select x.digest from agent_state.changes x
                                where x.state_no = g.state_no and x.version = g.version - 1 limit 1) b on true) l;

  return query
  with faults as (
    select distinct on (f.scope_no) f.scope_no, split_part(f.fault, ' ', 1) as need, substr(f.fault, length(split_part(f.fault, ' ', 1)) + 2) as why,
           f.id, f.version, f.step
      from (select u.scope_no, u.fault, u.id, u.version, u.step, u.n
              from rows from (unnest(v_rows), unnest(v_fault), unnest(v_ids)) with ordinality
                     u(scope_no, step, state_no, version, at, position, kind, stored, digest, before, seal, phase, actor, cause, body, fault, id, n)
             where u.fault is not null
            union all
            select o.scope_no, 'rebuild a step was too large for the feed', null, null, null, 0
              from unnest(p_gate_namespace, p_gate_scope, p_gate_skipped) k(namespace, scope, skipped)
              join agent_state.scopes o on o.namespace = k.namespace and o.scope = k.scope and o.broken is null
             where k.skipped = 't') f
     order by f.scope_no, f.n
  )
  update agent_state.scopes o set
      broken = case f.need when 'suspect' then format('main''s %s version %s differs: %s', f.id, f.version, f.why) else f.why end,
      rebuild = f.need = 'rebuild', followed_at = v_now
    from faults f where o.scope_no = f.scope_no
  returning o.namespace, o.scope, f.need, o.broken, f.id, f.version;

  insert into agent_state.changes
  select u.* from unnest(v_rows) u
    join agent_state.scopes o on o.scope_no = u.scope_no and o.broken is null and u.step > o.pending_step
  on conflict do nothing;

  -- What was followed, the gates, and what may be promoted now.
  select array_agg(o.scope_no), array_agg(o.promoted_step), array_agg(greatest(o.pending_step, t.head)),
         array_agg(case when p_moment >= o.gates_at then coalesce(t.hold, false) else o.hold end),
         array_agg(case when p_moment >= o.gates_at then coalesce(t.quarantined, '{}') else o.quarantined end::text)
    into v_scopes, v_was, v_pending, v_hold, v_quarantined
    from (select x.scope_no, max(x.step) as head, bool_or(x.hold) as hold, min(x.quarantined)::int8multirange as quarantined
            from (select u.scope_no, u.step, null::boolean as hold, null::text as quarantined from unnest(v_rows) u
                  union all
                  select s.scope_no, null, k.hold::boolean, k.quarantined
                    from unnest(p_gate_namespace, p_gate_scope, p_gate_hold, p_gate_quarantined) k(namespace, scope, hold, quarantined)
                    join agent_state.scopes s on s.namespace = k.namespace and s.scope = k.scope) x
           group by x.scope_no) t
    join agent_state.scopes o on o.scope_no = t.scope_no and o.broken is null;
  return query
  with moved as (
    update agent_state.scopes o set
        pending_step = n.pending, hold = n.hold, quarantined = n.quarantined, gates_at = greatest(o.gates_at, p_moment), followed_at = v_now,
        broken = case when n.spoilt then format('its step %s was quarantined', o.promoted_step) end, rebuild = n.spoilt,
        promoted_step = case when n.hold or n.spoilt then o.promoted_step
                             else greatest(o.promoted_step, agent_state.newest_good(n.pending, n.quarantined)) end
      from (select u.scope_no, u.pending, u.hold, u.quarantined::int8multirange as quarantined,
                   u.was > 0 and u.quarantined::int8multirange @> u.was as spoilt
              from unnest(v_scopes, v_was, v_pending, v_hold, v_quarantined) u(scope_no, was, pending, hold, quarantined)) n
     where o.scope_no = n.scope_no
    returning o.namespace, o.scope, o.broken)
  select m.namespace, m.scope, 'rebuild', m.broken, null, null::bigint from moved m where m.broken is not null;

  perform agent_state.trim_copies(v_scopes, v_was);
  update agent_state.follower f set
      xid = case when n.further then p_xid else f.xid end, scope_no = case when n.further then p_scope_no else f.scope_no end,
      step = case when n.further then p_feed_step else f.step end, position = case when n.further then p_feed_position else f.position end,
      settled_at = greatest(f.settled_at, p_settled_at::timestamptz)
    from (select x.lineage = p_lineage and (p_xid, p_scope_no, p_feed_step, p_feed_position) > (x.xid, x.scope_no, x.step, x.position) as further
            from agent_state.follower x) n
   where f.only_one;
end $$;
