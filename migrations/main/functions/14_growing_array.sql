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
returns text language plpgsql immutable as $$
begin
  if p_delta -> 'a' is null then return null; end if;   -- Most do not append: counting keys would cost them more than all the rest.
  return (select case when count(*) = 1 and min(k) <> '' and min(k) !~ '^/[0-9]+(/|$)' and not agent_state.touches(p_delta, min(k)) then min(k) end
            from json_object_keys(p_delta -> 'a') k);
end $$;
