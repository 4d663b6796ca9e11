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
