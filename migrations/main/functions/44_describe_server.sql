-- Which version of PostgreSQL this is.
create or replace function agent_state_api.describe_server()
returns table (version text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select current_setting('server_version')
$$;
