-- Makes the doors anew (85_json_doors.sql), after the grants: whoever may call a function may call its door.
do $$
declare
  c_json constant oid[] := array['json'::regtype, 'jsonb'::regtype];
  v_fn   pg_proc;
begin
  for v_fn in select * from pg_proc p where p.pronamespace = 'agent_state_api'::regnamespace and p.proname like '%\_json' loop
    execute format('drop function %s', v_fn.oid::regprocedure);
  end loop;
  -- The other functions that take JSON are doors themselves.
  for v_fn in select * from pg_proc p
               where p.pronamespace = 'agent_state_api'::regnamespace and not p.proargtypes::oid[] && c_json loop
    execute agent_state.json_door(v_fn);
    execute format('revoke execute on function agent_state_api.%I from public', v_fn.proname || '_json');
    execute (select string_agg(format('grant execute on function agent_state_api.%I to %I', v_fn.proname || '_json', g.rolname), '; ')
               from aclexplode(v_fn.proacl) x join pg_roles g on g.oid = x.grantee where g.rolname like 'agent\_state\_%');
  end loop;
end $$;
