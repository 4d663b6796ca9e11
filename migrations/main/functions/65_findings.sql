-- Enters findings into the books, with the rows as they were found. Found again, an open one is only seen again. A new one
-- puts its scope on hold where that is asked for; who releases it has seen the finding, so it is not held for that again.
-- Answers their numbers; `is_new`: nobody had seen it. Beyond p_open_limit open findings no new one is entered.
create or replace function agent_state_api.record_findings(
  p_check text[], p_kind text[], p_namespace text[], p_scope text[], p_id text[], p_version bigint[], p_step bigint[],
  p_detail text[], p_remedy text[], p_evidence json[], p_hold integer[], p_open_limit integer)
returns table (n integer, finding_no bigint, is_new boolean)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  v_now     timestamptz := clock_timestamp();
  v_is_full boolean := (select count(*) from (select from agent_state.findings f where f.resolved_at is null limit p_open_limit) o) >= p_open_limit;
begin
  return query
  with given as materialized (
    select * from unnest(p_check, p_kind, p_namespace, p_scope, p_id, p_version, p_step, p_detail, p_remedy, p_evidence, p_hold)
      with ordinality i(check_name, kind, namespace, scope, id, version, step, detail, remedy, evidence, hold, n)
  ), entered as (
    insert into agent_state.findings (check_name, kind, namespace, scope, id, version, step, detail, remedy, safe, evidence, found_at, seen_at)
    select distinct on (i.check_name, i.namespace, i.scope, i.id, i.version, i.step)
           i.check_name, i.kind, i.namespace, i.scope, i.id, i.version, i.step, i.detail, i.remedy, false, coalesce(i.evidence::jsonb, '{}'), v_now, v_now
      from given i
     where not v_is_full
        or exists (select from agent_state.findings f
                    where f.resolved_at is null and f.check_name = i.check_name and coalesce(f.namespace, '') = coalesce(i.namespace, '')
                      and coalesce(f.scope, '') = coalesce(i.scope, '') and coalesce(f.id, '') = coalesce(i.id, '')
                      and coalesce(f.version, 0) = coalesce(i.version, 0) and coalesce(f.step, 0) = coalesce(i.step, 0))
     order by i.check_name, i.namespace, i.scope, i.id, i.version, i.step, i.hold desc
    on conflict (check_name, coalesce(namespace, ''), coalesce(scope, ''), coalesce(id, ''), coalesce(version, 0), coalesce(step, 0))
       where resolved_at is null
    do update set seen_at = v_now
    returning *
  ), known as materialized (
    select i.n::integer as n, e.finding_no, e.found_at = v_now as is_new, i.hold, i.namespace, i.scope, i.check_name, i.detail
      from given i
      join entered e on e.check_name = i.check_name and e.namespace is not distinct from i.namespace and e.scope is not distinct from i.scope
           and e.id is not distinct from i.id and e.version is not distinct from i.version and e.step is not distinct from i.step
  ), held as (
    insert into agent_state.holds (scope_no, reason, held_by)
    select distinct on (o.scope_no) o.scope_no, format('%s: %s', k.check_name, k.detail), 'fsck'
      from known k join agent_state.scopes o on o.namespace = k.namespace and o.scope = k.scope
     where k.hold = 1 and k.is_new order by o.scope_no
    on conflict do nothing
    returning scope_no
  ), gated as (
    insert into agent_state.gates (scope_no, changed_at) select h.scope_no, clock_timestamp() from held h
    on conflict (scope_no) do update set changed_at = excluded.changed_at
  )
  select k.n, k.finding_no, k.is_new from known k order by k.n;
end $$;

-- One page of findings, newest first.
create or replace function agent_state_api.list_findings(p_namespace text, p_scope text, p_open boolean, p_before bigint, p_limit integer)
returns table (finding_no bigint, check_name text, kind text, namespace text, scope text, id text, version bigint, step bigint, detail text,
               remedy text, found_at timestamptz, seen_at timestamptz, resolved_at timestamptz, resolution text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select f.finding_no, f.check_name, f.kind, f.namespace, f.scope, f.id, f.version, f.step, f.detail, f.remedy, f.found_at, f.seen_at,
         f.resolved_at, f.resolution
    from agent_state.findings f
   where (p_namespace is null or f.namespace = p_namespace) and (p_scope is null or f.scope = p_scope)
     and (not p_open or f.resolved_at is null) and f.finding_no < coalesce(p_before, 9223372036854775807)
   order by f.finding_no desc limit p_limit
$$;

-- How many findings are open, by check.
create or replace function agent_state_api.count_findings()
returns table (check_name text, count bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select f.check_name, count(*) from agent_state.findings f where f.resolved_at is null group by f.check_name
$$;

-- These findings are settled, and how.
create or replace function agent_state_api.resolve_findings(p_finding_no bigint[], p_resolution text)
returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_count integer;
begin
  update agent_state.findings f set resolved_at = clock_timestamp(), resolution = p_resolution
   where f.finding_no = any (p_finding_no) and f.resolved_at is null;
  get diagnostics v_count = row_count;
  return v_count;
end $$;

-- Takes back the hold that fsck itself put on a scope, once no finding is open that holds it. Answers whether it did.
create or replace function agent_state_api.release_checked(p_namespace text, p_scope text, p_holding text[])
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_scope bigint := (select o.scope_no from agent_state.scopes o where o.namespace = p_namespace and o.scope = p_scope);
begin
  delete from agent_state.holds h
   where h.scope_no = v_scope and h.held_by = 'fsck'
     and not exists (select from agent_state.findings f where f.namespace = p_namespace and f.scope = p_scope
                        and f.resolved_at is null and f.check_name = any (p_holding));
  if not found then return false; end if;
  insert into agent_state.gates (scope_no, changed_at) values (v_scope, clock_timestamp())
  on conflict (scope_no) do update set changed_at = excluded.changed_at;
  return true;
end $$;

-- A step that cannot be explained: kept as it is, never promoted, never the target of a rollback. Answers whether it was not yet.
create or replace function agent_state_api.quarantine_step(p_namespace text, p_scope text, p_step bigint, p_reason text)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into agent_state.quarantine (scope_no, step, reason, by_whom)
  select o.scope_no, p_step, p_reason, 'fsck' from agent_state.scopes o where o.namespace = p_namespace and o.scope = p_scope
  on conflict do nothing;
  if not found then return false; end if;
  insert into agent_state.gates (scope_no, changed_at)
  select o.scope_no, clock_timestamp() from agent_state.scopes o where o.namespace = p_namespace and o.scope = p_scope
  on conflict (scope_no) do update set changed_at = excluded.changed_at;
  return true;
end $$;
