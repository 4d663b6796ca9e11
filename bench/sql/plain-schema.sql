-- What a careful user writes first: the state, its history, and an outbox for those who follow.
create table states (
  type       text        not null,
  id         text        not null,
  version    bigint      not null,
  data       jsonb       not null,
  updated_at timestamptz not null default now(),
  primary key (type, id)
);

create table history (
  number  bigint generated always as identity primary key,
  type    text        not null,
  id      text        not null,
  version bigint      not null,
  data    jsonb       not null,
  at      timestamptz not null default now(),
  unique (type, id, version)
);

create table outbox (
  number  bigint generated always as identity primary key,
  type    text        not null,
  id      text        not null,
  version bigint      not null,
  payload jsonb       not null,
  at      timestamptz not null default now(),
  sent_at timestamptz
);
create index outbox_pending on outbox (number) where sent_at is null;
