-- What a sweep of tasks looks at each second: what is due, whatever there was before.
-- breaking: no    columns with defaults, and indexes
-- locks: workers, fenced_tasks    for a moment

alter table agent_state.workers add column ended_at timestamptz;
comment on column agent_state.workers.ended_at is 'When its lease was found to be over, and what it held was taken from it. Null: sweeps look at it.';

-- Of a number that never changes, so that a heartbeat writes to no index.
create index workers_living on agent_state.workers (worker_no) where ended_at is null;
create index workers_ended on agent_state.workers (ended_at) where ended_at is not null;

alter table agent_state.fenced_tasks add column cuts integer not null default 0, add column losses integer not null default 0;
comment on column agent_state.fenced_tasks.cuts is 'How often something newer cut in at once, which no sweep has counted yet.';
comment on column agent_state.fenced_tasks.losses is 'How often a worker came back past its lease and lost it, which no sweep has counted yet.';

create index fenced_tasks_at on agent_state.fenced_tasks (at);
create index fenced_tasks_uncounted on agent_state.fenced_tasks (worker_no) where cuts > 0 or losses > 0;
