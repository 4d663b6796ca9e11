-- Where the feed was when a state last changed: so that whoever knows the place of a scope's newest
-- state can prove the scope's HEAD by one look at it.
-- breaking: no    a column with a default
-- locks: states, for a moment

alter table agent_state.states add column feed_xid xid8 not null default '0';

comment on column agent_state.states.feed_xid is 'feed_xid of its newest change; 0: from before this was kept.';
comment on column agent_state.states.version is '1 and up; counts the changes of this state.';

-- And how a kept delta is booked: the array that it and those before it only append to, and the work it adds.
alter type agent_state.weight add attribute append_path text, add attribute added integer;
