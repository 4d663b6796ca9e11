-- What is wrong with the scheduling of tasks whose number lies above p_after and at most at p_to, one row a fault. What a sweep of tasks
-- sees to by itself (agent_state_api.sweep_tasks) is none before it had the time to: 30 seconds.
--   C8  it is being worked on, and nobody holds a lease
--   C9  its epoch is behind one that was given out
--   C10 its stack: two are held, the next one is not known to be next, or its row says something else than its state
--   C11 it waits for children, and there are none that could end; its end was not told to its parent; its parent is gone
--   C12 it did something outside of which nobody will say whether it came to anything
--   C17 it is claimed over and over, and nothing comes of it
create or replace function agent_state.check_tasks(p_after bigint, p_to bigint)
returns table (check_name text, state_no bigint, scope_no bigint, version bigint, step bigint, detail text, evidence jsonb)
language plpgsql stable set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  c_claims constant integer := 10;
  v_late   constant timestamptz := clock_timestamp() - interval '30 s';
begin
  return query
  with looked as materialized (
    select t.*, t.phase in ('working', 'canceling') as is_held, s.state_no is not null as has_state, s.deleted, s.phase as state_phase, s.version,
           s.step, s.updated_at, w.lease_until, k.working_no, k.ready_kind, k.ready_since, k.unsettled, k.stack_no is not null as has_stack
      from agent_state.tasks t
      left join lateral (select x.* from agent_state.states x where x.state_no = t.task_no limit 1) s on true
      left join lateral (select x.lease_until from agent_state.workers x where x.worker_no = t.worker_no limit 1) w on true
      left join lateral (select x.* from agent_state.stacks x where x.stack_no = t.stack_no limit 1) k on true
     where t.task_no > p_after and t.task_no <= p_to
       and not exists (select from agent_state.holds h where h.scope_no = t.stack_no)
  ), living as materialized (
    select l.*, d.document ->> 'epoch' as told_epoch, d.document -> 'results' as results
      from looked l
      cross join lateral (select case when l.has_state and not l.deleted then agent_state.document_or_null(l.task_no, l.version) end as document offset 0) d
     where l.ended_at is null
  ), faults as (
    select 'C8' as check_name, l.task_no, l.stack_no, l.version, l.step,
           case when l.lease_until is null then format('it is %s, and no worker that is known holds it', l.phase)
                else format('it is %s, and the lease of who holds it ended at %s', l.phase, l.lease_until) end as detail
      from living l where l.is_held and (l.lease_until is null or l.lease_until < v_late)
    union all
    select 'C9', l.task_no, l.stack_no, l.version, l.step, format('its epoch is %s, and %s was given out', l.epoch, g.epoch)
      from living l,
           lateral (select greatest(agent_state.count_or_null(l.told_epoch), (select max(e.epoch) from agent_state.effects e where e.task_no = l.task_no)) as epoch) g
     where g.epoch > l.epoch
    union all
    select 'C10', l.task_no, l.stack_no, l.version, l.step,
           case when not l.has_state then 'it is scheduled, and there is no such state'
                when not l.has_stack then 'it is scheduled in a stack that is not there'
                else format('it is scheduled as %s, and its state is %s', l.phase, case when l.deleted then 'deleted' else l.state_phase end) end
      from looked l
     where not l.has_state or (not l.has_stack and l.ended_at is null)
        or l.phase is distinct from case when l.deleted then 'canceled' else l.state_phase end
        or (l.ended_at is null) <> (l.phase <> all ('{completed,failed,canceled,rejected}'))
    union all
    select 'C10', l.task_no, l.stack_no, l.version, l.step,
           case when l.is_held then 'it is held, and its stack knows nothing of it' when l.phase in ('ready', 'suspended') and l.turn is null and l.run_at is null
                then format('it is %s, and has no turn', l.phase) when l.working_no is not null then 'its stack waits for a task that nobody holds'
                when l.phase = 'suspended' then 'it is suspended, and nothing is above it' else 'it is the next of its stack, which nobody is told' end
      from living l
     where l.has_state and l.has_stack and not l.unsettled and l.phase = l.state_phase
       and (l.is_held and l.working_no is distinct from l.task_no
            or l.phase in ('ready', 'suspended') and l.turn is null and l.run_at is null
            or l.turn is not null
               and not exists (select from agent_state.tasks h where h.task_no = l.working_no and h.phase in ('working', 'canceling'))
               and not exists (select from agent_state.tasks a where a.stack_no = l.stack_no and a.turn is not null and (a.priority, a.turn) > (l.priority, l.turn))
               and (l.working_no is not null or l.phase = 'suspended' or l.ready_since is null or l.ready_kind is distinct from l.kind))
    union all
    select 'C11', l.task_no, l.stack_no, l.version, l.step, 'it waits for children, and all that it waits for ended'
      from living l
     where l.phase = 'waiting' and l.wait_for = 'child' and l.state_phase = 'waiting'
       and not exists (select from agent_state.tasks c where c.parent_no = l.task_no and (c.ended_at is null or not c.is_told)
                          and (l.wait_children is null or c.task_no = any (l.wait_children)))
    union all
    select 'C11', l.task_no, l.stack_no, l.version, l.step, format('the end of %s does not stand among its results', string_agg(to_json(x.id)::text, ', ' order by x.id))
      from living l join agent_state.tasks c on c.parent_no = l.task_no and c.ended_at is not null and c.is_told
      join agent_state.states x on x.state_no = c.task_no and not x.deleted
     where json_typeof(l.results) = 'array' and l.phase = l.state_phase and x.id not in (select e.id from agent_state.ends_in(l.results) e(id))
     group by l.task_no, l.stack_no, l.version, l.step
    union all
    select 'C11', l.task_no, l.stack_no, l.version, l.step, case when q.task_no is null then 'its parent is not there' else 'its end was not told to its parent' end
      from looked l left join agent_state.tasks q on q.task_no = l.parent_no
     where l.parent_no is not null and (q.task_no is null or (l.ended_at < v_late and not l.is_told and q.ended_at is null))
    union all
    select 'C12', l.task_no, l.stack_no, l.version, l.step, format('it began %s outside, it is %s, and nobody will say whether that came to anything',
           string_agg(to_json(e.key)::text, ', ' order by e.key), l.phase)
      from looked l join agent_state.effects e on e.task_no = l.task_no and e.done_at is null
     where l.ended_at is not null or l.phase = 'confused'
     group by l.task_no, l.stack_no, l.version, l.step, l.phase
    union all
    select 'C17', l.task_no, l.stack_no, l.version, l.step, format('it was claimed %s times in a row, and nothing came of it', c.claims)
      from living l,
           lateral (select count(*) as claims
                      from (select h.phase, h.version, h.is_progress, max(h.version) filter (where h.is_progress) over () as progress
                              from (select c.phase, c.version, c.cause is distinct from 'claimed' and agent_state.is_progress(c.body, c.stored::text, c.cause) as is_progress,
                                           c.cause = 'claimed' as is_claim
                                      from agent_state.changes c where c.state_no = l.task_no order by c.version desc limit 100) h
                             where h.is_claim or h.is_progress) h
                     where not h.is_progress and h.version > coalesce(h.progress, 0)) c
     where l.phase <> 'confused' and l.epoch >= c_claims and c.claims >= c_claims
  )
  select f.check_name, f.task_no, f.stack_no, f.version, f.step, f.detail,
         jsonb_build_object('task', (select to_jsonb(t) from agent_state.tasks t where t.task_no = f.task_no),
           'stack', (select to_jsonb(k) from agent_state.stacks k where k.stack_no = f.stack_no),
           'worker', (select to_jsonb(w) from agent_state.tasks t join agent_state.workers w on w.worker_no = t.worker_no where t.task_no = f.task_no),
           'effects', (select jsonb_agg(to_jsonb(e) - 'receipt') from agent_state.effects e where e.task_no = f.task_no and e.done_at is null))
    from faults f;
end $$;

-- Whether a change of a task says more than that somebody took it, or gave it back as it was.
create or replace function agent_state.is_progress(p_body json, p_stored text, p_cause text)
returns boolean language plpgsql immutable as $$
begin
  return case when p_stored = 'd' then p_body -> 'p' is not null or p_body -> 'a' is not null or p_body ->> 'm' <> '{}'
              else p_cause not in ('claimed', 'interrupted', 'interrupted at once', 'its turn again', 'lease lost', 'suspend', 'release', 'due') end;
end $$;

create or replace function agent_state.document_or_null(p_state_no bigint, p_version bigint)
returns json language plpgsql stable as $$
begin
  return agent_state.document(p_state_no, p_version);
exception when others then
  return null;   -- that it cannot be put together is what C20 says
end $$;

-- Tasks that a sweep looks at beside what changed: those that are held without a lease, and those whose end was not told.
create or replace function agent_state_api.suspect_tasks(p_limit integer)
returns table (state_no bigint)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
  set plan_cache_mode = force_generic_plan as $$
begin
  return query
  (select t.task_no from agent_state.tasks t left join agent_state.workers w on w.worker_no = t.worker_no
    where t.worker_no is not null and (w.worker_no is null or w.lease_until < clock_timestamp() - interval '30 s') limit p_limit)
  union all
  (select t.task_no from agent_state.tasks t where t.ended_at is not null and not t.is_told and t.parent_no is not null
      and t.ended_at < clock_timestamp() - interval '30 s' order by t.task_no limit p_limit);
end $$;
