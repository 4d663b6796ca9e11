-- One page of states with their digests, by their numbers: a replica's, to be compared with main's.
create or replace function agent_state_api.state_digests(p_after bigint, p_limit integer)
returns table (state_no bigint, namespace text, scope text, id text, version bigint, step bigint, phase text, digest bytea)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select s.state_no, s.namespace, coalesce(s.scope, s.id), s.id, s.version, s.step, s.phase, s.digest
    from agent_state.states s where s.state_no > p_after and s.version > 0 order by s.state_no limit p_limit
$$;

-- The same of some states alone.
create or replace function agent_state_api.digests_of(p_state_no bigint[])
returns table (state_no bigint, namespace text, scope text, id text, version bigint, step bigint, phase text, digest bytea)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select s.state_no, s.namespace, coalesce(s.scope, s.id), s.id, s.version, s.step, s.phase, s.digest
    from agent_state.states s where s.state_no = any (p_state_no) and s.version > 0 order by s.state_no
$$;

-- What main holds of some states at some versions: what a copy of them must hold. `newest` is null where the state does
-- not exist, the rest where that version is no longer kept.
create or replace function agent_state_api.digests_at(p_namespace text[], p_id text[], p_version bigint[])
returns table (n integer, newest bigint, step bigint, phase text, digest bytea)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select i.n::integer, s.version, c.step, c.phase, c.digest
    from unnest(p_namespace, p_id, p_version) with ordinality i(namespace, id, version, n)
    left join agent_state.states s on s.namespace = i.namespace and s.id = i.id
    left join agent_state.changes c on c.state_no = s.state_no and c.version = i.version
   order by i.n
$$;

-- The states of a scope, each with its newest version at or before a step: what a copy that stands there must hold.
create or replace function agent_state_api.scope_versions(p_namespace text, p_scope text, p_step bigint)
returns table (id text, version bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
  select s.id, l.version
    from agent_state.scopes o
    join agent_state.states s on s.scope_no = o.scope_no
    cross join lateral (select c.version from agent_state.changes c
                         where c.state_no = s.state_no and c.scope_no = o.scope_no and c.step <= p_step
                         order by c.version desc limit 1) l
   where o.namespace = p_namespace and o.scope = p_scope
   order by s.id
$$;

-- Where a scope stands: HEAD (null: none), the newest step before it that is not in quarantine (0: none), and for how long
-- its HEAD, its hold and its quarantine have been so.
create or replace function agent_state.scope_head(p_scope_no bigint)
returns table (step bigint, good_step bigint, age_ms bigint, hold boolean, quarantined bigint[])
language plpgsql stable set enable_seqscan = off set jit = off as $$
declare
  v_since timestamptz;
begin
  select c.step, c.at into step, v_since from agent_state.changes c where c.scope_no = p_scope_no order by c.step desc, c.position desc limit 1;
  quarantined := array(select q.step from agent_state.quarantine q where q.scope_no = p_scope_no order by q.step);
  good_step := coalesce((select lower(r) from unnest(agent_state.quarantined_steps(p_scope_no)) r where r @> step - 1), step) - 1;
  v_since := greatest(v_since, (select g.changed_at from agent_state.gates g where g.scope_no = p_scope_no));
  age_ms := (extract(epoch from now() - v_since) * 1000)::bigint;
  hold := exists (select from agent_state.holds x where x.scope_no = p_scope_no);
  return next;
end $$;

-- The same of some scopes, by their names.
create or replace function agent_state_api.scope_heads(p_namespace text[], p_scope text[])
returns table (n integer, step bigint, good_step bigint, age_ms bigint, hold boolean, quarantined bigint[])
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select i.n::integer, h.step, h.good_step, h.age_ms, h.hold, h.quarantined
    from unnest(p_namespace, p_scope) with ordinality i(namespace, scope, n)
    left join agent_state.scopes o on o.namespace = i.namespace and o.scope = i.scope
    left join lateral agent_state.scope_head(o.scope_no) h on true
   order by i.n
$$;

-- The same of the scopes after one, by namespace and scope.
create or replace function agent_state_api.scopes_after(p_namespace text, p_scope text, p_limit integer)
returns table (namespace text, scope text, step bigint, good_step bigint, age_ms bigint, hold boolean, quarantined bigint[])
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select o.namespace, o.scope, h.step, h.good_step, h.age_ms, h.hold, h.quarantined
    from (select * from agent_state.scopes x where (x.namespace, x.scope) > (coalesce(p_namespace, ''), coalesce(p_scope, ''))
           order by x.namespace, x.scope limit p_limit) o
    left join lateral agent_state.scope_head(o.scope_no) h on true
   order by o.namespace, o.scope
$$;

-- How far behind a follower is: the age of the oldest settled change after its position; 0 where there is none. `ahead`:
-- its position is one that this feed has not reached.
create or replace function agent_state_api.check_feed(p_xid bigint, p_scope_no bigint, p_step bigint, p_position integer)
returns table (lineage text, ahead boolean, pruned boolean, age_ms bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select (select b.lineage from agent_state_api.feed_bounds() b),
         p_xid > greatest(agent_state.feed_head(), pg_snapshot_xmin(pg_current_snapshot())::text::bigint),
         coalesce((select string_to_array(m.value, '.')::bigint[] > array[p_xid, p_scope_no, p_step, p_position]
                     from agent_state.meta m where m.name = 'feed_floor'), false),
         coalesce((select (extract(epoch from now() - c.at) * 1000)::bigint from agent_state.changes c
                    where (c.feed_xid, c.scope_no, c.step, c.position) > (p_xid::text::xid8, p_scope_no, p_step, p_position)
                      and c.feed_xid < pg_snapshot_xmin(pg_current_snapshot())
                    order by c.feed_xid, c.scope_no, c.step, c.position limit 1), 0)
$$;
