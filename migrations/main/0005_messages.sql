-- Changes on their way out to a message bus, and messages that came in and could not be applied.
-- breaking: no    nothing that was there changes
-- locks: none     creates only

-- How far the changes of each partition of scopes were sent; who sends them holds a lease by this database's clock.
create table agent_state.relays (
  partition   integer primary key,
  holder      text collate "C",
  epoch       bigint      not null default 0,
  lease_until timestamptz not null default '-infinity',
  xid         bigint      not null default 0,
  scope_no    bigint      not null default 0,
  step        bigint      not null default 0,
  position    integer     not null default 0
);
insert into agent_state.relays (partition) select generate_series(0, 15);

-- The services that send, so that each knows what its share is.
create table agent_state.relay_services (
  holder      text collate "C" primary key,
  alive_until timestamptz not null
);

comment on column agent_state.relays.partition is 'A scope belongs to partition scope_no % 16.';
comment on column agent_state.relays.position is 'With xid, scope_no and step: everything up to this place of the feed was sent.';

-- Messages that can never be applied as they are, each with the reason, until somebody sends them again or discards them.
create table agent_state.parked_messages (
  parked_no  bigint generated always as identity primary key,
  topic      text collate "C" not null,
  message_id text collate "C" not null,
  namespace  text collate "C" not null,
  message_group text collate "C",
  code       text        not null,
  detail     text        not null,
  attempts   integer     not null default 1,
  parked_at  timestamptz not null,
  tried_at   timestamptz not null,
  body       bytea       not null,
  constraint parked_once unique (topic, message_id)
);
create index parked_namespace on agent_state.parked_messages (namespace, parked_no);
