-- One page of a namespace's living states by id, without their documents; filters that are null do not filter.
create or replace function agent_state_api.list_states(
  p_namespace text, p_type text, p_scope text, p_phase text, p_prefix text, p_after text, p_limit integer)
returns table (namespace text, id text, type text, scope text, version bigint, step bigint, phase text, digest bytea,
               created_at timestamptz, updated_at timestamptz, expires_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query execute
    'select s.namespace::text, s.id::text, s.type::text, coalesce(s.scope, s.id)::text, s.version, s.step, s.phase::text, s.digest,
            s.created_at, s.updated_at, s.expires_at
       from agent_state.states s
      where s.namespace = $1 and not s.deleted and (s.expires_at is null or s.expires_at > clock_timestamp())'
    || case when p_type is not null then ' and s.type = $2' else '' end
    || case when p_scope is not null then
         ' and s.scope_no = (select c.scope_no from agent_state.scopes c where c.namespace = $1 and c.scope = $3)' else '' end
    || case when p_phase is not null then ' and s.phase = $4' else '' end
    || case when p_prefix is not null then ' and s.id >= $5 and starts_with(s.id, $5)' else '' end
    || case when p_after is not null then ' and s.id > $6' else '' end
    || ' order by s.id limit $7'
  using p_namespace, p_type, p_scope, p_phase, p_prefix, p_after, p_limit;
end $$;
