-- The lifecycle tables hold for SQL by hand as well: a phase moves only along a row of agent_state.transitions; along
-- one of a repair only in the functions that go back or repair, which carry the setting agent_state.repair. What is restored
-- (agent_state.restore) was legal when it was committed, and its history begins in its middle. Where tasks move (agent_state.tasks is
-- 'judged'), agent_state.write_tasks has looked at all of them at once. Whoever moves a task otherwise has its new phase in the index of phases.
--
-- After the row was written, as a trigger before it would lock and log each row that is updated, whatever its condition says.
create or replace function agent_state.guard_phase()
returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and new.is_scheduled then
    update agent_state.states s set is_scheduled = false where s.state_no = new.state_no;
  end if;
  -- A row that is made anew from its history says no more than that does.
  if current_setting('agent_state.repair', true) = 'fold' then return null; end if;
  if current_setting('agent_state.restore', true) = 'on' then return null; end if;
  if not exists (select from agent_state.transitions t
                  where t.type = new.type and t.to_phase = new.phase
                    and (t.via = 'change' or current_setting('agent_state.repair', true) = 'on')
                    and t.from_phase = case when tg_op = 'INSERT' or old.deleted then '' else coalesce(old.phase, '') end) then
    raise exception using errcode = 'PT422', message = 'ILLEGAL_TRANSITION',
      detail = format('a state of type %s may not go to phase %s', new.type, coalesce(new.phase, '(none)'));
  end if;
  return null;
end $$;

-- Losing the phase, changing the type and coming back from a tombstone are moves as well.
create or replace trigger phase_moves_are_legal after update of phase, type, deleted on agent_state.states
  for each row when ((new.phase is distinct from old.phase or new.type <> old.type
                      or (old.deleted and not new.deleted and new.phase is not null))
                     and current_setting('agent_state.tasks', true) is distinct from 'judged')
  execute function agent_state.guard_phase();

create or replace trigger first_phase_is_legal after insert on agent_state.states
  for each row when (new.phase is not null)
  execute function agent_state.guard_phase();
