-- The document of a state at a version: its newest full copy at or before it, and the deltas since, put together
-- at once. Or what one more delta would make of it: that one may have faults and limits, see apply_deltas.
create or replace function agent_state.document(
  p_state_no bigint, p_version bigint, p_next json default null, p_bytes integer default null, p_depth integer default null)
returns json language plpgsql stable set enable_seqscan = off set jit = off as $$
declare
  v_base   bigint;
  v_doc    json;
  v_deltas json[];
begin
  select c.version, c.body into v_base, v_doc
    from agent_state.changes c
   where c.state_no = p_state_no and c.version <= p_version and c.stored = 'f'
   order by c.version desc limit 1;
  select array_agg(d.body order by d.version) into v_deltas
    from agent_state.changes d
   where d.state_no = p_state_no and d.version > v_base and d.version <= p_version;
  if p_next is not null then v_deltas := v_deltas || p_next; end if;
  return case when v_deltas is null then v_doc else agent_state.apply_deltas(v_doc, v_deltas, p_bytes, p_depth) end;
end $$;
