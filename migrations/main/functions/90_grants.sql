-- Three roles that cannot log in; a login is made a member of what it may do. Nobody but the owner
-- touches a table: all goes through functions that run as their owner.
do $$
declare
  v_role text;
begin
  foreach v_role in array array['agent_state_reader', 'agent_state_writer', 'agent_state_operator'] loop
    if not exists (select from pg_roles where rolname = v_role) then
      begin
        execute format('create role %I nologin', v_role);
      exception when duplicate_object or unique_violation then null;   -- another database's migration was faster
      end;
    end if;
  end loop;
end $$;

-- So that a login that may not migrate can see that it need not.
grant usage on schema agent_state to agent_state_reader, agent_state_writer, agent_state_operator;
grant select on agent_state.migrations to agent_state_reader, agent_state_writer, agent_state_operator;

grant usage on schema agent_state_api to agent_state_reader, agent_state_writer, agent_state_operator;
grant execute on function
  agent_state_api.read_states, agent_state_api.read_version, agent_state_api.list_states, agent_state_api.read_history,
  agent_state_api.read_scope, agent_state_api.read_rollback_plan, agent_state_api.read_scope_states, agent_state_api.read_step, agent_state_api.feed_bounds,
  agent_state_api.read_feed, agent_state_api.foreign_changes, agent_state_api.read_document, agent_state_api.verify_state, agent_state_api.get,
  agent_state_api.describe_server, agent_state_api.read_migrations, agent_state_api.copy_standing, agent_state_api.read_copy,
  agent_state_api.feed_page, agent_state_api.gates_changed, agent_state_api.feed_backlog, agent_state_api.copy_log,
  agent_state_api.read_tasks, agent_state_api.read_stack, agent_state_api.survey_stacks,
  agent_state_api.read_relay, agent_state_api.relay_backlog, agent_state_api.read_rollback, agent_state_api.read_parked, agent_state_api.parked_figures,
  agent_state_api.state_digests, agent_state_api.digests_of, agent_state_api.digests_at, agent_state_api.scope_heads,
  agent_state_api.scopes_after, agent_state_api.scope_versions, agent_state_api.check_feed
  to agent_state_reader, agent_state_writer, agent_state_operator;
grant execute on function
  agent_state_api.commit_batch, agent_state_api.commit, agent_state_api.expired_states,
  agent_state_api.push_tasks, agent_state_api.claim_tasks, agent_state_api.report_tasks, agent_state_api.heartbeat, agent_state_api.end_leases, agent_state_api.sweep_tasks,
  agent_state_api.prune_tasks, agent_state_api.cancel_task, agent_state_api.answer_task, agent_state_api.retry_task, agent_state_api.record_effect,
  agent_state_api.lease_relays, agent_state_api.release_relays, agent_state_api.advance_relays, agent_state_api.park_message,
  agent_state_api.drop_parked
  to agent_state_writer, agent_state_operator;
grant execute on function
  agent_state_api.prune_history, agent_state_api.adopt_history, agent_state_api.rollback_scope, agent_state_api.hold_scope,
  agent_state_api.release_scope,
  agent_state_api.check_states, agent_state_api.check_these,
  agent_state_api.scope_state_numbers, agent_state_api.read_strays, agent_state_api.newest_states, agent_state_api.settle_strays,
  agent_state_api.missing_versions,
  agent_state_api.record_findings, agent_state_api.list_findings, agent_state_api.count_findings, agent_state_api.resolve_findings,
  agent_state_api.release_checked, agent_state_api.quarantine_step, agent_state_api.repair_row, agent_state_api.restore_change,
  agent_state_api.suspect_tasks, agent_state_api.repair_task
  to agent_state_operator;
