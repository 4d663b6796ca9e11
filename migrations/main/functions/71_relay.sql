-- Takes and renews a service's share of the partitions, so that those that live have about as many each; what is over its share
-- it gives back. The partitions that it holds now, and how far each was sent.
create or replace function agent_state_api.lease_relays(p_holder text, p_ttl_ms integer)
returns table (partition integer, epoch bigint, xid bigint, scope_no bigint, step bigint, "position" integer)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  v_now   timestamptz;
  v_until timestamptz;
  v_share integer;
begin
  -- One service after the other: what is free is shared out by the one count.
  perform pg_advisory_xact_lock(hashtextextended('agent_state.relays', 0));
  v_now := clock_timestamp();
  v_until := v_now + make_interval(secs => p_ttl_ms / 1000.0);
  insert into agent_state.relay_services values (p_holder, v_until) on conflict (holder) do update set alive_until = v_until;
  delete from agent_state.relay_services s where s.alive_until <= v_now;
  v_share := ceil((select count(*) from agent_state.relays r)::numeric / (select count(*) from agent_state.relay_services s));
  update agent_state.relays r set
      epoch = r.epoch + case when r.holder = p_holder and r.lease_until > v_now then 0 else 1 end,
      holder = p_holder, lease_until = v_until
    where r.partition in (select o.partition from agent_state.relays o where o.holder = p_holder or o.lease_until <= v_now
                           order by (o.holder = p_holder and o.lease_until > v_now) desc nulls last, o.partition limit v_share);
  update agent_state.relays r set lease_until = '-infinity' where r.holder = p_holder and r.lease_until < v_until;
  return query select r.partition, r.epoch, r.xid, r.scope_no, r.step, r.position from agent_state.relays r
                where r.holder = p_holder and r.lease_until = v_until order by r.partition;
end $$;

-- Gives back all that a service holds, so that the others need not wait for the end of its lease.
create or replace function agent_state_api.release_relays(p_holder text)
returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_count integer;
begin
  delete from agent_state.relay_services s where s.holder = p_holder;
  update agent_state.relays r set lease_until = '-infinity' where r.holder = p_holder;
  get diagnostics v_count = row_count;
  return v_count;
end $$;

-- Settled changes of some partitions after a position, as `read_feed` gives them. The last row has no id: it is how far this
-- looked, and its version says whether (1) there may be more.
create or replace function agent_state_api.read_relay(
  p_partitions integer[], p_xid bigint, p_scope_no bigint, p_step bigint, p_position integer, p_limit integer, p_bytes integer)
returns table (feed_xid bigint, scope_no bigint, step bigint, "position" integer, state_no bigint, namespace text, scope text, id text,
               type text, version bigint, kind text, stored text, phase text, cause text, actor text, digest bytea, at timestamptz, body json,
               traceparent text)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off as $$
#variable_conflict use_column
declare
  c_looks constant integer := 16 * p_limit;
  v_bytes bigint := 0;
  v_count integer := 0;
  v_looks integer := 0;
  v_row   record;
begin
  feed_xid := p_xid; scope_no := p_scope_no; step := p_step; "position" := p_position;
  for v_row in
    select c.feed_xid::text::bigint as feed_xid, c.scope_no, c.step, c.position, c.state_no, s.namespace, coalesce(s.scope, s.id) as scope, s.id,
           s.type, c.version, c.kind::text as kind, c.stored::text as stored, c.phase, c.cause, c.actor, c.digest, c.at, c.body, c.traceparent
      from (select * from agent_state.changes l
             where (l.feed_xid, l.scope_no, l.step, l.position) > (p_xid::text::xid8, p_scope_no, p_step, p_position)
               and l.feed_xid < pg_snapshot_xmin(pg_current_snapshot())
             order by l.feed_xid, l.scope_no, l.step, l.position
             limit c_looks) c
      left join agent_state.states s on s.state_no = c.state_no and c.scope_no % 16 = any (p_partitions)
     order by c.feed_xid, c.scope_no, c.step, c.position
  loop
    v_looks := v_looks + 1;
    feed_xid := v_row.feed_xid; scope_no := v_row.scope_no; step := v_row.step; "position" := v_row.position;
    if v_row.id is not null then
      state_no := v_row.state_no; namespace := v_row.namespace; scope := v_row.scope; id := v_row.id; type := v_row.type; version := v_row.version;
      kind := v_row.kind; stored := v_row.stored; phase := v_row.phase; cause := v_row.cause; actor := v_row.actor; digest := v_row.digest;
      at := v_row.at; body := v_row.body; traceparent := v_row.traceparent;
      return next;
      v_count := v_count + 1;
      v_bytes := v_bytes + coalesce(octet_length(v_row.body::text), 0);
      exit when v_count >= p_limit or v_bytes >= p_bytes;
    end if;
  end loop;
  state_no := null; namespace := null; scope := null; id := null; type := null; kind := null; stored := null; phase := null; cause := null;
  actor := null; digest := null; body := null; at := null; traceparent := null;
  version := (v_count >= p_limit or v_bytes >= p_bytes or v_looks >= c_looks)::integer;
  return next;
end $$;

-- Everything of these partitions up to a position was sent. Those of them that the service still holds.
create or replace function agent_state_api.advance_relays(
  p_holder text, p_partitions integer[], p_epochs bigint[], p_xid bigint, p_scope_no bigint, p_step bigint, p_position integer)
returns table (partition integer) language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
  update agent_state.relays r set xid = p_xid, scope_no = p_scope_no, step = p_step, position = p_position
    from unnest(p_partitions, p_epochs) m (partition, epoch)
   where r.partition = m.partition and r.epoch = m.epoch and r.holder = p_holder and r.lease_until > clock_timestamp()
     and (r.xid, r.scope_no, r.step, r.position) <= (p_xid, p_scope_no, p_step, p_position)
  returning r.partition;
end $$;

-- How many changes are not sent yet, counted up to a limit from the partition that is furthest behind on, and since when that one waits.
create or replace function agent_state_api.relay_backlog(p_limit integer)
returns table (behind bigint, waiting_since timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  v_last agent_state.relays;
begin
  select * into v_last from agent_state.relays r order by r.xid, r.scope_no, r.step, r.position limit 1;
  return query
  select count(*), min(l.at) from (select c.at from agent_state.changes c
                                    where (c.feed_xid, c.scope_no, c.step, c.position)
                                          > (v_last.xid::text::xid8, v_last.scope_no, v_last.step, v_last.position)
                                    order by c.feed_xid, c.scope_no, c.step, c.position limit p_limit) l;
end $$;

-- What a step did that went back; null where that step did not. Versions are those after it.
create or replace function agent_state_api.read_rollback(p_namespace text, p_scope text, p_step bigint)
returns json language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select json_build_object('restoredStep', r.restored_step::text, 'undoneStep', r.undone_step::text, 'source', r.source, 'reason', r.reason,
           'actor', r.actor, 'at', r.at,
           'quarantined', (select coalesce(json_agg(q.step::text order by q.step), '[]') from agent_state.quarantine q
                            where q.scope_no = r.scope_no and q.step > r.restored_step and q.step <= r.undone_step),
           'states', (select coalesce(json_agg(json_build_object('stateNo', c.state_no::text, 'id', s.id, 'type', s.type, 'newVersion', c.version::text,
                                                                 'phase', c.phase, 'deleted', c.body is null and c.stored = 'f') order by c.position), '[]')
                        from agent_state.changes c join agent_state.states s on s.state_no = c.state_no
                       where c.scope_no = r.scope_no and c.step = r.step))
    from agent_state.scopes o join agent_state.rollbacks r on r.scope_no = o.scope_no
   where o.namespace = p_namespace and o.scope = p_scope and r.step = p_step
$$;
