-- Where this is a Supabase, it has roles of its own: the Data API logs in as `authenticator` and goes on as the role
-- of the caller's key. A secret key's is `service_role`, which may do what an operator may; a JWT may also name one of the
-- three roles of this schema itself. Who comes with a public key (`anon`, `authenticated`) gets nothing, whatever the
-- default privileges of the database say.
do $$
declare
  v_role text;
  v_fn   regprocedure;
begin
  for v_role in select rolname from pg_roles where rolname in ('anon', 'authenticated', 'service_role') loop
    execute format('revoke all on schema agent_state, agent_state_api from %I', v_role);
    execute format('revoke all on all tables in schema agent_state, agent_state_api from %I', v_role);
    execute format('revoke all on all sequences in schema agent_state, agent_state_api from %I', v_role);
    execute format('revoke all on all functions in schema agent_state, agent_state_api from %I', v_role);
  end loop;

  -- Not by membership: service_role does not inherit.
  if exists (select from pg_roles where rolname = 'service_role') then
    grant usage on schema agent_state_api to service_role;
    for v_fn in select distinct p.oid from pg_proc p, aclexplode(p.proacl) x join pg_roles g on g.oid = x.grantee
                 where p.pronamespace = 'agent_state_api'::regnamespace and g.rolname in ('agent_state_operator', 'agent_state_rollback') loop
      execute format('grant execute on function %s to service_role', v_fn);
    end loop;
  end if;

  for v_role in select r.rolname from pg_roles r join pg_roles a on a.rolname = 'authenticator' and not pg_has_role(a.oid, r.oid, 'member')
                 where r.rolname in ('agent_state_reader', 'agent_state_writer', 'agent_state_operator', 'agent_state_rollback') loop
    begin
      execute format('grant %I to authenticator', v_role);
    exception when unique_violation then null;   -- another database's migration was faster
    end;
  end loop;
end $$;
