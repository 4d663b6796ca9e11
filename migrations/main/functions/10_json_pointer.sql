-- Reference tokens as they are, of those that a JSON Pointer holds.
create or replace function agent_state.unescape_tokens(p_tokens text[])
returns text[] language sql immutable as $$
  select array_agg(replace(replace(t, '~1', '/'), '~0', '~') order by n) from unnest(p_tokens) with ordinality u(t, n)
$$;

-- The tokens of a JSON Pointer (RFC 6901).
create or replace function agent_state.pointer_tokens(p_pointer text)
returns text[] language sql immutable as $$
  select case when p_pointer = '' then '{}'
              when p_pointer = '/' then '{""}'   -- an empty text has no parts to split
              when position('~' in p_pointer) > 0 then agent_state.unescape_tokens(string_to_array(substr(p_pointer, 2), '/'))
              else string_to_array(substr(p_pointer, 2), '/') end
$$;

-- The levels that a document of so many has left for the value at a JSON Pointer.
create or replace function agent_state.levels_below(p_pointer text, p_levels integer)
returns integer language sql immutable as $$
  select greatest(p_levels - cardinality(agent_state.pointer_tokens(p_pointer)), 0)
$$;

-- Whether a value has more than so many levels of arrays and objects.
create or replace function agent_state.is_deeper(p_value jsonb, p_levels integer)
returns boolean language sql immutable strict as $$
  select jsonb_path_exists(p_value, format('strict $.**{%s} ? (@.type() == "object" || @.type() == "array")', p_levels)::jsonpath)
$$;
