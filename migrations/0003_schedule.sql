-- +goose Up

-- When it should be done; null for what its priority allows after it was created.
alter table task add due timestamptz;
-- What a quote promised; null for what the tier does.
alter table retrieval add due timestamptz;
-- When the disc in it was loaded.
alter table drive add loaded timestamptz;

-- Every disc of a vault is read as a whole at least once in this time.
alter table vault add scrub_interval interval not null default '1 year' check (scrub_interval >= '1 day');
-- When its next scrub should be done; null for discs that aren't scrubbed.
alter table disc add scrub_due timestamptz;
create index disc_scrub_due on disc (scrub_due) where scrub_due is not null;

-- What machines have taken for what, as their agents measured it: exponentially forgetting means, newest counting a tenth.
create table timing (
  library_id uuid not null references library,
  what       text not null check (what in ('load', 'unload', 'read', 'verify', 'burn')),
  drive      int not null,
  medium     text not null,
  measured   bigint not null default 0, -- how many were
  seconds    double precision not null default 0 check (seconds >= 0), -- of a load or unload
  rate       double precision not null default 0 check (rate >= 0), -- bytes a second of the others
  primary key (library_id, what, drive, medium)
);

-- An answer to what a retrieval would take. It is good until it expires; accepting it makes a retrieval with its deadline.
create table quote (
  id         uuid primary key,
  archive_id uuid not null references archive,
  paths      bytea[] not null default '{}',
  tier       int not null check (tier between 1 and 3),
  due        timestamptz not null, -- what is promised
  created    timestamptz not null default now(),
  expires    timestamptz not null,
  retrieval  uuid references retrieval, -- that it became
  check (expires > created)
);
create index quote_expires on quote (expires);

-- +goose Down
select 1/0; -- forward only
