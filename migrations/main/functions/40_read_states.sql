-- Some states as they are; one row for each that was ever written, tombstones included.
create or replace function agent_state_api.read_states(p_namespace text[], p_id text[])
returns table (n integer, namespace text, id text, type text, scope text, version bigint, step bigint, phase text, digest bytea,
               created_at timestamptz, updated_at timestamptz, expires_at timestamptz, deleted boolean, data json)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select i.n::integer, s.namespace, s.id, s.type, coalesce(s.scope, s.id), s.version, s.step, s.phase, s.digest,
         s.created_at, s.updated_at, s.expires_at, s.deleted,
         case when s.base_version = s.version
              then (select c.body from agent_state.changes c where c.state_no = s.state_no and c.version = s.version)
              else agent_state.document(s.state_no, s.version) end
    from unnest(p_namespace, p_id) with ordinality i(namespace, id, n)
    join agent_state.states s on s.namespace = i.namespace and s.id = i.id
$$;

-- One state as it was at a version; no row where it never had that version or history no longer holds it.
create or replace function agent_state_api.read_version(p_namespace text, p_id text, p_version bigint)
returns table (namespace text, id text, type text, scope text, version bigint, step bigint, phase text, digest bytea,
               created_at timestamptz, updated_at timestamptz, expires_at timestamptz, deleted boolean, data json)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select s.namespace, s.id, s.type, coalesce(s.scope, s.id), c.version, c.step, c.phase, c.digest,
         s.created_at, c.at, s.expires_at, c.body is null and c.stored = 'f', agent_state.document(s.state_no, c.version)
    from agent_state.states s
    join agent_state.changes c on c.state_no = s.state_no and c.version = p_version
   where s.namespace = p_namespace and s.id = p_id
     and exists (select from agent_state.changes f where f.state_no = s.state_no and f.version <= p_version and f.stored = 'f')
$$;
