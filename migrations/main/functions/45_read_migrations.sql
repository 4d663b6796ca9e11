-- Which files made this schema, for programs that cannot look into tables: over the Data API.
create or replace function agent_state_api.read_migrations()
returns table (number integer, name text, checksum text, program text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select m.number, m.name, m.checksum, m.program from agent_state.migrations m order by m.number
$$;
