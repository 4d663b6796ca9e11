-- What going back, holding and checking need: quarantined steps, rollbacks, findings, changes made by hand.
-- breaking: no    creates only
-- locks: none     creates only

-- Steps that were found confused: kept as evidence, never served as a target of a rollback, never promoted.
create table agent_state.quarantine (
  scope_no bigint      not null references agent_state.scopes,
  step     bigint      not null,
  reason   text        not null,
  by_whom  text,
  at       timestamptz not null default clock_timestamp(),
  primary key (scope_no, step)
);

-- The steps that went back: `step` holds what `restored_step` held, and undid `undone_step`, the HEAD before it.
create table agent_state.rollbacks (
  scope_no      bigint      not null references agent_state.scopes,
  step          bigint      not null,
  restored_step bigint      not null,
  undone_step   bigint      not null,
  source        text        not null,
  reason        text,
  actor         text,
  at            timestamptz not null default clock_timestamp(),
  primary key (scope_no, step),
  constraint rollbacks_source check (source in ('rollback', 'history'))
);

-- Scopes whose holds or quarantine changed, and when: the rollback follower looks at them again.
create table agent_state.gates (
  scope_no   bigint      primary key references agent_state.scopes,
  changed_at timestamptz not null
);
create index gates_changed on agent_state.gates (changed_at);

-- What the checks found. Open until resolved; found again, an open one is only seen again.
create table agent_state.findings (
  finding_no  bigint generated always as identity primary key,
  check_name  text collate "C" not null,
  kind        text collate "C" not null,
  namespace   text collate "C",
  scope       text collate "C",
  id          text collate "C",
  version     bigint,
  step        bigint,
  detail      text        not null,
  remedy      text        not null,
  safe        boolean     not null,
  evidence    jsonb       not null default '{}',
  found_at    timestamptz not null default clock_timestamp(),
  seen_at     timestamptz not null default clock_timestamp(),
  resolved_at timestamptz,
  resolution  text,
  constraint findings_kind check (kind in ('divergent', 'illegal', 'unlive', 'sterile'))
);
create unique index findings_open on agent_state.findings
  (check_name, coalesce(namespace, ''), coalesce(scope, ''), coalesce(id, ''), coalesce(version, 0), coalesce(step, 0)) where resolved_at is null;
create index findings_found on agent_state.findings (found_at desc);

-- Rows of states and changes that somebody touched without the commit functions: looked at within a second.
create table agent_state.strays (
  stray_no  bigint generated always as identity primary key,
  at        timestamptz not null default clock_timestamp(),
  what      text        not null,
  scope_no  bigint,
  state_no  bigint,
  version   bigint,
  by_whom   text        not null default session_user
);
