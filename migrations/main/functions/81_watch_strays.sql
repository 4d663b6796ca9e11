-- Whoever changes states, changes or scopes otherwise than through the functions of this schema leaves a note of it, so
-- that what was touched is looked at within a second. Those functions all run on a search path of their own, which nobody
-- else has who does not mean to: for them each trigger is one look at it, and fires nothing.
create or replace function agent_state.note_stray()
returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_old jsonb := case when tg_op in ('UPDATE', 'DELETE') then to_jsonb(old) - 'body' end;
  v_new jsonb := case when tg_op in ('UPDATE', 'INSERT') then to_jsonb(new) - 'body' end;
begin
  insert into agent_state.strays (what, scope_no, state_no, version)
  select tg_op || ' ' || tg_table_name, (r ->> 'scope_no')::bigint, (r ->> 'state_no')::bigint, (r ->> 'version')::bigint
    from (select v_old as r where v_old is not null
          union select v_new where v_new is not null and (v_old is null or (v_old ->> 'state_no') is distinct from (v_new ->> 'state_no'))) b;
  return null;
end $$;

create or replace function agent_state.note_truncate()
returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into agent_state.strays (what) values (tg_op || ' ' || tg_table_name);
  return null;
end $$;

do $$
declare
  v_table text;
begin
  foreach v_table in array array['states', 'changes', 'scopes'] loop
    execute format('create or replace trigger touched_by_hand after insert or update or delete on agent_state.%I for each row
                      when (current_setting(''search_path'') <> ''pg_catalog, pg_temp'') execute function agent_state.note_stray()', v_table);
    execute format('create or replace trigger emptied_by_hand after truncate on agent_state.%I for each statement
                      when (current_setting(''search_path'') <> ''pg_catalog, pg_temp'') execute function agent_state.note_truncate()', v_table);
  end loop;
end $$;
