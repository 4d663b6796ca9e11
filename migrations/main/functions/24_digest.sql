-- What the digest of a change is made of, beside the digest before it.
create or replace function agent_state.digest_of(
  p_before bytea, p_namespace text, p_id text, p_type text, p_step bigint, p_version bigint,
  p_kind text, p_stored text, p_phase text, p_body json)
returns bytea language sql stable as $$
  select sha256(p_before || convert_to(concat(
    p_namespace, E'\x1f', p_id, E'\x1f', p_type, E'\x1f', p_step, E'\x1f', p_version, E'\x1f',
    p_kind, p_stored, p_phase, E'\x1f', p_body), 'UTF8'))
$$;

-- Chains digests of several changes that one statement makes to one state.
create or replace function agent_state.digest_next(
  p_chain bytea, p_before bytea, p_namespace text, p_id text, p_type text, p_step bigint, p_version bigint,
  p_kind text, p_stored text, p_phase text, p_body json)
returns bytea language plpgsql immutable as $$
begin
  return agent_state.digest_of(coalesce(p_chain, p_before), p_namespace, p_id, p_type, p_step, p_version, p_kind, p_stored, p_phase, p_body);
end $$;

create or replace aggregate agent_state.digest_chain(bytea, text, text, text, bigint, bigint, text, text, text, json)
  (sfunc = agent_state.digest_next, stype = bytea);
