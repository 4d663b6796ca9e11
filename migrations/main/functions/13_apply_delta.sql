-- The document after a delta: {"m": merge patch}, {"a": {pointer: [items]}}, both, or {"p": [operations]}.
create or replace function agent_state.apply_delta(p_doc json, p_delta json, p_bytes integer default 67108864)
returns json language plpgsql immutable as $$
declare
  v_doc  json := p_doc;
  v_grow record;
begin
  if p_delta -> 'p' is not null then
    return agent_state.patch_json(v_doc, p_delta -> 'p', p_bytes);
  end if;
  if p_delta -> 'm' is not null then
    v_doc := agent_state.merge_json(v_doc, p_delta -> 'm');
  end if;
  if p_delta -> 'a' is not null then
    for v_grow in select key, value from json_each(p_delta -> 'a') loop
      v_doc := agent_state.json_edit(v_doc, agent_state.pointer_tokens(v_grow.key), 'append', v_grow.value);
    end loop;
  end if;
  return v_doc;
end $$;

-- Whether a delta may change the branch that an array is in otherwise than by appending to that array.
create or replace function agent_state.touches(p_delta json, p_array text)
returns boolean language sql immutable as $$
  select p_delta -> 'p' is not null
      or (p_delta -> 'm' is not null
          and (json_typeof(p_delta -> 'm') <> 'object'
               or p_delta -> 'm' -> (agent_state.pointer_tokens(p_array))[1] is not null))
$$;

-- The array that a delta appends to, where beside that it does no more than merge into other branches.
-- Such a delta needs no look at the document once the array is known to be one. Not where the path may lead
-- into an array at the root: there, a merge that names another branch replaces everything.
create or replace function agent_state.appends_to(p_delta json)
returns text language sql immutable as $$
  select case when count(*) = 1 and min(k) <> '' and min(k) !~ '^/[0-9]+(/|$)' and not agent_state.touches(p_delta, min(k)) then min(k) end
    from json_object_keys(coalesce(p_delta -> 'a', '{}')) k
$$;
