-- Forgets changes older than a moment, oldest first, about so many a call; returns how many, p_limit or more where more may be due.
-- Kept: each state's newest full copy before that moment and all after it, so that every version since
-- then can be read; and with it the HEAD of every scope. Moves the floor of the feed up.
--
-- Of a state goes what lies before a full copy, and never a part of that: deltas without their full copy would look like
-- history that was lost, and what is left of it may be looked at before the next call. Keys go first: as long as there is
-- one, the step that it answers with is kept.
create or replace function agent_state_api.prune_history(p_before timestamptz, p_limit integer)
returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  v_count integer;
begin
  perform pg_advisory_xact_lock(hashtext('agent_state.prune_history'));
  delete from agent_state.idempotency_keys k
   where (k.namespace, k.key) in (select o.namespace, o.key from agent_state.idempotency_keys o where o.at < p_before limit p_limit);
  get diagnostics v_count = row_count;
  if v_count >= p_limit then return v_count; end if;

  with old as (
    select c.state_no, c.version
      from agent_state.changes c
     where c.at < p_before and c.feed_xid < pg_snapshot_xmin(pg_current_snapshot())
       and exists (select from agent_state.changes f
                    where f.state_no = c.state_no and f.version > c.version and f.stored = 'f' and f.at < p_before)
     order by c.feed_xid, c.scope_no, c.step, c.position
     limit p_limit
  ), kept as (
    select o.state_no, (select min(f.version) from agent_state.changes f
                         where f.state_no = o.state_no and f.version > o.newest and f.stored = 'f') as version
      from (select x.state_no, max(x.version) as newest from old x group by x.state_no) o
  ), gone as (
    delete from agent_state.changes c using kept k
     where c.state_no = k.state_no and c.version < k.version
    returning c.feed_xid, c.scope_no, c.step, c.position
  ), floor as (
    insert into agent_state.meta (name, value)
    select 'feed_floor', format('%s.%s.%s.%s', g.feed_xid, g.scope_no, g.step, g.position)
      from gone g order by g.feed_xid desc, g.scope_no desc, g.step desc, g.position desc limit 1
    on conflict (name) do update set value = excluded.value
     where string_to_array(excluded.value, '.')::bigint[] > string_to_array(agent_state.meta.value, '.')::bigint[]
  )
  select count(*) into v_count from gone;
  return v_count;
end $$;

-- States whose time has come, with the version to delete them at; those on hold have to wait.
create or replace function agent_state_api.expired_states(p_limit integer)
returns table (namespace text, id text, version bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select s.namespace, s.id, s.version
    from agent_state.states s
   where s.expires_at <= clock_timestamp() and not s.deleted
     and not exists (select from agent_state.holds o where o.scope_no = s.scope_no)
   order by s.expires_at limit p_limit
$$;

-- After a dump was restored into another cluster its transaction ids mean nothing there. Older
-- changes sort first from then on, and cursors of the former history are told GAP.
create or replace function agent_state_api.adopt_history()
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock(hashtext('agent_state.adopt_history'));
  if not exists (select from agent_state.changes c where c.feed_xid >= pg_snapshot_xmax(pg_current_snapshot())) then
    return false;
  end if;
  update agent_state.changes c set feed_xid = '1'::xid8 where c.feed_xid > '1'::xid8;
  delete from agent_state.meta m where m.name = 'feed_floor';
  update agent_state.meta m set value = gen_random_uuid()::text where m.name = 'lineage';
  return true;
end $$;

-- Whether every digest of a state follows from the one before: the first version at which it does not.
create or replace function agent_state_api.verify_state(p_namespace text, p_id text)
returns bigint language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select min(v.version)
    from (select c.version, c.digest = agent_state.digest_of(
                   coalesce(lag(c.digest) over (order by c.version), ''), s.namespace, s.id, s.type, c.step, c.version,
                   case when c.body is null and c.stored = 'f' then 'd' else 'u' end, c.stored::text, c.phase, c.body) as holds,
                 row_number() over (order by c.version) = 1 and c.version > 1 as first_kept,
                 c.version - row_number() over (order by c.version) - min(c.version) over () + 1 as gap
            from agent_state.states s join agent_state.changes c on c.state_no = s.state_no
           where s.namespace = p_namespace and s.id = p_id) v
   where not v.first_kept and (not v.holds or v.gap <> 0)
$$;
