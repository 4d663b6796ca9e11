-- What main is rebuilt from after it was lost (docs/rollback.md): per scope the newest step up to which everything proves.

-- What a scope's documents from its promoted step on are made of: of each state the newest full copy at or before that
-- step, and all after it up to the newest step that was followed.
create or replace function agent_state.kept_log(p_scope agent_state.scopes)
returns setof agent_state.changes language plpgsql stable set enable_seqscan = off set jit = off as $$
begin
  return query
  select c.*
    from agent_state.states s
    cross join lateral (select coalesce(max(f.version), 0) as base from agent_state.changes f
                         where f.state_no = s.state_no and f.stored = 'f' and f.step <= (p_scope).promoted_step) m
    join agent_state.changes c on c.state_no = s.state_no and c.version >= m.base and c.step <= (p_scope).pending_step
   where s.scope_no = (p_scope).scope_no;
end $$;

-- The first step of a scope at which something does not prove, or is not there; no row: all of it proves.
create or replace function agent_state.first_fault(p_scope agent_state.scopes)
returns table (step bigint, id text, version bigint, why text)
language plpgsql stable set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
  v_floor bigint := greatest((p_scope).promoted_step, (p_scope).whole_from);   -- older steps need not be here
begin
  return query
  with kept as materialized (
    select c.step, c.position, s.id, c.version, c.state_no, c.scope_no, c.stored, c.before,
           agent_state.is_genuine(s.namespace, s.id, s.type, c) as genuine, lag(c.version) over w as was, lag(c.digest) over w as was_digest
      from agent_state.kept_log(p_scope) c join agent_state.states s on s.state_no = c.state_no
    window w as (partition by c.state_no order by c.version)
  )
  select f.step, f.id, f.version, f.why
    from (select k.step, k.id, k.version,
                 case when not k.genuine then 'its digest does not prove it'
                      when k.scope_no <> (p_scope).scope_no then 'it is of another scope'
                      when k.stored = 'd' and k.was is distinct from k.version - 1 then 'the version before it is missing'
                      when k.was is not null and (k.was <> k.version - 1 or k.was_digest <> k.before) then 'it does not follow from the version before'
                 end as why
            from kept k
          union all
          select p.step, null, null, 'a change of it is missing'
            from (select k.step, count(*) as changes, max(k.position) as last from kept k where k.step > v_floor group by k.step) p
           where p.changes <> p.last + 1
          union all
          select g, null, null, 'it is missing'
            from generate_series(v_floor + 1, (p_scope).pending_step) g where not exists (select from kept k where k.step = g)
          union all
          select 0, s.id, null, 'all of its versions are missing'
            from agent_state.states s
           where s.scope_no = (p_scope).scope_no and (p_scope).broken is null
             and not exists (select from agent_state.changes c where c.state_no = s.state_no)) f
   where f.why is not null
   order by f.step, f.version nulls last limit 1;
end $$;

-- Scopes after one, by namespace and scope, each with what can be restored of it.
--   proven_step  the newest one up to which all of it proves; null: not even the promoted one does
--   known_step   the newest one that anything is known of; is_more_known: main went on to others after it
--   fault_*      what is wrong with the first step that does not prove
--   doubt        main and the copy differed when both were there
create or replace function agent_state_api.restorable_scopes(p_namespace text, p_scope text, p_limit integer)
returns table (namespace text, scope text, promoted_step bigint, proven_step bigint, known_step bigint, is_more_known boolean, hold boolean,
               quarantined text, doubt text, fault_step bigint, fault_id text, fault_version bigint, fault text, changes bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
  select o.namespace, o.scope, o.promoted_step,
         case when f.step is null then o.pending_step when f.step > greatest(o.promoted_step, o.whole_from) and f.step > 1 then f.step - 1 end,
         greatest(o.pending_step, n.newest), coalesce(o.rebuild and (o.pending_step = 0 or o.broken in (
                    'half made', 'a step is missing', 'a step was too large for the feed', 'a version is missing')), false),
         o.hold, o.quarantined::text, case when not o.rebuild and o.broken not like 'ahead of main%' then o.broken end,
         f.step, f.id, f.version, f.why, n.changes
    from (select x.* from agent_state.scopes x
           where (x.namespace, x.scope) > (coalesce(p_namespace, ''), coalesce(p_scope, ''))
           order by x.namespace, x.scope limit p_limit) o
    left join lateral agent_state.first_fault(o) f on true
    cross join lateral (select max(c.step) as newest, count(*) as changes from agent_state.changes c where c.scope_no = o.scope_no) n
   order by o.namespace, o.scope
$$;

-- A page of the log that scopes are rebuilt from, each up to a step, after a change of one of them. A page ends with the
-- change with which it has p_bytes of bodies.
create or replace function agent_state_api.restorable_log(
  p_namespace text[], p_scope text[], p_step bigint[], p_after_namespace text, p_after_scope text, p_after_id text, p_after_version bigint,
  p_limit integer, p_bytes bigint)
returns table (namespace text, scope text, step bigint, "position" integer, id text, type text, version bigint, at timestamptz, kind text, stored text,
               digest text, phase text, actor text, cause text, body json, before text, seal text)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
  v_left  bigint := p_limit;
  v_bytes bigint := 0;
  v_scope record;
begin
  for v_scope in
    select o, k.step from unnest(p_namespace, p_scope, p_step) k(namespace, scope, step)
      join agent_state.scopes o on o.namespace = k.namespace and o.scope = k.scope
     where (k.namespace, k.scope) >= (coalesce(p_after_namespace, ''), coalesce(p_after_scope, ''))
     order by k.namespace, k.scope
  loop
    for namespace, scope, step, "position", id, type, version, at, kind, stored, digest, phase, actor, cause, body, before, seal in
      select (v_scope.o).namespace, (v_scope.o).scope, c.step, c.position, s.id, s.type, c.version, c.at, c.kind::text, c.stored::text,
             encode(c.digest, 'hex'), c.phase, c.actor, c.cause, c.body, encode(c.before, 'hex'), encode(c.seal, 'hex')
        from agent_state.kept_log(v_scope.o) c join agent_state.states s on s.state_no = c.state_no
       where c.step <= v_scope.step
         and ((v_scope.o).namespace, (v_scope.o).scope, s.id, c.version)
             > (coalesce(p_after_namespace, ''), coalesce(p_after_scope, ''), coalesce(p_after_id, ''), coalesce(p_after_version, 0))
       order by s.id, c.version
       limit v_left
    loop
      return next;
      v_left := v_left - 1;
      v_bytes := v_bytes + coalesce(octet_length(body::text), 0);
      if v_left <= 0 or v_bytes >= p_bytes then return; end if;
    end loop;
  end loop;
end $$;

-- Copies from which scopes of a new main were restored, each up to a step: what was left behind after that step is
-- forgotten, and they are made anew from the new main. Copies that differed from the old one, and what did not prove,
-- stay as they are: somebody has to look. False: the lease was lost.
create or replace function agent_state_api.copies_restored(
  p_epoch bigint, p_namespace text[], p_scope text[], p_step bigint[])
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  v_scopes bigint[];
begin
  if not agent_state.holds_lease(p_epoch) then return false; end if;
  with restored as (
    select o.scope_no, k.step, o.promoted_step
      from unnest(p_namespace, p_scope, p_step) k(namespace, scope, step)
      join agent_state.scopes o on o.namespace = k.namespace and o.scope = k.scope
     where o.pending_step > k.step or o.broken like 'ahead of main%' or o.rebuild
  ), forgotten as (
    delete from agent_state.changes c using restored r where c.scope_no = r.scope_no and c.step > r.step
  ), marked as (
    update agent_state.scopes o set
        pending_step = r.step, promoted_step = least(r.promoted_step, greatest(r.step - 1, 0)), broken = 'main was restored from it', rebuild = true
      from restored r where o.scope_no = r.scope_no
    returning o.scope_no
  )
  select array_agg(m.scope_no) into v_scopes from marked m;
  delete from agent_state.states s
   where s.scope_no = any (v_scopes) and not exists (select from agent_state.changes c where c.state_no = s.state_no);
  return true;
end $$;
