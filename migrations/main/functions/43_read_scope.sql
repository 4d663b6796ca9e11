-- Where a scope stands: its HEAD, whether it is on hold and why, its quarantined steps, and its last ten rollbacks, the
-- newest first: [{"step", "restoredStep", "undoneStep", "source", "reason", "actor", "at"}].
create or replace function agent_state_api.read_scope(p_namespace text, p_scope text)
returns table (step bigint, hold boolean, hold_reason text, quarantined bigint[], rollbacks json)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select h.step, o.scope_no is not null, o.reason,
         array(select q.step from agent_state.quarantine q where q.scope_no = c.scope_no order by q.step),
         coalesce((select json_agg(json_build_object('step', r.step::text, 'restoredStep', r.restored_step::text, 'undoneStep', r.undone_step::text,
                                                     'source', r.source, 'reason', r.reason, 'actor', r.actor, 'at', r.at) order by r.step desc)
                     from (select * from agent_state.rollbacks b where b.scope_no = c.scope_no order by b.step desc limit 10) r), '[]')
    from agent_state.scopes c
    left join agent_state.holds o on o.scope_no = c.scope_no
    join lateral (select l.step from agent_state.changes l where l.scope_no = c.scope_no
                   order by l.step desc, l.position desc limit 1) h on true
   where c.namespace = p_namespace and c.scope = p_scope
$$;

-- One page of a scope's living states by id, as they were right after a step. It ends with the state with which it
-- has p_bytes of documents; those that come after that are not read. A state of which history forgot what it was comes
-- with version 0 and ends the page: whoever left it out would say that it was not there.
create or replace function agent_state_api.read_scope_states(
  p_namespace text, p_scope text, p_step bigint, p_after text, p_limit integer, p_bytes integer default 8388608)
returns table (namespace text, id text, type text, scope text, version bigint, step bigint, phase text, digest bytea,
               created_at timestamptz, updated_at timestamptz, expires_at timestamptz, deleted boolean, data json)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
  v_state_no bigint;
  v_bytes    bigint := 0;
begin
  for v_state_no, namespace, id, type, scope, version, step, phase, digest, created_at, updated_at, expires_at, deleted in
    select s.state_no, s.namespace, s.id, s.type, p_scope, coalesce(l.version, 0), coalesce(l.step, 0), l.phase, coalesce(l.digest, s.digest),
           s.created_at, coalesce(l.at, s.updated_at), s.expires_at, false
      from agent_state.scopes c
      join agent_state.states s on s.scope_no = c.scope_no and s.id > coalesce(p_after, '')
      left join lateral (select * from agent_state.changes h
                          where h.state_no = s.state_no and h.step <= coalesce(p_step, 9223372036854775807)
                          order by h.version desc limit 1) l on true
     where c.namespace = p_namespace and c.scope = p_scope
       and case when l.version is null then p_step is not null and not exists (select from agent_state.changes h where h.state_no = s.state_no and h.version = 1)
                else not (l.body is null and l.stored = 'f') end
     order by s.id
     limit p_limit
  loop
    data := agent_state.document(v_state_no, version);
    return next;
    exit when version = 0;
    v_bytes := v_bytes + octet_length(data::text);
    exit when v_bytes >= p_bytes;
  end loop;
end $$;

-- What one step did, as its commit answered: for a repeated idempotency key.
create or replace function agent_state_api.read_step(p_namespace text, p_scope text, p_step bigint)
returns table (id text, type text, scope text, version bigint, step bigint, phase text, digest bytea, at timestamptz, created boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select s.id, s.type, p_scope, l.version, l.step, l.phase, l.digest, l.at, l.version = 1
    from agent_state.scopes c
    join agent_state.changes l on l.scope_no = c.scope_no and l.step = p_step
    join agent_state.states s on s.state_no = l.state_no
   where c.namespace = p_namespace and c.scope = p_scope
   order by l.position
$$;
