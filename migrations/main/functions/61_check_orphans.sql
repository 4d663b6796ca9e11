-- What is left over of pods among the states whose number lies above p_after and at most at p_to, one row a fault. What facts on their way
-- see to by themselves is none before they had the time to: 30 seconds, and for a sandbox, which may be told to stop slowly, five minutes.
--   C16 an agent lives, and its pod is gone; a pod is gone, and its sandbox was never told to have ended
create or replace function agent_state.check_orphans(p_after bigint, p_to bigint)
returns table (check_name text, state_no bigint, scope_no bigint, version bigint, step bigint, detail text, evidence jsonb)
language plpgsql stable set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  v_late constant timestamptz := clock_timestamp() - interval '30 s';
  v_over constant timestamptz := clock_timestamp() - interval '5 min';
begin
  return query
  with looked as materialized (
    select s.state_no, s.scope_no, s.version, s.step, s.namespace, s.type, s.phase, s.updated_at,
           agent_state.document_or_null(s.state_no, s.version) as document
      from agent_state.states s
     where s.state_no > p_after and s.state_no <= p_to and not s.deleted
       and (s.type = 'agent' and s.phase in ('starting', 'idle', 'busy', 'paused', 'unreachable', 'draining') and s.updated_at < v_late
            or s.type = 'lifecycle' and s.phase = 'deleted' and s.updated_at < v_over)
       and not exists (select from agent_state.holds h where h.scope_no = s.scope_no)
  ), agents as (
    -- As the facts of a pod write it, and not as somebody else may.
    select l.*, l.document -> 'pod' ->> 'uid' as uid from looked l
     where l.type = 'agent' and json_typeof(l.document -> 'pod' -> 'uid') = 'string' and json_typeof(l.document -> 'pod' -> 'since') = 'string'
  ), sandboxes as (
    select l.*, l.document -> 'sandbox' -> 'attempts' -> -1 as run from looked l where l.type = 'lifecycle'
  )
  select 'C16', a.state_no, a.scope_no, a.version, a.step,
         format('it is %s, and its pod %s is %s', a.phase, to_json(a.uid), case when p.state_no is null then 'not known' else 'gone' end),
         jsonb_build_object('pod', a.document -> 'pod')
    from agents a
    left join lateral (select x.state_no, x.phase, x.updated_at from agent_state.states x
                        where x.namespace = a.namespace and x.id = 'pod:' || a.uid and not x.deleted limit 1) p on true
   where p.state_no is null or p.phase = 'deleted' and p.updated_at < v_late
  union all
  select 'C16', b.state_no, b.scope_no, b.version, b.step,
         format('it is gone, and its sandbox %s on node %s was never told to have ended', b.run -> 'id', coalesce(b.document -> 'node', 'null')),
         jsonb_build_object('sandbox', b.run, 'node', b.document -> 'node')
    from sandboxes b
   where b.run ->> 'id' is not null and b.run ->> 'removed' is null and json_typeof(b.run -> 'exit') = 'null'
     -- With the node everything on it went.
     and b.document ->> 'nodeLost' is null;
end $$;
