-- Why a copy is not served; null: it is.
create or replace function agent_state.unserved(p_scope agent_state.scopes)
returns text language sql immutable as $$
  select coalesce((p_scope).broken, case when (p_scope).promoted_step < (p_scope).whole_from
    then format('main had forgotten its step %s when it was copied', (p_scope).promoted_step) end)
$$;

-- Where a copy stands, and beside that its living states at the promoted step, each with its document and whether all that
-- it is made of was proven just now. One row without an id where it has none or is not served; no row: there is no copy.
create or replace function agent_state_api.copied_scope(p_namespace text, p_scope text)
returns table (promoted_step bigint, pending_step bigint, broken text, id text, version bigint, phase text, digest bytea, document json, verified boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
  select o.promoted_step, o.pending_step, agent_state.unserved(o), c.id, c.version, c.phase, c.digest,
         agent_state.document(c.state_no, c.version), agent_state.is_proven(c.state_no, c.version)
    from agent_state.scopes o
    left join lateral (
           select s.id, s.state_no, l.version, l.phase, l.digest
             from agent_state.states s
             join lateral (select x.version, x.phase, x.digest, x.body, x.stored from agent_state.changes x
                            where x.state_no = s.state_no and x.step <= o.promoted_step order by x.version desc limit 1) l
               on not (l.body is null and l.stored = 'f')
            where s.scope_no = o.scope_no and agent_state.unserved(o) is null) c on true
   where o.namespace = p_namespace and o.scope = p_scope
   order by c.id
$$;

-- Where copies stand: those after one, by namespace and scope; or one alone. `suspect`: it and main differ.
create or replace function agent_state_api.copied_scopes(p_namespace text, p_scope text, p_limit integer)
returns table (namespace text, scope text, promoted_step bigint, pending_step bigint, hold boolean, broken text, suspect boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
  select o.namespace, o.scope, o.promoted_step, o.pending_step, o.hold, agent_state.unserved(o), o.broken is not null and not o.rebuild
    from agent_state.scopes o
   where (o.namespace, o.scope) > (coalesce(p_namespace, ''), coalesce(p_scope, ''))
   order by o.namespace, o.scope limit p_limit
$$;

create or replace function agent_state_api.copy_standing(p_namespace text, p_scope text)
returns table (promoted_step bigint, pending_step bigint, hold boolean, broken text, suspect boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select o.promoted_step, o.pending_step, o.hold, agent_state.unserved(o), o.broken is not null and not o.rebuild
    from agent_state.scopes o where o.namespace = p_namespace and o.scope = p_scope
$$;

-- Every change that a copy holds, without its body; `verified`: whether it is what was committed, and has what it builds upon,
-- proven just now.
create or replace function agent_state_api.copy_digests(p_namespace text, p_scope text)
returns table (id text, version bigint, step bigint, phase text, digest bytea, verified boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
  select s.id, c.version, c.step, c.phase, c.digest,
         agent_state.is_genuine(s.namespace, s.id, s.type, c) and c.scope_no = o.scope_no
         and case when lag(c.version) over w is null then c.stored = 'f'
                  else lag(c.version) over w = c.version - 1 and (c.before is null or lag(c.digest) over w = c.before) end
    from agent_state.scopes o
    join agent_state.states s on s.scope_no = o.scope_no
    join agent_state.changes c on c.state_no = s.state_no
   where o.namespace = p_namespace and o.scope = p_scope
  window w as (partition by c.state_no order by c.version)
   order by s.id, c.version
$$;

-- One change as it was copied, where it is what was committed.
create or replace function agent_state_api.copied_change(p_namespace text, p_id text, p_version bigint)
returns table (scope text, type text, step bigint, "position" integer, at timestamptz, kind text, stored text, digest bytea, phase text, actor text,
               cause text, body json)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select o.scope, s.type, c.step, c.position, c.at, c.kind::text, c.stored::text, c.digest, c.phase, c.actor, c.cause, c.body
    from agent_state.states s
    join agent_state.scopes o on o.scope_no = s.scope_no
    join agent_state.changes c on c.state_no = s.state_no and c.version = p_version
   where s.namespace = p_namespace and s.id = p_id and agent_state.is_genuine(s.namespace, s.id, s.type, c)
$$;

-- All copies together, and how far they came.
create or replace function agent_state_api.copy_status()
returns table (scopes bigint, held bigint, broken bigint, suspect bigint, lineage text, xid bigint, scope_no bigint, step bigint, "position" integer,
               settled_at timestamptz, walking boolean, holder text, epoch bigint, led boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select (select count(*) from agent_state.scopes), (select count(*) from agent_state.scopes o where o.hold),
         (select count(*) from agent_state.scopes o where o.broken is not null),
         (select count(*) from agent_state.scopes o where o.broken is not null and not o.rebuild),
         f.lineage, f.xid, f.scope_no, f.step, f.position, f.settled_at, f.walk is not null, f.holder, f.epoch, f.until > clock_timestamp()
    from agent_state.follower f
$$;
