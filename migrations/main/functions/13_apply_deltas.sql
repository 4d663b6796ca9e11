-- What a delta does, one edit a row, in order: {"m": merge patch}, {"a": {pointer: [items]}}, both, or
-- {"p": [RFC 6902 operations]}, and before those a merge where they only set members of the document. A merge patch is an edit for each object in it, the outer ones first.
create or replace function agent_state.edits_of(p_delta json)
returns table (n bigint, op text, path text, source text, value json) language sql immutable as $$
  (with recursive merges(path, patch) as (
     select '', p_delta -> 'm' where p_delta -> 'm' is not null
     union all
     select m.path || '/' || replace(replace(e.key, '~', '~0'), '/', '~1'), e.value
       from merges m, json_each(case when json_typeof(m.patch) = 'object' then m.patch end) e where json_typeof(e.value) = 'object')
   select 0, 'merge', m.path, null, m.patch from merges m)
  union all
  select a.n - 1, 'append', a.key, null, a.value from json_each(p_delta -> 'a') with ordinality a(key, value, n)
  union all
  select p.n - 1, p.o ->> 'op', p.o ->> 'path', p.o ->> 'from', p.o -> 'value'
    from json_array_elements(p_delta -> 'p') with ordinality p(o, n)
$$;

-- Says which edit does not apply, and why.
create or replace function agent_state.refuse_edit(p_edit record, p_why text, p_code text default 'PT400')
returns void language plpgsql immutable as $$
begin
  raise exception using errcode = p_code,
    message = format('operation %s (%s %s) does not apply: %s', p_edit.n, p_edit.op, p_edit.path, p_why);
end $$;

-- The document after deltas, all of them, each whole; PT400 says which edit does not apply. Of the last one, that was
-- not accepted before: what it copies may have p_bytes in all (each copy could double the document), or PT400; and
-- nothing that it moves or copies may come to lie deeper than p_depth levels, or 22000.
create or replace function agent_state.apply_deltas(p_doc json, p_deltas json[], p_bytes integer default null, p_depth integer default null)
returns json language plpgsql immutable as $$
declare
  v_nodes  agent_state.json_node[] := array[row('a', null, array[btrim(p_doc::text, E' \n\r\t')])::agent_state.json_node];
  v_copied integer := 0;
  v_edit   record;
  v_step   text;
  v_path   text[];
  v_token  text;
  v_at     integer;   -- the node that holds what the path leads to; the document itself is in node 1
  v_slot   integer;   -- its place there, null where there is nothing
  v_item   text;      -- and the item itself
  v_size   integer;
  v_new    text;
  v_run    text[];    -- what is still to be appended
  v_grown  integer;   -- to this array
  v_where  text;      -- at this path
begin
  for v_nth in 1 .. cardinality(p_deltas) loop
    for v_edit in select * from agent_state.edits_of(p_deltas[v_nth]) loop
      v_new := v_edit.value::text;
      foreach v_step in array case v_edit.op when 'move' then '{take,add}' when 'copy' then '{read,add}' else array[v_edit.op] end loop
        if v_grown is not null and v_step <> 'merge' and (v_step <> 'append' or v_edit.path <> v_where) then
          v_nodes[v_grown].items := (v_nodes[v_grown]).items || v_run;
          v_grown := null;
        end if;

        v_at := 1;
        v_slot := 1;
        v_path := agent_state.pointer_tokens(case when v_step in ('take', 'read') then v_edit.source else v_edit.path end);
        foreach v_token in array v_path loop
          v_item := (v_nodes[v_at]).items[v_slot];
          if v_item is null or left(v_item, 1) not in ('{', '[') then
            perform agent_state.refuse_edit(v_edit, format('%L is below a place that holds nothing', v_token));
          elsif agent_state.node_of(v_item) is null then
            v_nodes[cardinality(v_nodes) + 1] := agent_state.json_node(v_item::json);
            v_nodes[v_at].items[v_slot] := left(v_item, 1) || '@' || cardinality(v_nodes);
            v_at := cardinality(v_nodes);
          else
            v_at := agent_state.node_of(v_item);
            if (v_nodes[v_at]).kind = 'r' then
              v_nodes[v_at] := agent_state.json_node(agent_state.json_text(v_nodes, v_item)::json);
            end if;
          end if;
          v_slot := case
            when (v_nodes[v_at]).kind = 'o' then array_position((v_nodes[v_at]).keys, to_json(v_token)::text || ':')
            when v_token ~ '^(0|[1-9][0-9]{0,8})$' and v_token::integer < cardinality((v_nodes[v_at]).items) then v_token::integer + 1 end;
        end loop;
        v_item := (v_nodes[v_at]).items[v_slot];

        if p_depth is not null and v_step = 'add' and v_edit.op <> 'add' and v_nth = cardinality(p_deltas) then
          v_copied := v_copied + case v_edit.op when 'copy' then octet_length(v_new) else 0 end;
          if v_copied > p_bytes then
            perform agent_state.refuse_edit(v_edit, format('the patch copies more than %s bytes', p_bytes));
          elsif cardinality(v_path) > cardinality(agent_state.pointer_tokens(v_edit.source))
                and agent_state.is_deeper(v_new::jsonb, agent_state.levels_below(v_edit.path, p_depth)) then
            perform agent_state.refuse_edit(v_edit, format('the document would be nested deeper than %s levels', p_depth), '22000');
          end if;
        end if;

        if v_step in ('take', 'read', 'remove', 'replace') and v_slot is null then
          perform agent_state.refuse_edit(v_edit, format('there is nothing at %L', v_token));
        elsif v_step = 'add' and v_at > 1 and ((v_nodes[v_at]).kind = 'a' or v_slot is null) then
          v_size := cardinality((v_nodes[v_at]).items);
          if (v_nodes[v_at]).kind = 'a' and v_slot is null and v_token not in ('-', v_size::text) then
            perform agent_state.refuse_edit(v_edit, format('%L is no place among the array''s %s items', v_token, v_size));
          end if;
          v_nodes[v_at] := agent_state.insert_item(v_nodes[v_at], coalesce(v_slot, v_size + 1), v_token, v_new);
        elsif v_step in ('add', 'replace') then
          v_nodes[v_at].items[v_slot] := v_new;
        elsif v_step in ('take', 'read', 'remove') then
          v_new := agent_state.json_text(v_nodes, v_item);
          if v_step = 'take' and starts_with(v_edit.path, v_edit.source || '/') then
            perform agent_state.refuse_edit(v_edit, 'nothing moves into itself');
          elsif v_step <> 'read' and v_at = 1 then
            v_nodes[1].items[1] := 'null';   -- a document is never nothing
          elsif v_step <> 'read' then
            v_nodes[v_at] := agent_state.remove_item(v_nodes[v_at], v_slot);
          end if;
        elsif v_step = 'test' then
          if agent_state.json_text(v_nodes, v_item)::jsonb is distinct from v_new::jsonb then
            perform agent_state.refuse_edit(v_edit, 'the document holds another value there');
          end if;
        elsif v_step = 'merge' and json_typeof(v_edit.value) = 'object' and starts_with(v_item, '{') then
          if agent_state.node_of(v_item) is null then
            v_nodes[cardinality(v_nodes) + 1] := agent_state.json_node(v_item::json);
            v_nodes[v_at].items[v_slot] := '{@' || cardinality(v_nodes);
          end if;
          v_at := coalesce(agent_state.node_of(v_item), cardinality(v_nodes));
          v_nodes[v_at] := agent_state.merge_node(v_nodes[v_at], v_edit.value);
        elsif v_step = 'merge' then
          v_nodes[v_at].items[v_slot] := agent_state.merge_json('{}', v_edit.value)::text;
        elsif v_step = 'append' and starts_with(v_item, '[') then
          if agent_state.node_of(v_item) is null then
            v_nodes[cardinality(v_nodes) + 1] := row('r', null, array_remove(array[agent_state.json_run(v_item)], ''))::agent_state.json_node;
            v_nodes[v_at].items[v_slot] := '[@' || cardinality(v_nodes);
          end if;
          v_at := coalesce(agent_state.node_of(v_item), cardinality(v_nodes));
          if (v_nodes[v_at]).kind = 'a' then v_nodes[v_at].kind := 'r'; end if;
          if v_grown is distinct from v_at then
            v_grown := v_at;
            v_where := v_edit.path;
            v_run := '{}';
          end if;
          if json_array_length(v_edit.value) > 0 then v_run := v_run || agent_state.json_run(v_new); end if;
        else
          perform agent_state.refuse_edit(v_edit, case v_step when 'append' then 'there is no array' else 'there is no such operation' end);
        end if;
      end loop;
    end loop;
  end loop;
  if v_grown is not null then v_nodes[v_grown].items := (v_nodes[v_grown]).items || v_run; end if;
  return agent_state.json_text(v_nodes, (v_nodes[1]).items[1])::json;
end $$;
