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

-- Whether nothing leads out of a phase.
create or replace function agent_state.is_terminal(p_type text, p_phase text)
returns boolean language plpgsql stable as $$
begin
  return p_phase is not null and not exists (select from agent_state.transitions t where t.type = p_type and t.from_phase = p_phase);
end $$;

-- The states of a scope that are not as they were at a step, with what they were. Where history no longer
-- reaches so far back, `kept` is false and what they were is not known here.
create or replace function agent_state.rollback_rows(p_scope_no bigint, p_target bigint)
returns table (state_no bigint, id text, type text, version bigint, phase text, deleted boolean, digest bytea,
               was_version bigint, was_phase text, was_deleted boolean, was_digest bytea, kept boolean)
language plpgsql stable set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
begin
  return query
  select s.state_no, s.id, s.type, s.version, s.phase, s.deleted, s.digest, coalesce(w.version, 0), w.phase,
         w.version is null or (w.body is null and w.stored = 'f'), w.digest, w.version is not null or o.version = 1
    from agent_state.states s
    left join lateral (select c.version, c.phase, c.body, c.stored, c.digest from agent_state.changes c
                        where c.state_no = s.state_no and c.step <= p_target order by c.version desc limit 1) w on true
    left join lateral (select c.version from agent_state.changes c
                        where c.state_no = s.state_no and w.version is null order by c.version limit 1) o on true
   where s.scope_no = p_scope_no and s.version is distinct from w.version
   order by s.id;
end $$;

-- What a rollback would do, as JSON; null where the scope was never written to. p_target: null goes one step back.
--   {"step", "targetStep", "hold", "quarantined": [already], "quarantines": [steps it would], "rollbackOf": HEAD's own target, if it is one,
--    "states": [{"id", "type", "action": restore|recreate|delete, "version", "phase", "targetVersion", "targetPhase", "digest", "kept", "terminal"}]}
create or replace function agent_state_api.read_rollback_plan(p_namespace text, p_scope text, p_target bigint)
returns json language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_scope_no bigint;
  v_head     bigint;
  v_target   bigint;
begin
  select o.scope_no into v_scope_no from agent_state.scopes o where o.namespace = p_namespace and o.scope = p_scope;
  select c.step into v_head from agent_state.changes c where c.scope_no = v_scope_no order by c.step desc, c.position desc limit 1;
  if v_head is null then return null; end if;
  v_target := coalesce(p_target, agent_state.step_before(v_scope_no, v_head));
  return json_build_object(
    'step', v_head::text, 'targetStep', v_target::text,
    'hold', exists (select from agent_state.holds x where x.scope_no = v_scope_no),
    'quarantined', coalesce((select json_agg(q.step::text order by q.step) from agent_state.quarantine q where q.scope_no = v_scope_no), '[]'),
    'quarantines', coalesce((select json_agg(g::text order by g) from generate_series(v_target + 1, v_head) g
                              where not exists (select from agent_state.quarantine q where q.scope_no = v_scope_no and q.step = g)), '[]'),
    'rollbackOf', (select r.restored_step::text from agent_state.rollbacks r where r.scope_no = v_scope_no and r.step = v_head),
    'states', coalesce((select json_agg(json_build_object(
                  'id', r.id, 'type', r.type, 'action', case when r.was_deleted and r.kept then 'delete' when r.deleted then 'recreate' else 'restore' end,
                  'version', r.version::text, 'phase', r.phase, 'targetVersion', r.was_version::text, 'targetPhase', r.was_phase,
                  'digest', encode(r.was_digest, 'hex'), 'kept', r.kept,
                  'terminal', not r.deleted and agent_state.is_terminal(r.type, r.phase) and r.phase is distinct from r.was_phase))
                from agent_state.rollback_rows(v_scope_no, v_target) r), '[]'));
end $$;
