-- The same commit for callers that send JSON (the Data API, other languages): one changeset.
--   {namespace?, scope?, changes: [{op?, id, type?, data?, patch?, path?, items?, phase?, expectedVersion?, expiresAt?}],
--    expectedStep?, actor?, cause?, idempotencyKey?}
-- Answers {scope, step, changes: [{id, type, version, phase, digest}], replayed}, 64-bit numbers as text.
-- A refusal raises PT4xx with the code in the message and the change it is about in the detail.
create or replace function agent_state_api.commit(p_changeset jsonb)
returns jsonb language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_set     jsonb := case jsonb_typeof(p_changeset) when 'string' then (p_changeset #>> '{}')::jsonb else p_changeset end;
  v_space   text := coalesce(v_set ->> 'namespace', 'default');
  v_fault   text[] := agent_state.changeset_fault(v_set);
  v_rows    jsonb;
  v_refusal jsonb;
begin
  if v_fault is not null then
    raise exception using errcode = case v_fault[1] when 'PAYLOAD_TOO_LARGE' then 'PT413' else 'PT400' end,
      message = v_fault[1], detail = v_fault[2];
  end if;
  select jsonb_agg(to_jsonb(r) order by r.n) into v_rows
    from (select distinct on (b.n) b.*
            from (select array_agg(1 order by n) as unit, array_agg(v_space order by n) as namespace, array_agg(c ->> 'id' order by n) as id,
                         array_agg(c ->> 'type' order by n) as type, array_agg(v_set ->> 'scope' order by n) as scope,
                         array_agg(case coalesce(c ->> 'op', 'update') when 'update' then 'u' when 'delete' then 'd' else 'c' end order by n) as op,
                         array_agg(case coalesce(c ->> 'op', 'update')
                             when 'update' then (c -> 'data')::json
                             when 'merge' then json_build_object('m', c -> 'patch')
                             when 'patch' then json_build_object('p', c -> 'patch')
                             when 'append' then json_build_object('a', json_build_object(c ->> 'path', c -> 'items')) end order by n) as body,
                         array_agg(c ->> 'phase' order by n) as phase, array_agg((c ->> 'expectedVersion')::bigint order by n) as expected,
                         array_agg((v_set ->> 'expectedStep')::bigint order by n) as expected_step, array_agg(v_set ->> 'actor' order by n) as actor,
                         array_agg(v_set ->> 'cause' order by n) as cause, array_agg(v_set ->> 'idempotencyKey' order by n) as key,
                         array_agg((c ->> 'expiresAt')::timestamptz order by n) as expires
                    from jsonb_array_elements(v_set -> 'changes') with ordinality e(c, n)) a,
                 agent_state_api.commit_batch(a.unit, a.namespace, a.id, a.type, a.scope, a.op, a.body, a.phase, a.expected, null,
                                              a.expected_step, a.actor, a.cause, a.key, a.expires, 1048576)
                   with ordinality b(n, code, detail, type, scope, version, step, phase, digest, created, at, place, nth)
           order by b.n, b.nth desc) r;

  select r into v_refusal from jsonb_array_elements(v_rows) r
   where r ->> 'code' not in ('UNIT_REFUSED', 'REPLAYED') limit 1;
  if v_refusal is not null then
    raise exception using message = v_refusal ->> 'code', detail = v_refusal::text, errcode = case v_refusal ->> 'code'
      when 'STATE_NOT_FOUND' then 'PT404' when 'GONE' then 'PT410' when 'PAYLOAD_TOO_LARGE' then 'PT413'
      when 'ILLEGAL_TRANSITION' then 'PT422' when 'IDEMPOTENCY_KEY_REUSED' then 'PT422' when 'SCOPE_ON_HOLD' then 'PT423'
      when 'VERSION_CONFLICT' then 'PT409' when 'STEP_CONFLICT' then 'PT409' when 'ALREADY_EXISTS' then 'PT409' else 'PT400' end;
  end if;
  return (select jsonb_build_object('scope', v_rows -> 0 ->> 'scope', 'step', v_rows -> 0 ->> 'step',
            'replayed', v_rows -> 0 ->> 'code' is not distinct from 'REPLAYED',
            'changes', jsonb_agg(jsonb_build_object('id', r.id, 'type', r.type, 'version', r.version::text, 'phase', r.phase,
                                                    'digest', encode(r.digest, 'hex'))))
            from agent_state_api.read_step(v_space, v_rows -> 0 ->> 'scope', (v_rows -> 0 ->> 'step')::bigint) r);
end $$;

-- A state as JSON: {"id": ...}, also {"namespace", "version"}; null where there is none. STABLE: works over GET.
create or replace function agent_state_api.get(q jsonb)
returns jsonb language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object('namespace', r.namespace, 'id', r.id, 'type', r.type, 'scope', r.scope, 'version', r.version::text,
           'step', r.step::text, 'phase', r.phase, 'digest', encode(r.digest, 'hex'), 'deleted', r.deleted, 'data', r.data,
           'updatedAt', r.updated_at)
    from (select namespace, id, type, scope, version, step, phase, digest, deleted, data, updated_at
            from agent_state_api.read_states(array[coalesce(q ->> 'namespace', 'default')], array[q ->> 'id'])
           where q ->> 'version' is null
          union all
          select namespace, id, type, scope, version, step, phase, digest, deleted, data, updated_at
            from agent_state_api.read_version(coalesce(q ->> 'namespace', 'default'), q ->> 'id', (q ->> 'version')::bigint)
           where q ->> 'version' is not null) r
$$;
