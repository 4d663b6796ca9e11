-- The rollback database: of every scope the newest good step older than HEAD, and HEAD pending.
-- breaking: no    the first schema
-- locks: none     creates only
--
-- It holds a copy of the log of changes, from each state's newest full copy at or before the promoted step up to
-- HEAD, with the digests that main chained: so it can prove by itself that what it holds is what was committed.
-- It names scopes and states by their names, as the numbers of main mean nothing once main is lost.

create schema if not exists agent_state;
create schema if not exists agent_state_api;

create table agent_state.meta (
  name  text collate "C" primary key,
  value text not null
);
insert into agent_state.meta values ('role', 'rollback');

-- pending_step: the newest step that was followed. promoted_step: the one that a rollback restores; 0: nothing existed.
create table agent_state.scopes (
  scope_no      bigint generated always as identity primary key,
  namespace     text collate "C" not null,
  scope         text collate "C" not null,
  pending_step  bigint      not null default 0,
  promoted_step bigint      not null default 0,
  hold          boolean     not null default false,
  quarantined   bigint[]    not null default '{}',
  -- Why nothing is promoted until the copy was made anew; null: it is whole.
  broken        text,
  followed_at   timestamptz not null default clock_timestamp(),
  constraint scopes_name unique (namespace, scope),
  constraint one_step_behind check (promoted_step < pending_step or (promoted_step = 0 and pending_step = 0))
);
create index scopes_waiting on agent_state.scopes (scope_no) where hold or broken is not null;

create table agent_state.states (
  state_no  bigint generated always as identity primary key,
  scope_no  bigint not null references agent_state.scopes,
  namespace text collate "C" not null,
  id        text collate "C" not null,
  type      text collate "C" not null,
  constraint states_id unique (namespace, id)
);
create index states_scope on agent_state.states (scope_no, id);

create table agent_state.changes (
  scope_no bigint      not null,
  step     bigint      not null,
  position integer     not null,
  state_no bigint      not null,
  version  bigint      not null,
  at       timestamptz not null,
  kind     "char"      not null,
  stored   "char"      not null,
  digest   bytea       not null,
  phase    text collate "C",
  actor    text,
  cause    text,
  body     json,
  constraint changes_version primary key (state_no, version)
);
create index changes_step on agent_state.changes (scope_no, step);

-- The one follower: where it is in main's feed, and until when it holds the lease.
create table agent_state.follower (
  only_one  boolean primary key default true check (only_one),
  lineage   text,
  xid       bigint not null default 0,
  scope_no  bigint not null default 0,
  step      bigint not null default 0,
  position  integer not null default 0,
  settled_at timestamptz,
  holder    text,
  epoch     bigint not null default 0,
  until     timestamptz not null default '-infinity'
);
insert into agent_state.follower default values;
