-- What is wrong with the states whose number lies above p_after and at most at p_to, and with the changes that
-- name them: one row a fault, with the rows as they are. One pass over the log, in the order of its index.
--   C1  a phase moved along no row of agent_state.transitions
--   C2  a version or a step is missing, or a change lies in the log of another scope
--   C3  the row of a state is not what its newest change made it
--   C4  a digest does not follow from the one before and from what the change holds
--   C14 a phase moved although it was terminal
--   C20 the document cannot be put together
-- Where versions are missing the digest after the gap cannot be judged: that is C2 alone. What pruning took away
-- is no gap: it starts at a full copy, below the floor of the feed.
create or replace function agent_state.check_range(p_after bigint, p_to bigint)
returns table (check_name text, state_no bigint, scope_no bigint, version bigint, step bigint, detail text, evidence jsonb)
language plpgsql stable set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off
  set enable_hashjoin = off set jit = off set work_mem = '32MB' as $$
#variable_conflict use_column
declare
  v_types constant text[] := array(select distinct t.type from agent_state.transitions t);
  v_floor constant bigint[] := (select string_to_array(m.value, '.')::bigint[] from agent_state.meta m where m.name = 'feed_floor');
begin
  return query
  with looked as materialized (
    select c.state_no, c.scope_no, c.version, c.step, c.feed_xid, c.stored, c.phase, c.digest, c.kind in ('r', 'p') as mends,
           c.body is null and c.stored = 'f' as deleted, s.namespace, s.type, s.state_no is not null as has_row,
           s.version as row_version, s.step as row_step, s.digest as row_digest, s.deleted as row_deleted, s.base_version as row_base, s.phase as row_phase,
           s.scope_no as row_scope_no, coalesce(s.scope, s.id) as row_scope,
           lag(c.version) over w as version_before, lag(c.step) over w as step_before, lag(c.scope_no) over w as scope_before,
           lag(c.phase) over w as phase_before, lag(c.body is null and c.stored = 'f') over w as deleted_before,
           lead(c.version) over w is null as newest, max(c.version) filter (where c.stored = 'f') over w as base,
           c.digest = agent_state.digest_of(coalesce(lag(c.digest) over w, ''), s.namespace, s.id, s.type, c.step, c.version,
             case when c.body is null and c.stored = 'f' then 'd' else 'u' end, c.stored::text, c.phase, c.body) as follows
      from agent_state.changes c
      left join agent_state.states s on s.state_no = c.state_no
     where c.state_no > p_after and c.state_no <= p_to
    window w as (partition by c.state_no order by c.version)
  ), faults as (
    select 'C2' as check_name, l.state_no, l.scope_no, l.version, l.step,
           case when l.version_before is null then format('history starts at version %s', l.version)
                else format('version %s is followed by %s', l.version_before, l.version) end as detail
      from looked l
     where l.version <> coalesce(l.version_before, 0) + 1
       and (l.version_before is not null or l.stored = 'd' or (v_floor is null and l.feed_xid > '1'::xid8))
    union all
    select 'C2', l.state_no, l.scope_no, l.version, l.step, format('step %s of its scope is missing', l.step - 1)
      from looked l
     where l.step > 1 and l.step_before is distinct from l.step - 1
       and not exists (select from agent_state.changes p where p.scope_no = l.scope_no and p.step = l.step - 1)
       and agent_state.lost_step(l.scope_no, l.step, l.feed_xid, v_floor)
    union all
    select 'C2', l.state_no, l.scope_no, l.version, l.step, 'it lies in the log of another scope than the version before'
      from looked l where l.scope_no <> l.scope_before
    union all
    select 'C4', l.state_no, l.scope_no, l.version, l.step, 'its digest does not follow from the one before and from what it holds'
      from looked l
     where not l.follows and l.version = coalesce(l.version_before, 0) + 1
    union all
    select 'C14', l.state_no, l.scope_no, l.version, l.step, format('%s is terminal, and %s came after it', l.phase_before, coalesce(l.phase, 'no phase'))
      from looked l
     where l.type = any (v_types) and l.phase is distinct from l.phase_before and not l.deleted_before and l.phase_before is not null
       and not exists (select from agent_state.transitions t where t.type = l.type and t.from_phase = l.phase_before)
    union all
    select 'C1', l.state_no, l.scope_no, l.version, l.step,
           format('a %s may not go from %s to %s', l.type, coalesce(case when not l.deleted_before then l.phase_before end, 'creation'),
                  coalesce(l.phase, 'no phase'))
      from looked l
     where l.has_row and (l.phase is not null or l.type = any (v_types)) and (l.version = 1 or l.version_before is not null)
       and (l.phase is distinct from l.phase_before or coalesce(l.deleted_before, true))
       and not exists (select from agent_state.transitions t
                        where t.type = l.type and t.to_phase = l.phase
                          and ((t.from_phase = case when coalesce(l.deleted_before, true) then '' else coalesce(l.phase_before, '') end
                                -- Who runs a confused task again repairs it, whatever the change calls itself.
                                and (l.mends or t.via = 'change' or t.from_phase = 'confused'))
                               -- Going back makes a state again in the phase that it had.
                               or (l.mends and coalesce(l.deleted_before, true))))
       and (coalesce(l.deleted_before, true) or l.phase_before is null
            or exists (select from agent_state.transitions t where t.type = l.type and t.from_phase = l.phase_before))
    union all
    select 'C3', l.state_no, l.scope_no, l.version, l.step, 'its changes are there, its row is not'
      from looked l where l.newest and not l.has_row
    union all
    select case when l.row_version > l.version and l.row_digest <> l.digest then 'C2' else 'C3' end, l.state_no, l.scope_no, l.version, l.step,
           case when l.row_version <> l.version then format('its row says version %s, its newest change is version %s', l.row_version, l.version)
                else format('its row is not what version %s made it', l.version) end
      from looked l
     where l.newest and l.has_row
       and (l.row_version <> l.version or l.row_step <> l.step or l.row_digest <> l.digest or l.row_deleted <> l.deleted
            or l.row_base is distinct from l.base or l.row_scope_no <> l.scope_no or l.row_phase is distinct from l.phase)
    union all
    select 'C3', l.state_no, l.scope_no, l.version, l.step, format('its row says scope %s, its changes lie in another', l.row_scope)
      from looked l
     where l.newest and l.has_row
       and not exists (select from agent_state.scopes o where o.scope_no = l.scope_no and o.scope = l.row_scope and o.namespace = l.namespace)
    union all
    select 'C20', l.state_no, l.scope_no, l.version, l.step, f.fault
      from looked l, lateral agent_state.document_fault(l.state_no, l.version) f(fault)
     where l.newest and l.stored = 'd' and f.fault is not null
    union all
    select 'C2', s.state_no, s.scope_no, s.version, s.step, format('of its %s versions no change is there', s.version)
      from agent_state.states s
     where s.state_no > p_after and s.state_no <= p_to
       and not exists (select from agent_state.changes c where c.state_no = s.state_no)
    union all
    select distinct 'C4', x.state_no, c.scope_no, x.version, c.step, 'it was put into the log by hand'
      from agent_state.strays x
      join agent_state.changes c on c.state_no = x.state_no and c.version = x.version
     where x.what = 'INSERT changes' and x.state_no > p_after and x.state_no <= p_to
       and not exists (select from looked l where l.state_no = x.state_no and l.version = x.version and not l.follows)
    union all
    select distinct 'C2', x.state_no, s.scope_no, x.version, null::bigint, 'it was taken out of the log by hand'
      from agent_state.strays x
      join agent_state.states s on s.state_no = x.state_no
     where x.what = 'DELETE changes' and x.state_no > p_after and x.state_no <= p_to and x.version <= s.version
       and not exists (select from agent_state.changes c where c.state_no = x.state_no and c.version <= x.version)
  )
  select f.check_name, f.state_no, f.scope_no, f.version, f.step, f.detail,
         jsonb_build_object('row', (select to_jsonb(s) from agent_state.states s where s.state_no = f.state_no),
           'change', (select to_jsonb(c) || jsonb_build_object('body', left(c.body::text, 65536), 'bytes', octet_length(c.body::text)) from agent_state.changes c
                       where c.state_no = f.state_no and c.version = f.version))
    from faults f;
end $$;

-- Whether the step before this one was lost: nothing that pruning may have taken lies between. Of a log that was restored
-- (feed_xid 1) it cannot be told: only what was needed of it was there to be restored.
create or replace function agent_state.lost_step(p_scope_no bigint, p_step bigint, p_feed_xid xid8, p_floor bigint[])
returns boolean language sql stable as $$
  select coalesce((select case when p_floor is null then p_feed_xid > '1'::xid8
                           else array[c.feed_xid::text::bigint, c.scope_no, c.step, c.position] > p_floor end
                     from agent_state.changes c where c.scope_no = p_scope_no and c.step < p_step
                    order by c.step desc, c.position desc limit 1),
                  p_floor is null and p_feed_xid > '1'::xid8)
$$;

-- Why a state has no document at a version; null where it has one.
create or replace function agent_state.document_fault(p_state_no bigint, p_version bigint)
returns text language plpgsql stable as $$
begin
  return case when agent_state.document(p_state_no, p_version) is null then 'there is nothing that its deltas could build on' end;
exception when others then
  return 'its deltas do not apply: ' || sqlerrm;
end $$;
