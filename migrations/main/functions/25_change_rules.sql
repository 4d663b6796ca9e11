-- Why a move between phases is refused; null where it is legal. '' is the phase before creation.
-- In plpgsql, as the functions below that the commit calls: what is SQL would become part of its plan,
-- and be set up at every commit, also where nobody moves.
create or replace function agent_state.phase_fault(p_type text, p_from text, p_to text)
returns text language plpgsql stable as $$
begin
  if not exists (select from agent_state.transitions t where t.type = p_type and t.to_phase = p_to) then return 'INVALID_PHASE'; end if;
  if p_from = p_to or exists (select from agent_state.transitions t
                               where t.type = p_type and t.from_phase = p_from and t.to_phase = p_to and t.via = 'change') then
    return null;
  end if;
  return 'ILLEGAL_TRANSITION';
end $$;

-- The phase that a new state of a type starts in; null where the type has no lifecycle.
create or replace function agent_state.first_phase(p_type text)
returns text language plpgsql stable as $$
begin
  return (select t.to_phase from agent_state.transitions t where t.type = p_type and t.from_phase = '' and t.is_first);
end $$;

-- The array that a state's newest deltas do no more than append to, once this delta is among them.
create or replace function agent_state.array_after(p_array text, p_delta json)
returns text language sql stable as $$
  select coalesce(agent_state.appends_to(p_delta),
                  case when p_delta -> 'a' is null and not agent_state.touches(p_delta, p_array) then p_array end)
$$;

-- What a delta adds to the work of putting a document together: 0 where it joins a run of appends,
-- which costs a reader no more than the bytes it holds, however many there are; else 1, and 1 for each 32 operations:
-- one of an array with 10^5 items takes milliseconds.
create or replace function agent_state.delta_weight(p_array text, p_delta json)
returns integer language sql stable as $$
  select case when agent_state.array_after(p_array, p_delta) = coalesce(p_array, agent_state.appends_to(p_delta)) then 0
              else 1 + coalesce(json_array_length(p_delta -> 'p'), 0) / 32 end
$$;

-- Whether operations do no more than set members of the document itself: after a merge, which makes an object of it, they always apply.
create or replace function agent_state.sets_members(p_operations json)
returns boolean language plpgsql immutable as $$
begin
  if p_operations is null then return true; end if;
  return not exists (select from json_array_elements(p_operations) o
                      where o ->> 'op' is distinct from 'add' or o ->> 'path' !~ '^/[^/~]+$' or o -> 'value' is null);
end $$;

-- What a delta makes of a state: the full copy to keep (null: keep the delta), or the fault it has.
create or replace function agent_state.weigh_delta(
  p_state agent_state.states, p_delta json, p_data_bytes integer, p_data_depth integer)
returns agent_state.weight language plpgsql stable as $$
declare
  v_weight agent_state.weight;
  v_bytes integer := octet_length(p_delta::text);
  v_array text := agent_state.appends_to(p_delta);
  v_known boolean;
  v_cheap boolean;
begin
  v_known := (v_array is not null and p_state.append_path = v_array)
             or (p_delta -> 'm' is not null and p_delta -> 'a' is null and agent_state.sets_members(p_delta -> 'p'));
  v_weight.append_path := agent_state.array_after(p_state.append_path, p_delta);
  v_weight.added := agent_state.delta_weight(p_state.append_path, p_delta);
  v_cheap := p_state.delta_count + v_weight.added <= 32;
  if v_known and p_state.full_bytes + p_state.delta_bytes + v_bytes <= p_data_bytes
     and p_state.delta_bytes + v_bytes <= greatest(p_state.full_bytes, 4096)
     and v_cheap then
    return v_weight;
  end if;

  v_weight.full_copy := agent_state.document(p_state.state_no, p_state.version, p_delta, 2 * p_data_bytes, p_data_depth);
  if octet_length(v_weight.full_copy::text) > p_data_bytes then
    v_weight.fault := 'PAYLOAD_TOO_LARGE';
    v_weight.detail := format('the document would have %s bytes', octet_length(v_weight.full_copy::text));
  elsif p_state.delta_bytes + v_bytes <= greatest(p_state.full_bytes, 4096)
    and v_bytes < octet_length(v_weight.full_copy::text) and v_cheap then
    v_weight.full_copy := null;
  end if;
  return v_weight;
exception when sqlstate 'PT400' or sqlstate '22000' then
  v_weight.full_copy := null;
  v_weight.fault := case sqlstate when 'PT400' then 'INVALID_PATCH' else 'INVALID_DATA' end;
  v_weight.detail := sqlerrm;
  return v_weight;
end $$;

-- Another transaction changed what this one had looked at.
create or replace function agent_state.lost_race()
returns integer language plpgsql as $$
begin
  raise exception using errcode = 'PT503', message = 'another writer was faster; try again';
end $$;
