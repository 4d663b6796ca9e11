-- What is wrong with a changeset that came as JSON, before anything is looked up: its code and a sentence; null
-- where nothing is. The program checks more, and sooner; this is for those who call SQL.
create or replace function agent_state.changeset_fault(p_set jsonb)
returns text[] language plpgsql immutable as $$
declare
  c_word constant text := '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$';
  c_id   constant text := '^[^/[:cntrl:]]{1,200}$';
  c_bytes constant integer := 1048576;
  c_depth constant integer := 64;
  v_item jsonb;
  v_op   text;
  v_ids  text[] := '{}';
begin
  if jsonb_typeof(p_set) is distinct from 'object' or jsonb_typeof(p_set -> 'changes') is distinct from 'array' then
    return array['INVALID_REQUEST', 'a changeset is an object with an array "changes"'];
  end if;
  if jsonb_array_length(p_set -> 'changes') not between 1 and 1000 then
    return array['INVALID_REQUEST', 'a changeset has 1 to 1,000 changes'];
  end if;
  if exists (select from jsonb_object_keys(p_set) k
              where k <> all (array['namespace', 'scope', 'changes', 'expectedStep', 'actor', 'cause', 'idempotencyKey'])) then
    return array['UNKNOWN_FIELD', 'a changeset has namespace, scope, changes, expectedStep, actor, cause, idempotencyKey'];
  end if;
  if p_set ->> 'namespace' !~ c_word then return array['INVALID_NAMESPACE', format('%L is no namespace', p_set ->> 'namespace')]; end if;
  if p_set ->> 'scope' !~ c_id then return array['INVALID_SCOPE', format('%L is no scope', p_set ->> 'scope')]; end if;
  if p_set ->> 'expectedStep' !~ '^[0-9]{1,18}$' then return array['INVALID_STEP', 'expectedStep is a whole number from 0']; end if;

  for v_item in select value from jsonb_array_elements(p_set -> 'changes') loop
    v_op := coalesce(v_item ->> 'op', 'update');
    if jsonb_typeof(v_item) is distinct from 'object' or v_op <> all (array['update', 'merge', 'patch', 'append', 'delete']) then
      return array['INVALID_REQUEST', 'a change is an object whose op is update, merge, patch, append or delete'];
    end if;
    if exists (select from jsonb_object_keys(v_item) k
                where k <> all (array['op', 'id', 'type', 'data', 'patch', 'path', 'items', 'phase', 'expectedVersion', 'expiresAt'])) then
      return array['UNKNOWN_FIELD', 'a change has op, id, type, data, patch, path, items, phase, expectedVersion, expiresAt'];
    end if;
    if coalesce(v_item ->> 'id', '') !~ c_id or v_item ->> 'id' in ('.', '..') then
      return array['INVALID_ID', 'an id has 1 to 200 printable characters and no "/"'];
    end if;
    if v_item ->> 'id' = any (v_ids) then
      return array['INVALID_REQUEST', format('%L is named twice: one step does one thing to a state', v_item ->> 'id')];
    end if;
    v_ids := v_ids || (v_item ->> 'id');
    if v_op = 'update' and coalesce(v_item ->> 'type', '') !~ c_word then
      return array['INVALID_TYPE', 'a type has 1 to 64 of A-Z a-z 0-9 . _ -'];
    end if;
    if v_item ->> 'expectedVersion' !~ '^[0-9]{1,18}$' then
      return array['INVALID_VERSION', 'expectedVersion is a whole number from 0'];
    end if;
    if (v_op = 'update' and not v_item ? 'data') or (v_op in ('merge', 'patch') and not v_item ? 'patch') then
      return array['INVALID_REQUEST', 'an update has data; a merge and a patch have patch'];
    end if;
    if (v_op = 'patch' and jsonb_typeof(v_item -> 'patch') <> 'array')
       or (v_op = 'append' and (jsonb_typeof(v_item -> 'items') is distinct from 'array'
                                or coalesce(v_item ->> 'path', '?') !~ '^(/([^~]|~[01])*)?$')) then
      return array['INVALID_PATCH', 'a patch is an array of operations; an append has path, a JSON Pointer, and items, an array'];
    end if;
    if v_op = 'patch' and jsonb_array_length(v_item -> 'patch') > 1000 then
      return array['INVALID_PATCH', 'a patch has 1,000 operations at most'];
    end if;
    if v_op = 'patch' and exists (
         select from jsonb_array_elements(v_item -> 'patch') o
          where coalesce(o ->> 'op', '') <> all (array['add', 'remove', 'replace', 'move', 'copy', 'test'])
             or coalesce(o ->> 'path', '?') !~ '^(/([^~]|~[01])*)?$'
             or (o ->> 'op' in ('add', 'replace', 'test') and not o ? 'value')
             or (o ->> 'op' in ('move', 'copy') and coalesce(o ->> 'from', '?') !~ '^(/([^~]|~[01])*)?$')) then
      return array['INVALID_PATCH', 'an operation of a patch has op, path, and value or from (RFC 6902)'];
    end if;
    if octet_length(coalesce(v_item -> 'data', v_item -> 'patch', v_item -> 'items', 'null')::text) > c_bytes then
      return array['PAYLOAD_TOO_LARGE', format('more than %s bytes', c_bytes)];
    end if;
    if (case v_op when 'update' then agent_state.is_deeper(v_item -> 'data', c_depth)
                  when 'merge' then agent_state.is_deeper(v_item -> 'patch', c_depth)
                  when 'append' then agent_state.is_deeper(v_item -> 'items', agent_state.levels_below(v_item ->> 'path', c_depth))
                  when 'patch' then exists (select from jsonb_array_elements(v_item -> 'patch') o
                                             where agent_state.is_deeper(o -> 'value', agent_state.levels_below(o ->> 'path', c_depth))) end) then
      return array['INVALID_DATA', format('a document has %s levels at most', c_depth)];
    end if;
  end loop;
  return null;
end $$;
