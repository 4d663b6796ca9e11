-- A role of this database's own: who may write main may not touch what main is restored from.
do $$
begin
  if not exists (select from pg_roles where rolname = 'agent_state_rollback') then
    create role agent_state_rollback nologin;
  end if;
exception when duplicate_object or unique_violation then null;   -- another database's migration was faster
end $$;

-- So that a login that may not migrate can see that it need not.
grant usage on schema agent_state, agent_state_api to agent_state_rollback;
grant select on agent_state.migrations to agent_state_rollback;
grant execute on all functions in schema agent_state_api to agent_state_rollback;
