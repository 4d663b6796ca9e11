-- The steps of a scope that must not be gone back to, as a set.
create or replace function agent_state.quarantined_steps(p_scope_no bigint)
returns int8multirange language sql stable as $$
  select coalesce(range_agg(int8range(q.step, q.step, '[]')), '{}') from agent_state.quarantine q where q.scope_no = p_scope_no
$$;

-- What the rollback database follows: whole steps after a position, in feed order, in one snapshot with the gates of their
-- scopes. Rows by `what`:
--   change   one of the log
--   gate     a scope of this page that is on hold or has quarantined steps. `skipped`: its step, the last of the page, is
--            more than a page can hold, and was left out from some change on
--   page     the last one: its position is where to go on, `moment` the snapshot, `at` when it was taken, `more` whether
--            there is more; where there is none, all that was committed by `settled_at` came in this page or before it.
--            Its lineage is 'ahead' where this history has not come to the position, as after files of an older backup were put back
-- A page ends with the step with which it has p_limit rows or p_bytes of bodies, or within one that is as much again.
create or replace function agent_state_api.feed_page(
  p_xid bigint, p_scope_no bigint, p_step bigint, p_position integer, p_limit integer, p_bytes bigint)
returns table (what text, feed_xid bigint, scope_no bigint, step bigint, "position" integer, namespace text, scope text, id text, type text,
               version bigint, kind text, stored text, phase text, actor text, cause text, digest text, at timestamptz, body json,
               hold boolean, quarantined text, skipped boolean, lineage text, moment bigint, more boolean, settled_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
  set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
  v_count  integer := 0;
  v_bytes  bigint := 0;
  v_scopes bigint[] := '{}';
  v_row    record;
begin
  what := 'change';
  skipped := false;
  more := false;
  for v_row in
    select l.feed_xid::text::bigint as feed_xid, l.scope_no, l.step, l.position, s.namespace, coalesce(s.scope, s.id) as scope, s.id, s.type, l.version,
           l.kind::text as kind, l.stored::text as stored, l.phase, l.actor, l.cause, encode(l.digest, 'hex') as digest, l.at, l.body
      from (select * from agent_state.changes c
             where (c.feed_xid, c.scope_no, c.step, c.position) > (p_xid::text::xid8, p_scope_no, p_step, p_position)
               and c.feed_xid < pg_snapshot_xmin(pg_current_snapshot())
             order by c.feed_xid, c.scope_no, c.step, c.position) l
      join agent_state.states s on s.state_no = l.state_no
     order by l.feed_xid, l.scope_no, l.step, l.position
  loop
    if v_count >= p_limit or v_bytes >= p_bytes then
      more := true;
      exit when (v_row.scope_no, v_row.step) is distinct from (scope_no, step);
      skipped := v_count >= 2 * p_limit or v_bytes >= 2 * p_bytes;
      exit when skipped;
      more := false;
    end if;
    feed_xid := v_row.feed_xid; step := v_row.step; "position" := v_row.position; namespace := v_row.namespace;
    if v_row.scope_no is distinct from scope_no then v_scopes := v_scopes || v_row.scope_no; end if;
    scope_no := v_row.scope_no; scope := v_row.scope; id := v_row.id; type := v_row.type; version := v_row.version; kind := v_row.kind;
    stored := v_row.stored; phase := v_row.phase; actor := v_row.actor; cause := v_row.cause; digest := v_row.digest; at := v_row.at;
    body := v_row.body;
    return next;
    v_count := v_count + 1;
    v_bytes := v_bytes + coalesce(octet_length(v_row.body::text), 0);
  end loop;

  return query
  select 'gate', null::bigint, null::bigint, null::bigint, null::integer, o.namespace, o.scope, null, null, null::bigint, null, null, null, null, null,
         null, null::timestamptz, null::json, g.hold, g.quarantined, skipped and o.scope_no = v_scopes[cardinality(v_scopes)], null, null::bigint, null::boolean, null::timestamptz
    from (select distinct n from unnest(v_scopes) n) d
    join agent_state.scopes o on o.scope_no = d.n
    cross join lateral (select exists (select from agent_state.holds h where h.scope_no = o.scope_no) as hold,
                               agent_state.quarantined_steps(o.scope_no)::text as quarantined offset 0) g
   where g.hold or g.quarantined <> '{}' or (skipped and o.scope_no = v_scopes[cardinality(v_scopes)]);

  what := 'page';
  feed_xid := coalesce(feed_xid, p_xid); scope_no := coalesce(scope_no, p_scope_no); step := coalesce(step, p_step);
  "position" := case when skipped then 2147483647 else coalesce("position", p_position) end;
  namespace := null; scope := null; id := null; type := null; version := null; kind := null; stored := null; phase := null; actor := null;
  cause := null; digest := null; body := null;
  at := clock_timestamp();
  -- From before the snapshot; and what was committed while older transactions run is in it, and not in the feed yet.
  settled_at := coalesce((select least(l.at, statement_timestamp()) from agent_state.changes l where l.feed_xid >= pg_snapshot_xmin(pg_current_snapshot())
                           order by l.feed_xid, l.scope_no, l.step, l.position limit 1), statement_timestamp());
  lineage := case when v_count = 0 and p_xid > greatest(agent_state.feed_head(), pg_snapshot_xmin(pg_current_snapshot())::text::bigint) then 'ahead'
                  else (select b.lineage from agent_state_api.feed_bounds() b) end;
  moment := pg_snapshot_xmax(pg_current_snapshot())::text::bigint;
  return next;
end $$;

-- Scopes whose holds or quarantine changed since a moment, and what they are now; `moment` is the snapshot.
create or replace function agent_state_api.gates_changed(p_since text, p_limit integer)
returns table (namespace text, scope text, hold boolean, quarantined text, changed_at timestamptz, moment bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select o.namespace, o.scope, exists (select from agent_state.holds h where h.scope_no = o.scope_no),
         agent_state.quarantined_steps(o.scope_no)::text, g.changed_at, pg_snapshot_xmax(pg_current_snapshot())::text::bigint
    from agent_state.gates g join agent_state.scopes o on o.scope_no = g.scope_no
   where g.changed_at > p_since::timestamptz
   order by g.changed_at limit p_limit
$$;

-- How many changes come after a position, counted up to a limit.
create or replace function agent_state_api.feed_backlog(p_xid bigint, p_scope_no bigint, p_step bigint, p_position integer, p_limit integer)
returns bigint language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
  select count(*) from (select from agent_state.changes c
                         where (c.feed_xid, c.scope_no, c.step, c.position) > (p_xid::text::xid8, p_scope_no, p_step, p_position)
                         limit p_limit) l
$$;
