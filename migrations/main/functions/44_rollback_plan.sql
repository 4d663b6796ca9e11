-- The step whose content a step holds: a rollback's is that of the step it restored, any other's itself.
create or replace function agent_state.effective_step(p_scope_no bigint, p_step bigint)
returns bigint language plpgsql stable as $$
declare
  v_step     bigint := p_step;
  v_restored bigint;
begin
  loop
    select r.restored_step into v_restored from agent_state.rollbacks r where r.scope_no = p_scope_no and r.step = v_step;
    if not found then return v_step; end if;
    v_step := v_restored;
  end loop;
end $$;

-- The newest good step older than a scope's HEAD: what going back once more leads to. 0: nothing existed.
create or replace function agent_state.step_before(p_scope_no bigint, p_head bigint)
returns bigint language plpgsql stable as $$
declare
  v_step bigint := agent_state.effective_step(p_scope_no, p_head) - 1;
begin
  while exists (select from agent_state.quarantine q where q.scope_no = p_scope_no and q.step = v_step) loop
    v_step := v_step - 1;
  end loop;
  return greatest(v_step, 0);
end $$;

-- The states of a scope that changed after a step, and tasks that somebody works on, with what they were at it; `kept`: history still has that. Those that
-- are gone and were gone then are left out. `undone`: a terminal phase that they went through since, and would lose.
create or replace function agent_state.rollback_rows(p_scope_no bigint, p_target bigint)
returns table (state_no bigint, id text, type text, version bigint, phase text, deleted boolean, digest bytea,
               was_version bigint, was_phase text, was_deleted boolean, was_digest bytea, kept boolean, undone text)
language plpgsql stable set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
  v_terminal text[] := array(select distinct t.type || ' ' || t.to_phase from agent_state.transitions t
                              where not exists (select from agent_state.transitions f where f.type = t.type and f.from_phase = t.to_phase));
begin
  return query
  select r.*, (select c.phase from agent_state.changes c
                where c.state_no = r.state_no and c.step > p_target and c.phase is not null and not (c.body is null and c.stored = 'f')
                  and r.type || ' ' || c.phase = any (v_terminal) and (r.was_deleted or c.phase is distinct from r.was_phase)
                order by c.version limit 1)
    from (select s.state_no, s.id, s.type, s.version, s.phase, s.deleted, s.digest, coalesce(w.version, 0) as was_version, w.phase as was_phase,
                 w.version is null or (w.body is null and w.stored = 'f') as was_deleted, w.digest as was_digest,
                 -- A delta alone is no document: what it was made upon may be forgotten already.
                 exists (select from agent_state.changes b
                          where b.state_no = s.state_no and case when w.version is null then b.version = 1
                                                                 else b.version <= w.version and b.stored = 'f' end) as kept
            from (select c.state_no from agent_state.changes c where c.scope_no = p_scope_no and c.step > p_target
          union select t.task_no from agent_state.stacks k join agent_state.tasks t on t.task_no = k.working_no where k.stack_no = p_scope_no) u
            join agent_state.states s on s.state_no = u.state_no
            left join lateral (select c.version, c.phase, c.body, c.stored, c.digest from agent_state.changes c
                                where c.state_no = s.state_no and c.step <= p_target order by c.version desc limit 1) w on true) r
   where not (r.deleted and r.was_deleted and r.kept)
   order by r.id;
end $$;

-- Whether a rollback leaves a task as it ended, as the world was told of that: what it was before goes on in a new task that supersedes it.
create or replace function agent_state.is_superseded(p_state_no bigint, p_deleted boolean, p_undone text)
returns boolean language plpgsql stable as $$
begin
  return p_undone is not null and not p_deleted and exists (select from agent_state.tasks t where t.task_no = p_state_no);
end $$;

-- The id of the task that supersedes one that a rollback, at this step, would have undone the end of.
create or replace function agent_state.superseding_id(p_id text, p_step bigint)
returns text language sql immutable as $$
  select left(p_id, 199 - length(p_step::text)) || '~' || p_step
$$;

-- What tasks of a scope told to have done outside after a step and up to a time: going back to the step undoes none of it. The newest 1,000.
-- Receipts that a superseding task took over carry no epoch of their own.
create or replace function agent_state.effects_since(p_scope_no bigint, p_step bigint, p_until timestamptz)
returns json language plpgsql stable set enable_seqscan = off set jit = off as $$
declare
  v_since timestamptz := (select c.at from agent_state.changes c where c.scope_no = p_scope_no and c.step <= p_step order by c.step desc, c.position desc limit 1);
begin
  return (select coalesce(json_agg(json_build_object('task', e.id, 'key', e.key, 'doneAt', e.done_at) order by e.done_at, e.id, e.key), '[]')
            from (select s.id, f.key, f.done_at
                    from (select c.state_no from agent_state.changes c where c.scope_no = p_scope_no and c.step > p_step
                    union select k.working_no from agent_state.stacks k where k.stack_no = p_scope_no) u
                    join agent_state.effects f on f.task_no = u.state_no
                    join agent_state.states s on s.state_no = u.state_no
                   where f.epoch > 0 and f.done_at > coalesce(v_since, '-infinity') and f.done_at <= p_until
                   order by f.done_at desc limit 1000) e);
end $$;

-- Whether a rollback takes a task from whoever works on it.
create or replace function agent_state.is_fenced(p_state_no bigint, p_phase text)
returns boolean language plpgsql stable as $$
begin
  return p_phase in ('working', 'canceling') and exists (select from agent_state.tasks t where t.task_no = p_state_no);
end $$;

-- What a rollback did, as it was planned, for a repeated idempotency key; null where the step is none.
create or replace function agent_state.rollback_report(p_scope_no bigint, p_step bigint)
returns json language plpgsql stable set enable_seqscan = off set jit = off as $$
begin
  return (select json_build_object('step', r.step::text, 'restoredStep', r.restored_step::text, 'undoneStep', r.undone_step::text, 'source', r.source,
      'quarantines', coalesce((select json_agg(q.step::text order by q.step) from agent_state.quarantine q
                                where q.scope_no = r.scope_no and q.at = r.at and q.step between r.restored_step + 1 and r.undone_step), '[]'),
      'effects', agent_state.effects_since(r.scope_no, r.restored_step, r.at),
      'states', (select json_agg(case when c.kind = 'u' then agent_state.superseding_report(c.state_no, s.id, c.body, r.restored_step) else
                        json_build_object('id', s.id, 'type', s.type, 'version', (c.version - 1)::text, 'phase', c.phase, 'targetPhase', c.phase,
                          'targetVersion', coalesce(w.version, 0)::text, 'fenced', agent_state.is_fenced(c.state_no, b.phase), 'action', case when c.body is null then 'delete' when b.body is null and b.stored = 'f' then 'recreate' else 'restore' end) end
                        order by c.position)
                   from agent_state.changes c
                   join agent_state.states s on s.state_no = c.state_no
                   left join agent_state.changes b on b.state_no = c.state_no and b.version = c.version - 1
                   left join lateral (select t.version from agent_state.changes t where t.state_no = c.state_no and t.step <= r.restored_step
                                       order by t.version desc limit 1) w on true
                  where c.scope_no = r.scope_no and c.step = r.step))
    from agent_state.rollbacks r where r.scope_no = p_scope_no and r.step = p_step);
end $$;

-- Of a task that supersedes another: what is said of that one.
create or replace function agent_state.superseding_report(p_state_no bigint, p_id text, p_body json, p_target bigint)
returns json language plpgsql stable as $$
begin
  return (select json_build_object('id', o.id, 'type', o.type, 'version', o.version::text, 'phase', o.phase, 'targetPhase', o.phase,
                   'targetVersion', (select max(t.version) from agent_state.changes t where t.state_no = o.state_no and t.step <= p_target)::text,
                   'action', 'supersede', 'supersededBy', p_id)
            from agent_state.states s join agent_state.states o on o.namespace = s.namespace and o.id = p_body ->> 'supersedes'
           where s.state_no = p_state_no);
end $$;

-- What the idempotency key of a rollback stands for: which scope goes back where.
create or replace function agent_state.rollback_fingerprint(p_namespace text, p_scope text, p_asked bigint)
returns bytea language sql immutable as $$
  select sha256(convert_to(concat_ws(E'\x1f', 'rollback', p_namespace, p_scope, coalesce(p_asked::text, 'back')), 'UTF8'))
$$;

-- What a rollback would do, as JSON; null where the scope was never written to. p_asked: null goes one step back.
--   {"step": HEAD, "effectiveStep": the step whose content HEAD holds, "targetStep", "targetQuarantined", "hold", "quarantines": [steps it would],
--    "effects": [{"task", "key", "doneAt"}], "states": [{"id", "type", "action": restore|recreate|delete|supersede|keep, "version", "phase", "targetVersion", "targetPhase", "digest", "kept", "fenced", "undone"}]}
--    supersede: a task that ended stays so, and "supersededBy" is made of what it was; keep: it stays so, and was not there then
-- or, where p_key was used before, {"replayed": what that rollback did}; null in it: for something else.
create or replace function agent_state_api.read_rollback_plan(p_namespace text, p_scope text, p_asked bigint, p_key text)
returns json language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_scope_no bigint;
  v_head     bigint;
  v_target   bigint;
  v_first    agent_state.idempotency_keys;
  v_is_idle  boolean;
begin
  select * into v_first from agent_state.idempotency_keys k where k.namespace = p_namespace and k.key = p_key;
  if found then
    return json_build_object('replayed', case when v_first.fingerprint = agent_state.rollback_fingerprint(p_namespace, p_scope, p_asked)
                                              then agent_state.rollback_report(v_first.scope_no, v_first.step) end);
  end if;
  select o.scope_no into v_scope_no from agent_state.scopes o where o.namespace = p_namespace and o.scope = p_scope;
  select c.step into v_head from agent_state.changes c where c.scope_no = v_scope_no order by c.step desc, c.position desc limit 1;
  if v_head is null then return null; end if;
  v_target := coalesce(p_asked, agent_state.step_before(v_scope_no, v_head));
  v_is_idle := not exists (select from agent_state.rollback_rows(v_scope_no, v_target) r
                            where not (r.was_deleted and agent_state.is_superseded(r.state_no, r.deleted, r.undone)));
  return json_build_object(
    'step', v_head::text, 'effectiveStep', agent_state.effective_step(v_scope_no, v_head)::text, 'targetStep', v_target::text,
    'targetQuarantined', exists (select from agent_state.quarantine q where q.scope_no = v_scope_no and q.step = v_target),
    'hold', exists (select from agent_state.holds x where x.scope_no = v_scope_no),
    'quarantines', coalesce((select json_agg(g::text order by g) from generate_series(least(v_target, v_head) + 1, v_head) g
                              where not exists (select from agent_state.quarantine q where q.scope_no = v_scope_no and q.step = g)), '[]'),
    'effects', agent_state.effects_since(v_scope_no, v_target, 'infinity'),
    'states', coalesce((select json_agg(json_build_object(
                  'id', r.id, 'type', r.type, 'action', case when x.ends then case when r.was_deleted then 'keep' else 'supersede' end
                                                           when r.was_deleted and r.kept then 'delete' when r.deleted then 'recreate' else 'restore' end,
                  'version', r.version::text, 'phase', r.phase, 'targetVersion', r.was_version::text, 'targetPhase', case when x.ends then r.phase else agent_state.phase_back(r.state_no, r.was_phase) end,
                  'supersededBy', case when x.ends and not r.was_deleted then agent_state.superseding_id(r.id, v_head + 1) end,
                  'digest', encode(r.was_digest, 'hex'), 'kept', r.kept, 'fenced', not x.ends and agent_state.is_fenced(r.state_no, r.phase), 'undone', case when v_is_idle or not x.ends then r.undone end) order by r.id)
                from agent_state.rollback_rows(v_scope_no, v_target) r,
                     lateral (select agent_state.is_superseded(r.state_no, r.deleted, r.undone) as ends) x), '[]'));
end $$;
