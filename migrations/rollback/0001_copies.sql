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
  pending_step  bigint         not null default 0,
  promoted_step bigint         not null default 0,
  whole_from    bigint         not null default 0,
  hold          boolean        not null default false,
  quarantined   int8multirange not null default '{}',
  gates_at      bigint         not null default 0,
  broken        text,
  rebuild       boolean        not null default false,
  followed_at   timestamptz    not null default clock_timestamp(),
  constraint scopes_name unique (namespace, scope),
  constraint one_step_behind check (promoted_step < pending_step or (promoted_step = 0 and pending_step = 0)),
  constraint only_what_is_broken_is_rebuilt check (broken is not null or not rebuild)
);

comment on column agent_state.scopes.whole_from is 'Main had forgotten what was before this step when the copy was made: earlier ones are not served.';
comment on column agent_state.scopes.gates_at is 'The snapshot of main that hold and quarantined come from: what an older one says is not believed.';
comment on column agent_state.scopes.broken is 'Why it is not served and nothing is promoted; null: it is whole.';
comment on column agent_state.scopes.rebuild is 'Whether it heals by being made anew from main; false: somebody has to look.';

create index scopes_held on agent_state.scopes (scope_no) where hold;
create index scopes_broken on agent_state.scopes (scope_no) where broken is not null;

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
  state_no bigint      not null,
  version  bigint      not null,
  at       timestamptz not null,
  position integer     not null,
  kind     "char"      not null,
  stored   "char"      not null,
  digest   bytea       not null,
  before   bytea,
  seal     bytea,
  phase    text collate "C",
  actor    text,
  cause    text,
  body     json,
  constraint changes_version primary key (state_no, version)
);
create index changes_step on agent_state.changes (scope_no, step);

comment on column agent_state.changes.before is 'The digest of the version before, that this one''s follows from; null: main had forgotten it when this was copied.';
comment on column agent_state.changes.seal is 'Where before is null, what proves the row instead: a digest that follows from its own.';

-- The one follower: where it is in main's feed, and until when it holds the lease.
create table agent_state.follower (
  only_one      boolean primary key default true check (only_one),
  lineage       text,
  xid           bigint  not null default 0,
  scope_no      bigint  not null default 0,
  step          bigint  not null default 0,
  position      integer not null default 0,
  settled_at    timestamptz,
  walk          json,
  walk_began    timestamptz,
  holder        text,
  epoch         bigint  not null default 0,
  until         timestamptz not null default '-infinity'
);
insert into agent_state.follower default values;

comment on column agent_state.follower.settled_at is 'By main''s clock: the copies hold all that was committed then.';
comment on column agent_state.follower.walk is 'Where the walk over all scopes of main goes on, which comes before the feed; null: it is done.';
