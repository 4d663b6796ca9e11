-- The changes of a batch that find no state and may create it.
create or replace function agent_state.missing_states(
  p_namespace text[], p_id text[], p_op text[], p_expected bigint[])
returns integer[] language plpgsql stable as $$
begin
  return (select array_agg(i.n)
            from unnest(p_namespace, p_id, p_op, p_expected) with ordinality i(namespace, id, op, expected, n)
           where i.op = 'u' and coalesce(i.expected, 0) = 0
             and not exists (select from agent_state.states s where s.namespace = i.namespace and s.id = i.id));
end $$;

-- Makes the scopes that these changes will create a state in, where they are missing; returns the new ones.
create or replace function agent_state.make_scopes(p_missing integer[], p_namespace text[], p_id text[], p_scope text[])
returns bigint[] language plpgsql as $$
declare
  v_made bigint[];
begin
  with made as (
    insert into agent_state.scopes (namespace, scope)
    select distinct m.namespace, m.scope
      from unnest(p_missing) n, lateral (select p_namespace[n] as namespace, coalesce(p_scope[n], p_id[n]) as scope) m
     where not exists (select from agent_state.scopes o where o.namespace = m.namespace and o.scope = m.scope)
     order by 1, 2
    on conflict do nothing
    returning scope_no)
  select array_agg(scope_no) into v_made from made;
  return v_made;
end $$;

-- Whether units of a batch depend on each other, so that they must be committed one after the other:
-- the same state or key comes twice, or a scope is at a step only as long as no other unit moves it.
create or replace function agent_state.must_go_apart(
  p_unit integer[], p_namespace text[], p_id text[], p_type text[], p_scope text[], p_op text[], p_phase text[], p_expected bigint[],
  p_expected_step bigint[], p_key text[], p_missing integer[])
returns boolean language plpgsql immutable as $$
begin
  if p_unit[array_length(p_unit, 1)] = 1 then return false; end if;
  return p_expected_step is not null
    or exists (select from unnest(p_namespace, p_id, p_type, p_scope, p_op, p_phase, p_expected) with ordinality
                             i(namespace, id, type, scope, op, phase, expected, n)
                group by i.namespace, i.id
               having count(*) > 1 and (not bool_and(i.op = 'u' and i.phase is null and i.expected is null)
                                        or min(i.type) <> max(i.type) or count(i.scope) not in (0, count(*)) or min(i.scope) <> max(i.scope)
                                        or min(i.n) = any (p_missing)))
    or (p_key is not null and exists (
          select from unnest(p_unit, p_namespace, p_key) i(unit, namespace, key) where i.key is not null
           group by i.namespace, i.key having count(distinct i.unit) > 1));
end $$;

-- What a unit asks for, as a digest: the same key with another one is refused. Same at each change of a unit.
create or replace function agent_state.fingerprints(
  p_unit integer[], p_id text[], p_type text[], p_scope text[], p_op text[], p_body json[], p_phase text[], p_expected bigint[],
  p_expected_step bigint[], p_expires timestamptz[])
returns bytea[] language sql stable as $$
  select array_agg(sha256(convert_to(whole, 'UTF8')) order by n)
    from (select i.n, string_agg(concat_ws(E'\x1f', i.id, coalesce(i.type, ''), coalesce(i.scope, ''), i.op, i.body::text,
                   coalesce(i.phase, ''), coalesce(i.expected::text, ''), coalesce(i.expected_step::text, ''),
                   coalesce(extract(epoch from i.expires)::text, '')), E'\x1e')
                   over (partition by i.unit order by i.n rows between unbounded preceding and unbounded following) as whole
            from unnest(p_unit, p_id, p_type, p_scope, p_op, p_body, p_phase, p_expected, p_expected_step, p_expires)
                   with ordinality i(unit, id, type, scope, op, body, phase, expected, expected_step, expires, n)) u
$$;
