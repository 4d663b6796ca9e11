-- One edit inside a JSON document, its key order and number texts kept: what jsonb would lose.
-- p_edit: add, replace, remove, append. A path that does not apply raises PT400.
create or replace function agent_state.json_edit(p_doc json, p_path text[], p_edit text, p_value json)
returns json language plpgsql immutable as $$
declare
  v_kind  text := json_typeof(p_doc);
  v_key   text := p_path[1];
  v_rest  text[] := p_path[2:];
  v_leaf  boolean := cardinality(p_path) = 1 and p_edit <> 'append';
  v_index integer;
  v_count integer;
  v_found boolean;
  v_text  text;
begin
  if cardinality(p_path) = 0 then
    if p_edit = 'remove' then return 'null'; end if;
    if p_edit <> 'append' then return p_value; end if;
    if v_kind is distinct from 'array' then
      raise exception using errcode = 'PT400', message = 'there is no array to append to';
    end if;
    if json_array_length(p_value) = 0 then return p_doc; end if;
    if json_array_length(p_doc) = 0 then return p_value; end if;
    return (rtrim(left(rtrim(p_doc::text, E' \n\r\t'), -1), E' \n\r\t') || ','
            || substr(ltrim(p_value::text, E' \n\r\t'), 2))::json;
  end if;

  if v_kind = 'object' then
    v_found := exists (select from json_object_keys(p_doc) k where k = v_key);
    if not v_found and not (v_leaf and p_edit = 'add') then
      raise exception using errcode = 'PT400', message = format('there is nothing at key %L', v_key);
    end if;
    select string_agg(to_json(e.key)::text || ':' || case
             when e.key <> v_key then e.value::text
             when v_leaf then p_value::text
             else agent_state.json_edit(e.value, v_rest, p_edit, p_value)::text end, ',' order by e.n)
      into v_text
      from json_each(p_doc) with ordinality e(key, value, n)
     where not (v_leaf and p_edit = 'remove' and e.key = v_key);
    if not v_found then
      v_text := concat_ws(',', v_text, to_json(v_key)::text || ':' || p_value::text);
    end if;
    return ('{' || coalesce(v_text, '') || '}')::json;
  end if;

  if v_kind is distinct from 'array' then
    raise exception using errcode = 'PT400', message = format('%L is below a value that holds nothing', v_key);
  end if;
  v_count := json_array_length(p_doc);
  if v_key = '-' and v_leaf and p_edit = 'add' then
    return agent_state.json_edit(p_doc, '{}', 'append', ('[' || p_value::text || ']')::json);
  end if;
  if v_key !~ '^(0|[1-9][0-9]{0,8})$' then
    raise exception using errcode = 'PT400', message = format('%L is no index of an array', v_key);
  end if;
  v_index := v_key::integer;
  if v_index > v_count or (v_index = v_count and not (v_leaf and p_edit = 'add')) then
    raise exception using errcode = 'PT400', message = format('index %s is beyond the array''s %s items', v_key, v_count);
  end if;
  select string_agg(case
           when e.n - 1 <> v_index then e.value::text
           when v_leaf and p_edit = 'add' then p_value::text || ',' || e.value::text
           when v_leaf then p_value::text
           else agent_state.json_edit(e.value, v_rest, p_edit, p_value)::text end, ',' order by e.n)
    into v_text
    from json_array_elements(p_doc) with ordinality e(value, n)
   where not (v_leaf and p_edit = 'remove' and e.n - 1 = v_index);
  if v_leaf and p_edit = 'add' and v_index = v_count then
    v_text := concat_ws(',', v_text, p_value::text);
  end if;
  return ('[' || coalesce(v_text, '') || ']')::json;
end $$;
