-- A JSON document under edit, as a tree of nodes. Only what edits touch is taken apart, and only once, so that
-- many edits of a large document cost little more than one. What they do not touch keeps its text: jsonb would
-- lose the order of keys and the text of numbers.
--   kind   o: object; a: array; r: array of which an item may be a run of several
--   keys   of an object, each as JSON with its colon
--   items  each as JSON; '{@n' or '[@n' where it is taken apart itself: into node n
drop type if exists agent_state.json_node cascade;
create type agent_state.json_node as (kind "char", keys text[], items text[]);

-- An array or object taken apart by one level; the kind is null where the value holds nothing.
create or replace function agent_state.json_node(p_value json)
returns agent_state.json_node language plpgsql immutable as $$
declare
  v_node agent_state.json_node;
begin
  if json_typeof(p_value) = 'object' then
    v_node.kind := 'o';
    select coalesce(array_agg(to_json(key)::text || ':'), '{}'), coalesce(array_agg(value::text), '{}')
      into v_node.keys, v_node.items from json_each(p_value);
  elsif json_typeof(p_value) = 'array' then
    v_node.kind := 'a';
    v_node.items := array(select value::text from json_array_elements(p_value));
  end if;
  return v_node;
end $$;

-- The node that an item was taken apart into; null where it was not.
create or replace function agent_state.node_of(p_item text)
returns integer language sql immutable as $$
  select case when left(p_item, 2) in ('{@', '[@') then substr(p_item, 3)::integer end
$$;

-- The JSON of an item.
create or replace function agent_state.json_text(p_nodes agent_state.json_node[], p_item text)
returns text language plpgsql immutable as $$
declare
  v_node agent_state.json_node;
  v_text text;
  v_slot integer;
begin
  if agent_state.node_of(p_item) is null then return p_item; end if;
  v_node := p_nodes[agent_state.node_of(p_item)];
  v_text := array_to_string(v_node.items, ',');
  if position('{@' in v_text) > 0 or position('[@' in v_text) > 0 then   -- only then is it worth the look at each
    foreach v_slot in array array(select i.n from unnest(v_node.items) with ordinality i(item, n)
                                   where agent_state.node_of(i.item) is not null) loop
      v_node.items[v_slot] := agent_state.json_text(p_nodes, v_node.items[v_slot]);
    end loop;
    v_text := array_to_string(v_node.items, ',');
  end if;
  if v_node.kind <> 'o' then return '[' || v_text || ']'; end if;
  return '{' || coalesce((select string_agg(i.key || i.item, ',') from unnest(v_node.keys, v_node.items) i(key, item)), '') || '}';
end $$;

-- A node with one item more: of an array, before what is at the slot.
create or replace function agent_state.insert_item(p_node agent_state.json_node, p_slot integer, p_token text, p_item text)
returns agent_state.json_node language sql immutable as $$
  select case when (p_node).kind = 'o'
    then row('o', (p_node).keys || (to_json(p_token)::text || ':'), (p_node).items || p_item)::agent_state.json_node
    else row((p_node).kind, null, (p_node).items[:p_slot - 1] || p_item || (p_node).items[p_slot:])::agent_state.json_node end
$$;

-- A node with one item less.
create or replace function agent_state.remove_item(p_node agent_state.json_node, p_slot integer)
returns agent_state.json_node language sql immutable as $$
  select row((p_node).kind, (p_node).keys[:p_slot - 1] || (p_node).keys[p_slot + 1:],
             (p_node).items[:p_slot - 1] || (p_node).items[p_slot + 1:])::agent_state.json_node
$$;

-- The items of an array as one run, without the brackets around them.
create or replace function agent_state.json_run(p_array text)
returns text language sql immutable as $$
  select btrim(substr(p_array, 2, length(p_array) - 2), E' \n\r\t')
$$;
