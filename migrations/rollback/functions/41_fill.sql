-- Fills copies from main's log: for a first copy of everything, and for copies that broke. Parts of one copy may come in
-- several calls; it is served once the last one came and everything hangs together. What is here stays until then, and
-- is never overwritten: where main says otherwise, or knows less, somebody has to look.
--
--   p_part_*   the scopes of the page: their HEAD, what is to be promoted, their gates, and whether their log ends here
--   p_before   the digest before each change; null where main had forgotten it
--   p_moment   the snapshot of main that the gates come from
--   p_walk     null: no walk; JSON: where the walk over all scopes goes on; 'done': it has seen them all
-- Answers as `follow` does. Names and versions are looked up one by one, by the whole key, as there.
create or replace function agent_state_api.fill_copies(
  p_epoch bigint, p_namespace text[], p_scope text[], p_step bigint[], p_position integer[], p_id text[], p_type text[], p_version bigint[],
  p_at text[], p_kind text[], p_stored text[], p_digest text[], p_phase text[], p_actor text[], p_cause text[], p_body json[], p_before text[],
  p_part_namespace text[], p_part_scope text[], p_part_head bigint[], p_part_promoted bigint[], p_part_hold text[], p_part_quarantined text[],
  p_part_whole text[], p_moment bigint, p_walk text)
returns table (namespace text, scope text, need text, why text, id text, version bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set work_mem = '32MB' as $$
#variable_conflict use_column
declare
  v_now  timestamptz := clock_timestamp();
  v_part record;
begin
  if not agent_state.holds_lease(p_epoch) then
    return query select null, null, 'lease', null, null, null::bigint;
    return;
  end if;
  perform agent_state.make_scopes(p_part_namespace, p_part_scope);

  return query
  update agent_state.scopes o set
      broken = format('ahead of main: it holds step %s, main has %s', o.pending_step, k.head), rebuild = false
    from unnest(p_part_namespace, p_part_scope, p_part_head) k(namespace, scope, head)
   where o.namespace = k.namespace and o.scope = k.scope and o.pending_step > k.head and (o.broken is null or o.rebuild)
  returning o.namespace, o.scope, 'suspect', o.broken, null, null::bigint;

  perform agent_state.make_states(p_namespace, p_scope, p_id, p_type);
  return query
  with given as materialized (
    select i.namespace, i.scope, i.id, i.type, s.scope_no as state_scope, h.digest as held,
           row(o.scope_no, i.step, s.state_no, i.version, i.at::timestamptz, i.position, i.kind::"char", i.stored::"char", decode(i.digest, 'hex'),
               decode(i.before, 'hex'), null, i.phase, i.actor, i.cause, i.body)::agent_state.changes as change
      from unnest(p_namespace, p_scope, p_step, p_position, p_id, p_type, p_version, p_at, p_kind, p_stored, p_digest, p_phase, p_actor, p_cause,
                  p_body, p_before)
             i(namespace, scope, step, position, id, type, version, at, kind, stored, digest, phase, actor, cause, body, before)
      cross join lateral (select x.scope_no, x.broken, x.rebuild from agent_state.scopes x
                           where x.namespace = i.namespace and x.scope = i.scope limit 1) o
      cross join lateral (select x.scope_no, x.state_no from agent_state.states x
                           where x.namespace = i.namespace and x.id = i.id limit 1) s
      left join lateral (select x.digest from agent_state.changes x
                          where x.state_no = s.state_no and x.version = i.version limit 1) h on true
     where o.broken is null or o.rebuild
  ), faults as (
    select distinct on ((g.change).scope_no) (g.change).scope_no, g.id, (g.change).version,
           case when g.state_scope <> (g.change).scope_no then 'its scope' when g.held <> (g.change).digest then 'its digest'
                else 'its digest does not follow from the one before' end as why
      from given g
     where g.state_scope <> (g.change).scope_no or g.held <> (g.change).digest
        or ((g.change).before is not null and not agent_state.is_genuine(g.namespace, g.id, g.type, g.change))
     order by (g.change).scope_no, (g.change).step
  ), filled as (
    insert into agent_state.changes
    select (g.change).scope_no, (g.change).step, (g.change).state_no, (g.change).version, (g.change).at, (g.change).position, (g.change).kind,
           (g.change).stored, (g.change).digest, (g.change).before,
           case when (g.change).before is null then agent_state.digest_after((g.change).digest, g.namespace, g.id, g.type, g.change) end,
           (g.change).phase, (g.change).actor, (g.change).cause, (g.change).body
      from given g where not exists (select from faults f where f.scope_no = (g.change).scope_no)
    on conflict do nothing
  )
  update agent_state.scopes o set broken = format('main''s %s version %s differs: %s', f.id, f.version, f.why), rebuild = false
    from faults f where o.scope_no = f.scope_no
  returning o.namespace, o.scope, 'suspect', o.broken, f.id, f.version;

  for v_part in select o.scope_no, k.* from unnest(p_part_namespace, p_part_scope, p_part_head, p_part_promoted, p_part_hold, p_part_quarantined,
                                                    p_part_whole) k(namespace, scope, head, promoted, hold, quarantined, whole)
                  join agent_state.scopes o on o.namespace = k.namespace and o.scope = k.scope loop
    perform agent_state.finish_copy(v_part.scope_no, v_part.head, v_part.promoted, v_part.hold::boolean, v_part.quarantined::int8multirange,
                                    v_part.whole::boolean, p_moment);
  end loop;

  if p_walk = 'done' then
    return query
    update agent_state.scopes o set broken = 'ahead of main: main does not have it', rebuild = false
      from agent_state.follower f
     where o.followed_at < f.walk_began and f.walk is not null and o.pending_step > 0 and (o.broken is null or o.rebuild)
    returning o.namespace, o.scope, 'suspect', o.broken, null, null::bigint;
  end if;
  update agent_state.follower f set walk = nullif(p_walk, 'done')::json where p_walk is not null;
end $$;

-- Makes a copy served if all of it is here: or says why it is not. One that somebody has to look at stays as it is.
create or replace function agent_state.finish_copy(
  p_scope_no bigint, p_head bigint, p_promoted bigint, p_hold boolean, p_quarantined int8multirange, p_whole boolean, p_moment bigint)
returns void language plpgsql
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off as $$
declare
  v_was        bigint;
  v_hangs      boolean;
  v_whole_from bigint;
begin
  update agent_state.scopes o set followed_at = clock_timestamp(), hold = p_hold, quarantined = p_quarantined, gates_at = p_moment where o.scope_no = p_scope_no;
  if exists (select from agent_state.scopes o where o.scope_no = p_scope_no and o.broken is not null and not o.rebuild) then return; end if;
  if not p_whole then
    update agent_state.scopes o set broken = 'half made', rebuild = true where o.scope_no = p_scope_no;
    return;
  end if;

  delete from agent_state.changes c
   using (select s.state_no, (select max(f.version) from agent_state.changes f
                               where f.state_no = s.state_no and f.stored = 'f' and f.step <= p_promoted) as version
            from agent_state.states s where s.scope_no = p_scope_no) b
   where c.state_no = b.state_no and c.version < b.version;

  -- The oldest change of a state is a full copy; if it is newer than the promoted step, nothing was before it, or main forgot.
  select coalesce(bool_and(case when v.was is null then v.stored = 'f' else v.was = v.version - 1 and v.was_digest = v.before end), true),
         coalesce(max(v.step) filter (where v.was is null and v.version > 1 and v.step > p_promoted), 0)
    into v_hangs, v_whole_from
    from (select c.stored, c.version, c.step, c.before, lag(c.version) over w as was, lag(c.digest) over w as was_digest
            from agent_state.states s join agent_state.changes c on c.state_no = s.state_no
           where s.scope_no = p_scope_no window w as (partition by c.state_no order by c.version)) v;
  update agent_state.scopes o set
      pending_step = p_head, promoted_step = p_promoted, whole_from = v_whole_from,
      broken = case when not v_hangs then 'a version is missing' when p_promoted > 0 and p_quarantined @> p_promoted then 'its step was quarantined' end,
      rebuild = not v_hangs or (p_promoted > 0 and p_quarantined @> p_promoted)
    where o.scope_no = p_scope_no;
end $$;

-- Copies that are to be made anew from main.
create or replace function agent_state_api.copies_to_rebuild(p_limit integer)
returns table (namespace text, scope text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select o.namespace, o.scope from agent_state.scopes o where o.broken is not null and o.rebuild order by o.followed_at limit p_limit
$$;

-- Drops what a copy holds, and has it made anew from main, one that was missing as well: for whoever found that the copy is
-- what is wrong. What it knows of its states goes too, as that may be what is wrong. Answers whether there was one.
create or replace function agent_state_api.discard_copy(p_namespace text, p_scope text, p_reason text)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_scope_no bigint;
  v_was      boolean;
begin
  perform from agent_state.follower f for update;   -- what is being followed ends first
  v_was := exists (select from agent_state.scopes o where o.namespace = p_namespace and o.scope = p_scope);
  perform agent_state.make_scopes(array[p_namespace], array[p_scope]);
  update agent_state.scopes o set pending_step = 0, promoted_step = 0, whole_from = 0, broken = p_reason, rebuild = true
   where o.namespace = p_namespace and o.scope = p_scope returning o.scope_no into v_scope_no;
  with gone as (
    delete from agent_state.states s
     where s.scope_no = v_scope_no or s.state_no in (select c.state_no from agent_state.changes c where c.scope_no = v_scope_no)
    returning s.state_no)
  delete from agent_state.changes c where c.scope_no = v_scope_no or c.state_no in (select g.state_no from gone g);
  return v_was;
end $$;
