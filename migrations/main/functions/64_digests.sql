-- One page of states with their digests, by their numbers: a replica's, to be compared with main's.
create or replace function agent_state_api.state_digests(p_after bigint, p_limit integer)
returns table (state_no bigint, namespace text, scope text, id text, version bigint, step bigint, phase text, digest bytea)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select s.state_no, s.namespace, coalesce(s.scope, s.id), s.id, s.version, s.step, s.phase, s.digest
    from agent_state.states s where s.state_no > p_after and s.version > 0 order by s.state_no limit p_limit
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

-- Where some scopes stand: HEAD (null: none), how long that has been so, and which steps are in quarantine.
create or replace function agent_state_api.scope_heads(p_namespace text[], p_scope text[])
returns table (n integer, step bigint, age_ms bigint, hold boolean, quarantined bigint[])
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select i.n::integer, h.step, (extract(epoch from now() - h.at) * 1000)::bigint,
         exists (select from agent_state.holds x where x.scope_no = o.scope_no),
         array(select q.step from agent_state.quarantine q where q.scope_no = o.scope_no)
    from unnest(p_namespace, p_scope) with ordinality i(namespace, scope, n)
    left join agent_state.scopes o on o.namespace = i.namespace and o.scope = i.scope
    left join lateral (select c.step, c.at from agent_state.changes c where c.scope_no = o.scope_no
                        order by c.step desc, c.position desc limit 1) h on true
   order by i.n
$$;

-- How far behind a follower is: the age of the oldest settled change after its position; 0 where there is none. `ahead`:
-- its position is one that this feed has not reached.
create or replace function agent_state_api.check_feed(p_xid bigint, p_scope_no bigint, p_step bigint, p_position integer)
returns table (lineage text, ahead boolean, pruned boolean, age_ms bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select (select m.value from agent_state.meta m where m.name = 'lineage'),
         p_xid > greatest(agent_state.feed_head(), pg_snapshot_xmin(pg_current_snapshot())::text::bigint),
         coalesce((select string_to_array(m.value, '.')::bigint[] > array[p_xid, p_scope_no, p_step, p_position]
                     from agent_state.meta m where m.name = 'feed_floor'), false),
         coalesce((select (extract(epoch from now() - c.at) * 1000)::bigint from agent_state.changes c
                    where (c.feed_xid, c.scope_no, c.step, c.position) > (p_xid::text::xid8, p_scope_no, p_step, p_position)
                      and c.feed_xid < pg_snapshot_xmin(pg_current_snapshot())
                    order by c.feed_xid, c.scope_no, c.step, c.position limit 1), 0)
$$;
