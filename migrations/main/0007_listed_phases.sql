-- By which phase a state is listed: a column of its own, which stays as it is while a task is claimed and completed.
-- breaking: no    the columns fill themselves
-- locks: states, while it is written anew

-- Where one index of a table takes a new entry, all of them do. A task changes its phase twice at least, and that in five indexes was a
-- quarter of all that a task cost PostgreSQL.
alter table agent_state.states
  add column is_scheduled boolean not null default false,
  add column listed_phase text collate "C" generated always as (
    case when not is_scheduled or phase not in ('ready', 'working', 'completed') then phase end) stored;

comment on column agent_state.states.is_scheduled is 'It was pushed, and moved by the functions of tasks alone since: agent_state.tasks knows whether it is ready or being worked on.';

drop index agent_state.states_phase;
create index states_phase on agent_state.states (namespace, type, listed_phase, id) where listed_phase is not null;
