-- What a change's digest is, following from the one before it.
create or replace function agent_state.digest_after(p_before bytea, p_namespace text, p_id text, p_type text, p_change agent_state.changes)
returns bytea language sql stable as $$
  select agent_state.digest_of(p_before, p_namespace, p_id, p_type, (p_change).step, (p_change).version,
    case when (p_change).body is null and (p_change).stored = 'f' then 'd' else 'u' end, (p_change).stored::text, (p_change).phase, (p_change).body)
$$;

-- Whether a row is what was committed: its digest follows from the one before, or its seal from its own.
create or replace function agent_state.is_genuine(p_namespace text, p_id text, p_type text, p_change agent_state.changes)
returns boolean language sql stable as $$
  select coalesce(case when (p_change).before is not null
    then agent_state.digest_after((p_change).before, p_namespace, p_id, p_type, p_change) = (p_change).digest
    else agent_state.digest_after((p_change).digest, p_namespace, p_id, p_type, p_change) = (p_change).seal end, false)
$$;

-- Whether all that a state's document at a version is made of is genuine, and hangs together.
create or replace function agent_state.is_proven(p_state_no bigint, p_version bigint)
returns boolean language plpgsql stable
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off as $$
begin
  return coalesce((
    select bool_and(v.genuine and (v.was is null or (v.was = v.version - 1 and v.was_digest = v.before)))
      from (select agent_state.is_genuine(s.namespace, s.id, s.type, c) as genuine, c.version, c.before,
                   lag(c.version) over w as was, lag(c.digest) over w as was_digest
              from agent_state.states s
              join agent_state.changes c on c.state_no = s.state_no and c.version <= p_version
               and c.version >= (select max(f.version) from agent_state.changes f
                                  where f.state_no = p_state_no and f.version <= p_version and f.stored = 'f')
             where s.state_no = p_state_no
            window w as (order by c.version)) v), false);
end $$;

-- The newest step older than HEAD that is not quarantined; 0: nothing existed.
create or replace function agent_state.newest_good(p_head bigint, p_quarantined int8multirange)
returns bigint language sql immutable as $$
  select greatest(coalesce((select lower(r) from unnest(p_quarantined) r where r @> p_head - 1), p_head) - 1, 0)
$$;

-- Makes scopes and states known that are not: by name, as they come.
create or replace function agent_state.make_scopes(p_namespace text[], p_scope text[])
returns void language sql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
  insert into agent_state.scopes (namespace, scope)
  select distinct i.namespace, i.scope from unnest(p_namespace, p_scope) i(namespace, scope)
   where not exists (select from agent_state.scopes o where o.namespace = i.namespace and o.scope = i.scope)
   order by 1, 2
  on conflict do nothing
$$;

create or replace function agent_state.make_states(p_namespace text[], p_scope text[], p_id text[], p_type text[])
returns void language sql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
  insert into agent_state.states (scope_no, namespace, id, type)
  select distinct on (i.namespace, i.id) o.scope_no, i.namespace, i.id, i.type
    from unnest(p_namespace, p_scope, p_id, p_type) i(namespace, scope, id, type)
    cross join lateral (select x.scope_no, x.broken, x.rebuild from agent_state.scopes x
                         where x.namespace = i.namespace and x.scope = i.scope limit 1) o
   where (o.broken is null or o.rebuild) and not exists (select from agent_state.states s where s.namespace = i.namespace and s.id = i.id)
   order by i.namespace, i.id
  on conflict do nothing
$$;

-- Forgets what is older than each state's newest full copy at or before the promoted step, of scopes that were
-- promoted from these steps on: the copies that the document at the promoted step and those after it do not need.
create or replace function agent_state.trim_copies(p_scope_no bigint[], p_was bigint[])
returns void language sql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
  delete from agent_state.changes c
   using (select f.state_no, max(f.version) as version
            from unnest(p_scope_no, p_was) u(scope_no, was)
            join agent_state.scopes o on o.scope_no = u.scope_no and o.promoted_step > u.was
            join agent_state.changes f on f.scope_no = o.scope_no and f.step > u.was and f.step <= o.promoted_step and f.stored = 'f'
           group by f.state_no) b
   where c.state_no = b.state_no and c.version < b.version
$$;
