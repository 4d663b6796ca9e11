-- For the Data API: a read through its door, and where the copy stands (46_copy_standing.sql), in one snapshot. `q` is
-- {"fn": "list_states", "q": {...}, "position": ..., "namespace": [...], "scope": [...], "step": [...]}. Only doors of functions that every
-- reader may call and that change nothing are opened, whoever asks.
create or replace function agent_state_api.read_copy(q json)
returns json language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_q        json := agent_state.unwrapped(q);
  v_fn       name := v_q ->> 'fn' || '_json';
  v_standing json;
  v_answer   json;
begin
  if not exists (select from pg_proc p where p.pronamespace = 'agent_state_api'::regnamespace and p.proname = v_fn
                    and p.provolatile = 's' and has_function_privilege('agent_state_reader', p.oid, 'execute')) then
    raise exception 'read_copy opens no door %', v_fn using errcode = 'undefined_function';
  end if;
  select json_build_array(s.lineage, left(s.is_copy::text, 1), left(s.is_behind::text, 1), s.position)
    into v_standing
    from json_to_record(v_q) w("position" text, namespace text[], scope text[], step bigint[]),
         lateral agent_state_api.copy_standing(w.position, w.namespace, w.scope, w.step) s;
  execute format('select agent_state_api.%I($1)', v_fn) into v_answer using v_q -> 'q';
  return json_build_object('standing', v_standing, 'answer', v_answer);
end $$;
