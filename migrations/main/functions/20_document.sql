-- The document of a state at a version: its newest full copy at or before it, and the deltas since.
--
-- While deltas only append to one array and merge into other branches, the array's branch is set
-- aside, the merges go to what is left, and all the items are appended at once: a conversation of a
-- thousand turns is put together once, not a thousand times.
create or replace function agent_state.document(p_state_no bigint, p_version bigint)
returns json language plpgsql stable set enable_seqscan = off set jit = off as $$
declare
  v_base   bigint;
  v_doc    json;
  v_array  text;     -- the array that is growing; null outside a run
  v_path   text[];
  v_branch json;
  v_items  text[];
  v_delta  record;
begin
  select c.version, c.body into v_base, v_doc
    from agent_state.changes c
   where c.state_no = p_state_no and c.version <= p_version and c.stored = 'f'
   order by c.version desc limit 1;

  for v_delta in
    select body, agent_state.appends_to(body) as grows
      from (select c.body from agent_state.changes c
             where c.state_no = p_state_no and c.version > v_base and c.version <= p_version
             order by c.version) d
    union all select null, null
  loop
    if v_array is not null and (v_delta.body is null or agent_state.touches(v_delta.body, v_array)
         or (v_delta.body -> 'a' is not null and v_delta.grows is distinct from v_array)) then
      v_branch := agent_state.json_edit(v_branch, v_path[2:], 'append', ('[' || array_to_string(v_items, ',') || ']')::json);
      v_doc := agent_state.json_edit(v_doc, v_path[1:1], 'replace', v_branch);
      v_array := null;
    end if;
    exit when v_delta.body is null;
    if v_array is null and v_delta.grows is not null and json_typeof(v_doc) = 'object' then
      v_array := v_delta.grows;
      v_path := agent_state.pointer_tokens(v_array);
      v_branch := v_doc -> v_path[1];
      v_doc := agent_state.json_edit(v_doc, v_path[1:1], 'replace', '0');
      v_items := '{}';
    end if;
    if v_array is null then
      v_doc := agent_state.apply_delta(v_doc, v_delta.body);
    else
      if v_delta.body -> 'm' is not null then
        v_doc := agent_state.merge_json(v_doc, v_delta.body -> 'm');
      end if;
      if v_delta.grows is not null then
        v_items := v_items || array(select i::text from json_array_elements(v_delta.body -> 'a' -> v_array) i);
      end if;
    end if;
  end loop;
  return v_doc;
end $$;
