-- RFC 7396 merge patch; keys that stay keep their place, new ones come last.
create or replace function agent_state.merge_json(p_doc json, p_patch json)
returns json language plpgsql immutable as $$
declare
  v_doc  json := case when json_typeof(p_doc) = 'object' then p_doc else '{}'::json end;
  v_text text;
begin
  if json_typeof(p_patch) <> 'object' then return p_patch; end if;
  select string_agg(to_json(m.key)::text || ':' || case
           when m.patch is null then m.value::text
           when json_typeof(m.patch) <> 'object' then m.patch::text
           else agent_state.merge_json(m.value, m.patch)::text end, ',' order by m.n, m.patch_n)
    into v_text
    from (select coalesce(d.key, p.key) as key, d.value, d.n, p.value as patch, p.n as patch_n
            from json_each(v_doc) with ordinality d(key, value, n)
            full join json_each(p_patch) with ordinality p(key, value, n) on p.key = d.key) m
   where m.patch is null or json_typeof(m.patch) <> 'null';
  return ('{' || coalesce(v_text, '') || '}')::json;
end $$;

-- The same by one level of a tree: objects of the patch go where there is none yet; those that meet one are left.
-- A short patch goes key by key, which does not look at all the others; a long one goes at once.
create or replace function agent_state.merge_node(p_node agent_state.json_node, p_patch json)
returns agent_state.json_node language plpgsql immutable as $$
declare
  v_node  agent_state.json_node := p_node;
  v_key   text;
  v_value json;
  v_slot  integer;
begin
  if octet_length(p_patch::text) > 1000 then
    select coalesce(array_agg(m.key), '{}'), coalesce(array_agg(m.item), '{}') into v_node.keys, v_node.items
      from (select coalesce(d.key, p.key) as key, p.value as patch, case
                     when p.value is null or (json_typeof(p.value) = 'object' and starts_with(d.item, '{')) then d.item
                     else agent_state.merge_json('{}', p.value)::text end as item
              from unnest((p_node).keys, (p_node).items) with ordinality d(key, item, n)
              full join (select to_json(e.key)::text || ':' as key, e.value, e.n
                           from json_each(p_patch) with ordinality e(key, value, n)) p on p.key = d.key
             order by d.n, p.n) m
     where m.patch is null or json_typeof(m.patch) <> 'null';
    return v_node;
  end if;

  for v_key, v_value in select to_json(e.key)::text || ':', e.value from json_each(p_patch) e loop
    v_slot := array_position(v_node.keys, v_key);
    if json_typeof(v_value) = 'null' then
      if v_slot is not null then v_node := agent_state.remove_item(v_node, v_slot); end if;
    elsif v_slot is null then
      v_node.keys := v_node.keys || v_key;
      v_node.items := v_node.items || agent_state.merge_json('{}', v_value)::text;
    elsif json_typeof(v_value) <> 'object' or not starts_with(v_node.items[v_slot], '{') then
      v_node.items[v_slot] := agent_state.merge_json('{}', v_value)::text;
    end if;
  end loop;
  return v_node;
end $$;
