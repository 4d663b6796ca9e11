-- Why a state cannot be in one changeset with another, where neither is told its scope: they are in different ones,
-- and a changeset is one step of one scope. A state that is new begins one of its own. Null where nothing is wrong.
create or replace function agent_state.scope_fault(p_namespace text, p_id text, p_other text)
returns text language plpgsql stable as $$
begin
  return (select string_agg(format('%s %s scope %s', to_json(i.id), case when s.id is null then 'would begin' else 'is in' end,
                                   to_json(coalesce(s.scope, i.id))), ' and ' order by i.n)
            from unnest(array[p_id, p_other]) with ordinality i(id, n)
            left join agent_state.states s on s.namespace = p_namespace and s.id = i.id
          having count(distinct coalesce(s.scope, i.id)) > 1);
end $$;
