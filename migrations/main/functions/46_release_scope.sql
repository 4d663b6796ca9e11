-- Lets a scope go on. False where there is no such scope.
create or replace function agent_state_api.release_scope(p_namespace text, p_scope text)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_scope_no bigint;
begin
  select o.scope_no into v_scope_no from agent_state.scopes o where o.namespace = p_namespace and o.scope = p_scope;
  if not found then return false; end if;
  delete from agent_state.holds x where x.scope_no = v_scope_no;
  insert into agent_state.gates values (v_scope_no, clock_timestamp())
  on conflict (scope_no) do update set changed_at = excluded.changed_at;
  return true;
end $$;
