-- Nobody but the owner touches a table, and nobody calls a function that was not granted: the grants come after this.
do $$
declare
  v_table regclass;
begin
  for v_table in select c.oid from pg_class c where c.relnamespace = 'agent_state'::regnamespace and c.relkind = 'r' and not c.relrowsecurity loop
    execute format('alter table %s enable row level security', v_table);
  end loop;
end $$;

revoke all on schema agent_state, agent_state_api from public;
revoke all on all tables in schema agent_state from public;
revoke execute on all functions in schema agent_state, agent_state_api from public;
