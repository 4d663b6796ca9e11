-- Which trace the call belonged to that made a change: it travels on with the message that tells of it.
-- breaking: no    a column that may be null
-- locks: changes, for a moment

alter table agent_state.changes add column traceparent text collate "C";

comment on column agent_state.changes.traceparent is 'W3C Trace Context; null: no trace that was recorded.';
