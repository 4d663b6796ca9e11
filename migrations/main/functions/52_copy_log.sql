-- What copies of scopes are made from: of each, the log from every state's newest full copy at or before the newest good
-- step older than HEAD. Of the named scopes, or of all; in pages, by scope, and within one by state and version. Rows by `what`:
--   change   one of the log, with the digest `before` it: null where that was pruned
--   part     a scope of this page: its HEAD (0: it has no step), what is to be promoted, its gates at the
--            `moment`, and whether its log ends here
--   next     where to go on: (scope_no, id, version, head, promoted) are the next call's p_after_*; no such row: that was all
create or replace function agent_state_api.copy_log(
  p_namespace text[], p_scope text[], p_after_scope_no bigint, p_after_id text, p_after_version bigint, p_after_head bigint, p_after_promoted bigint,
  p_limit integer, p_bytes bigint)
returns table (what text, scope_no bigint, namespace text, scope text, step bigint, "position" integer, id text, type text, version bigint, kind text,
               stored text, phase text, actor text, cause text, digest text, before text, at timestamptz, body json,
               head bigint, promoted bigint, hold boolean, quarantined text, whole boolean, moment bigint)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
  v_named  bigint[] := case when p_namespace is not null then array(
    select o.scope_no from unnest(p_namespace, p_scope) k(namespace, scope)
      join agent_state.scopes o on o.namespace = k.namespace and o.scope = k.scope) end;
  v_scopes refcursor;
  v_scope  agent_state.scopes;
  v_row    record;
  v_left   bigint := p_limit;
  v_bytes  bigint := 0;
  v_after  bigint := p_after_scope_no;
  v_after_id      text;      -- within the scope
  v_after_version bigint;
begin
  moment := pg_snapshot_xmax(pg_current_snapshot())::text::bigint;
  if v_named is null then
    open v_scopes for select o.* from agent_state.scopes o where o.scope_no >= p_after_scope_no order by o.scope_no;
  else
    open v_scopes for select o.* from agent_state.scopes o where o.scope_no = any (v_named) and o.scope_no >= p_after_scope_no order by o.scope_no;
  end if;
  loop
    fetch v_scopes into v_scope;
    exit when not found;
    continue when v_scope.scope_no = p_after_scope_no and p_after_head is null;
    if v_left <= 0 or v_bytes >= p_bytes then
      what := 'next'; scope_no := v_after; id := null; version := null; head := null; promoted := null;
      return next;
      return;
    end if;
    quarantined := agent_state.quarantined_steps(v_scope.scope_no)::text;
    hold := exists (select from agent_state.holds h where h.scope_no = v_scope.scope_no);
    if v_scope.scope_no = p_after_scope_no then
      head := p_after_head;
      promoted := p_after_promoted;
      v_after_id := p_after_id;
      v_after_version := p_after_version;
    else
      select l.step into head from agent_state.changes l where l.scope_no = v_scope.scope_no order by l.step desc, l.position desc limit 1;
      head := coalesce(head, 0);
      promoted := greatest(coalesce((select lower(r) from unnest(quarantined::int8multirange) r where r @> head - 1), head) - 1, 0);
      v_after_id := '';
      v_after_version := 0;
    end if;
    scope_no := v_scope.scope_no; namespace := v_scope.namespace; scope := v_scope.scope; whole := true;

    for v_row in
      select s.id, s.type, c.version, c.step, c.position, c.kind::text as kind, c.stored::text as stored, c.phase, c.actor, c.cause,
             encode(c.digest, 'hex') as digest, case when c.version = 1 then '' else encode(b.digest, 'hex') end as before, c.at, c.body
        from agent_state.states s
        cross join lateral (select coalesce(max(f.version), 0) as base from agent_state.changes f
                             where f.state_no = s.state_no and f.stored = 'f' and f.step <= promoted) m
        cross join lateral (select x.* from agent_state.changes x
                             where x.state_no = s.state_no and x.version >= m.base and x.step <= head
                               and (s.id, x.version) > (v_after_id, v_after_version)
                             order by x.version offset 0) c
        left join lateral (select x.digest from agent_state.changes x
                            where x.state_no = s.state_no and x.version = c.version - 1 limit 1) b on true
       where s.scope_no = v_scope.scope_no and s.id >= v_after_id
       order by s.id, c.version
    loop
      if v_left <= 0 or v_bytes >= p_bytes then
        whole := false;
        exit;
      end if;
      what := 'change'; id := v_row.id; type := v_row.type; version := v_row.version; step := v_row.step; "position" := v_row.position;
      kind := v_row.kind; stored := v_row.stored; phase := v_row.phase; actor := v_row.actor; cause := v_row.cause; digest := v_row.digest;
      before := v_row.before; at := v_row.at; body := v_row.body;
      return next;
      v_left := v_left - 1;
      v_bytes := v_bytes + coalesce(octet_length(v_row.body::text), 0);
    end loop;

    body := null;
    what := 'part';
    return next;
    if not whole then
      what := 'next';
      return next;
      return;
    end if;
    v_after := v_scope.scope_no;
    v_left := v_left - 1;
  end loop;

  what := 'part';
  head := 0; promoted := 0; hold := false; quarantined := '{}'; whole := true;
  for namespace, scope in select k.namespace, k.scope from unnest(p_namespace, p_scope) k(namespace, scope)
     where not exists (select from agent_state.scopes o where o.namespace = k.namespace and o.scope = k.scope) loop
    return next;
  end loop;
end $$;
