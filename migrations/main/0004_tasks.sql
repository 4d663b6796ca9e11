-- Tasks: in which order those of a stack run, who works on them until when, what they wait for, what they did outside.
-- breaking: no    creates, and makes one key of states anew as it was
-- locks: states, while its key is made anew

-- Who works. A process that starts again under its name is another incarnation, and another holder.
create table agent_state.workers (
  worker_no   bigint generated always as identity primary key,
  namespace   text collate "C" not null,
  worker      text collate "C" not null,
  incarnation text collate "C" not null,
  lease_ms    integer     not null,
  lease_until timestamptz not null,
  constraint workers_name unique (namespace, worker, incarnation)
) with (fillfactor = 50);

comment on column agent_state.workers.lease_until is 'One lease for all that it works on, by the clock of the database: who is past it can change nothing.';

-- One row a stack, which is a scope with tasks. It is their lock: whoever changes a task holds its stack's row.
create table agent_state.stacks (
  stack_no    bigint primary key references agent_state.scopes,
  namespace   text collate "C" not null,
  working_no  bigint,
  ready_kind  text collate "C",
  ready_since timestamptz,
  unsettled   boolean not null default false
) with (fillfactor = 50);

comment on column agent_state.stacks.working_no is 'The one task of it that a worker holds.';
comment on column agent_state.stacks.ready_kind is 'Of what kind the task is that is next; null where none may be claimed.';
comment on column agent_state.stacks.unsettled is 'Its tasks were moved past the functions of tasks: the next sweep looks at it.';

create index stacks_ready on agent_state.stacks (namespace, ready_since) where ready_since is not null;
create index stacks_ready_kind on agent_state.stacks (namespace, ready_kind, ready_since) where ready_since is not null;
create index stacks_unsettled on agent_state.stacks (stack_no) where unsettled;

create sequence agent_state.task_seq;

-- What scheduling needs of each task; what it is about is its state, agent_state.states, of the same number. A task that
-- ended keeps its row, and is in no index but those of its number and its parent.
create table agent_state.tasks (
  task_no       bigint  primary key,
  stack_no      bigint  not null,
  seq           bigint,
  turn          bigint,
  epoch         bigint  not null default 0,
  worker_no     bigint,
  parent_no     bigint,
  run_at        timestamptz,
  wait_until    timestamptz,
  deadline      timestamptz,
  due_at        timestamptz generated always as (least(run_at, wait_until, deadline)) stored,
  ended_at      timestamptz,
  priority      integer not null,
  depth         integer not null,
  attempt       integer not null default 0,
  crashes       integer not null default 0,
  max_attempts  integer not null,
  backoff_ms    integer not null,
  max_backoff_ms integer not null,
  is_resumed    boolean not null default false,
  is_told       boolean not null default false,
  preempt       text collate "C" not null,
  phase         text collate "C" not null,
  kind          text collate "C" not null,
  last_report   text collate "C",
  wait_for      text collate "C",
  wait_name     text collate "C",
  wait_children bigint[],
  events        text[]
) with (fillfactor = 70);

comment on column agent_state.tasks.seq is 'When it arrived: newest first. Null until it is due.';
comment on column agent_state.tasks.turn is 'Its seq while it is ready or suspended and may be the next.';
comment on column agent_state.tasks.run_at is 'It is not due before, while that is to come.';
comment on column agent_state.tasks.is_resumed is 'Its next claim goes on with the attempt it was in.';
comment on column agent_state.tasks.is_told is 'Whether its end stands among the results of its parent.';
comment on column agent_state.tasks.crashes is 'How often in a row, without a checkpoint between, its holder lost its lease.';
comment on column agent_state.tasks.last_report is 'How its last holder gave it back: the same report again is answered again.';
comment on column agent_state.tasks.events is 'Events that came and were not waited for yet.';

create index tasks_order on agent_state.tasks (stack_no, priority, turn) where turn is not null;
create index tasks_held on agent_state.tasks (worker_no) where worker_no is not null;
create index tasks_due on agent_state.tasks (due_at) where due_at is not null;
create index tasks_children on agent_state.tasks (parent_no, task_no) where parent_no is not null;
create index tasks_untold on agent_state.tasks (task_no) where ended_at is not null and not is_told and parent_no is not null;

-- What a task does outside this database, told before and after: a receipt is never lost, whatever goes back.
create table agent_state.effects (
  task_no  bigint      not null,
  key      text collate "C" not null,
  epoch    bigint      not null,
  begun_at timestamptz not null,
  done_at  timestamptz,
  receipt  json,
  primary key (task_no, key)
);

comment on column agent_state.effects.done_at is 'Null: begun; in doubt once the epoch is not that of its holder any more.';

-- Which tasks were taken from a living worker: its heartbeats say so for as long as a lease lasts.
create table agent_state.fenced_tasks (
  worker_no bigint      not null,
  task_no   bigint      not null,
  at        timestamptz not null,
  primary key (worker_no, task_no)
);

-- One move of a task, as the functions of tasks hand it to each other.
create type agent_state.task_move as (
  task_no bigint, phase text, delta json, outcome json, fence boolean, arrives boolean, is_resumed boolean, crashes integer,
  run_at timestamptz, wait_for text, wait_name text, wait_until timestamptz, wait_children bigint[], events text[], report text, cause text);

-- Made anew, so that it is younger than the other indexes that hold namespace and id. In a table without statistics they all look alike,
-- the planner takes the youngest, and plans are kept: looked up by (namespace, type, id), a state was found by reading its whole namespace.
alter table agent_state.states drop constraint states_id, add constraint states_id unique (namespace, id);
