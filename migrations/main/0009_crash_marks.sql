-- What a task had come to whenever it lost its worker: only what is new since is progress.
-- breaking: no    a column that may be null
-- locks: tasks, for a moment

alter table agent_state.tasks add column crash_marks bytea[];
comment on column agent_state.tasks.crash_marks is 'What it had come to when it lost its workers, the last first: see progress_mark. Null: it lost none yet.';
comment on column agent_state.tasks.crashes is 'How often in a row its holder lost its lease and it had come to nothing new since the time before.';
