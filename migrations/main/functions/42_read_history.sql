-- One page of a state's history, newest first, without its documents.
create or replace function agent_state_api.read_history(p_namespace text, p_id text, p_before bigint, p_limit integer)
returns table (version bigint, step bigint, kind text, phase text, actor text, cause text, idempotency_key text, digest bytea,
               at timestamptz, stored text, stored_bytes integer)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select c.version, c.step, c.kind::text, c.phase, c.actor, c.cause, c.idempotency_key, c.digest, c.at, c.stored::text,
         coalesce(octet_length(c.body::text), 0)
    from agent_state.states s
    join lateral (select * from agent_state.changes h
                   where h.state_no = s.state_no and h.version < coalesce(p_before, 9223372036854775807)
                   order by h.version desc limit p_limit) c on true
   where s.namespace = p_namespace and s.id = p_id
   order by c.version desc
$$;
