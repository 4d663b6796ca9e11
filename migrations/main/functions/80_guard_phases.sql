-- The lifecycle tables hold for SQL by hand as well: a phase moves only along a row of agent_state.transitions.
create or replace function agent_state.guard_phase()
returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  -- A row that is made anew from its history says no more than that does.
  if current_setting('agent_state.repair', true) = 'fold' then return new; end if;
  if current_setting('agent_state.repair', true) = 'on' then
    -- Going back follows no lifecycle, but what is over stays over, and no phase is invented.
    if (tg_op = 'INSERT' or (new.type = old.type and (old.deleted or not agent_state.is_terminal(old.type, old.phase))))
       and (new.phase is null or exists (select from agent_state.transitions t where t.type = new.type and t.to_phase = new.phase)) then
      return new;
    end if;
  elsif exists (select from agent_state.transitions t
                 where t.type = new.type and t.to_phase = new.phase
                   and t.from_phase = case when tg_op = 'INSERT' or old.deleted then '' else coalesce(old.phase, '') end) then
    return new;
  end if;
  raise exception using errcode = 'PT422', message = 'ILLEGAL_TRANSITION',
    detail = format('a state of type %s may not go to phase %s', new.type, coalesce(new.phase, '(none)'));
end $$;

-- Losing the phase, changing the type and coming back from a tombstone are moves as well.
create or replace trigger phase_moves_are_legal before update of phase, type, deleted on agent_state.states
  for each row when (new.phase is distinct from old.phase or new.type <> old.type
                     or (old.deleted and not new.deleted and new.phase is not null))
  execute function agent_state.guard_phase();

create or replace trigger first_phase_is_legal before insert on agent_state.states
  for each row when (new.phase is not null)
  execute function agent_state.guard_phase();
