-- States, the log of their changes, and who may touch them.
-- breaking: no    the first schema
-- locks: none     creates only

create schema if not exists agent_state;
create schema if not exists agent_state_api;

-- One row a fact about this database. `lineage` names the history that cursors belong to.
create table agent_state.meta (
  name  text collate "C" primary key,
  value text not null
);
insert into agent_state.meta values ('lineage', gen_random_uuid()::text);

-- What steps together and rolls back together. Rows are written once: the HEAD of a scope is its
-- newest row in agent_state.changes, so that writers never fight over a counter.
create table agent_state.scopes (
  scope_no  bigint generated always as identity primary key,
  namespace text collate "C" not null,
  scope     text collate "C" not null,
  constraint scopes_name unique (namespace, scope)
);

-- Scopes that accept neither writes nor promotion until somebody releases them.
create table agent_state.holds (
  scope_no bigint primary key references agent_state.scopes,
  reason   text,
  held_by  text,
  held_at  timestamptz not null default clock_timestamp()
);

-- Where every state stands. The row is small and none of its indexed columns changes with a
-- plain update, so updates stay on the page (HOT). The document itself is in agent_state.changes:
-- the full copy at base_version, and the deltas after it.
create table agent_state.states (
  state_no     bigint generated always as identity primary key,
  scope_no     bigint      not null,
  version      bigint      not null,
  step         bigint      not null,
  base_version bigint      not null,
  created_at   timestamptz not null,
  updated_at   timestamptz not null,
  expires_at   timestamptz,
  full_bytes   integer     not null default 0,
  delta_bytes  integer     not null default 0,
  delta_count  integer     not null default 0,
  deleted      boolean     not null,
  namespace    text collate "C" not null,
  id           text collate "C" not null,
  type         text collate "C" not null,
  scope        text collate "C",
  phase        text collate "C",
  append_path  text,
  digest       bytea       not null,
  constraint states_id unique (namespace, id),
  constraint version_counts_up check (version >= base_version)
) with (fillfactor = 50);

comment on column agent_state.states.version is '0: reserved by a create that is still under way; never visible.';
comment on column agent_state.states.scope is 'null: its own id is its scope.';
comment on column agent_state.states.append_path is
  'The array that the newest changes only appended to: known to be an array, so that the next append need not read the document.';

create index states_type on agent_state.states (namespace, type, id);
create index states_scope on agent_state.states (scope_no, id);
create index states_phase on agent_state.states (namespace, type, phase, id) where phase is not null;
create index states_expiry on agent_state.states (expires_at) where expires_at is not null and not deleted;

-- History and feed in one append-only log: one row for what one step did to one state.
-- feed_xid is the writing transaction's id, raised to that of the scope's step before where that is
-- higher: sorted by it, each scope is in step order, and a row below the snapshot's horizon can
-- never be joined later by one that sorts before it.
create table agent_state.changes (
  feed_xid  xid8        not null,
  scope_no  bigint      not null,
  step      bigint      not null,
  state_no  bigint      not null,
  version   bigint      not null,
  at        timestamptz not null,
  position  integer     not null,
  writer    integer     not null,
  kind      "char"      not null,
  stored    "char"      not null,
  digest    bytea       not null,
  phase     text collate "C",
  actor     text,
  cause     text,
  idempotency_key text,
  body      json,
  constraint changes_version unique (state_no, version),
  constraint changes_step unique (scope_no, step, position),
  constraint kind_is_known check (kind in ('u', 'd', 'r', 'p')),
  constraint stored_is_known check (stored in ('f', 'd'))
);

comment on column agent_state.changes.writer is 'Which process wrote it: a process need not be told its own changes. 0: nobody in particular.';
comment on column agent_state.changes.kind is 'u update, d delete, r rollback, p repair';
comment on column agent_state.changes.stored is 'f: body is the document; d: body is the delta from the version before';

create index changes_feed on agent_state.changes (feed_xid, scope_no, step, position);

-- The first answer to each idempotency key.
create table agent_state.idempotency_keys (
  namespace   text collate "C" not null,
  key         text collate "C" not null,
  scope_no    bigint      not null,
  step        bigint      not null,
  fingerprint bytea       not null,
  at          timestamptz not null,
  primary key (namespace, key)
);
create index idempotency_keys_age on agent_state.idempotency_keys (at);

-- The legal moves of every lifecycle; `from_phase` '' is creation. Installed by the program.
create table agent_state.transitions (
  type       text collate "C" not null,
  from_phase text collate "C" not null,
  to_phase   text collate "C" not null,
  via        text collate "C" not null,
  is_first   boolean not null default false,
  primary key (type, from_phase, to_phase)
);

-- What weighing a delta finds: the full copy to keep instead (null: keep the delta), or its fault.
create type agent_state.weight as (full_copy json, fault text, detail text);
