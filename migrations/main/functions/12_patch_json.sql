-- The tokens of a JSON Pointer (RFC 6901).
create or replace function agent_state.pointer_tokens(p_pointer text)
returns text[] language sql immutable as $$
  select case p_pointer when '' then '{}'::text[] when '/' then array['']   -- an empty text has no parts to split
    else (select array_agg(replace(replace(t, '~1', '/'), '~0', '~') order by n)
            from unnest(string_to_array(substr(p_pointer, 2), '/')) with ordinality u(t, n)) end
$$;

-- The value at a JSON Pointer; null where there is none. '-' is behind the last item: nothing.
create or replace function agent_state.json_at(p_doc json, p_path text[])
returns json language plpgsql immutable as $$
declare
  v_doc json := p_doc;
  v_key text;
begin
  foreach v_key in array p_path loop
    if json_typeof(v_doc) = 'array' then
      if v_key !~ '^(0|[1-9][0-9]{0,8})$' then return null; end if;
      v_doc := v_doc -> v_key::integer;
    elsif json_typeof(v_doc) = 'object' then
      v_doc := v_doc -> v_key;
    else
      return null;
    end if;
  end loop;
  return v_doc;
end $$;

-- RFC 6902 JSON Patch: all operations, or PT400 naming the one that does not apply. Copies could double
-- the document a thousand times over, so it may never grow beyond p_bytes on the way.
create or replace function agent_state.patch_json(p_doc json, p_operations json, p_bytes integer default 67108864)
returns json language plpgsql immutable as $$
declare
  v_doc   json := p_doc;
  v_op    record;
  v_path  text[];
  v_value json;
begin
  for v_op in
    select e.n - 1 as n, e.o ->> 'op' as op, e.o ->> 'path' as path, e.o ->> 'from' as source, e.o -> 'value' as value
      from json_array_elements(p_operations) with ordinality e(o, n) order by e.n
  loop
    v_path := agent_state.pointer_tokens(v_op.path);
    v_value := v_op.value;
    if v_op.op in ('move', 'copy') then
      v_value := agent_state.json_at(v_doc, agent_state.pointer_tokens(v_op.source));
      if v_value is null or (v_op.op = 'move' and starts_with(v_op.path, v_op.source || '/')) then
        raise exception using errcode = 'PT400',
          message = format('operation %s cannot take what is at %L', v_op.n, v_op.source);
      end if;
    end if;
    begin
      case v_op.op
        when 'test' then
          if agent_state.json_at(v_doc, v_path)::jsonb is distinct from v_value::jsonb then
            raise exception using errcode = 'PT400', message = 'the document holds another value there';
          end if;
        when 'move' then
          v_doc := agent_state.json_edit(v_doc, agent_state.pointer_tokens(v_op.source), 'remove', null);
          v_doc := agent_state.json_edit(v_doc, v_path, 'add', v_value);
        when 'copy' then
          if octet_length(v_doc::text) + octet_length(v_value::text) > p_bytes then
            raise exception using errcode = 'PT400', message = format('the document would grow beyond %s bytes', p_bytes);
          end if;
          v_doc := agent_state.json_edit(v_doc, v_path, 'add', v_value);
        else v_doc := agent_state.json_edit(v_doc, v_path, v_op.op, v_value);
      end case;
    exception when sqlstate 'PT400' then
      raise exception using errcode = 'PT400',
        message = format('operation %s (%s %s) does not apply: %s', v_op.n, v_op.op, v_op.path, sqlerrm);
    end;
  end loop;
  return v_doc;
end $$;
