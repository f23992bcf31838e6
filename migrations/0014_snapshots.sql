-- +goose Up

-- What the parity discs of a set carry of the catalogue. Its bytes are kept, so that such a disc can be made anew bit by bit.
create table snapshot (
  id         uuid primary key,
  number     bigint generated always as identity unique,
  library_id uuid not null references library,
  set_id     uuid not null unique references disc_set,
  follows    uuid references snapshot,
  place      int not null check (place >= 0), -- in its chain
  taken      timestamptz not null,
  complete   boolean not null,                -- nothing was left out for want of room
  -- What transactions from this number on have changed may not be in it; and the database in which such numbers mean something.
  seen       bigint not null,
  origin     text not null,
  bytes      bigint not null check (bytes > 0),
  sha256     bytea not null check (octet_length(sha256) = 32),
  check ((follows is null) = (place = 0))
);
create index snapshot_library on snapshot (library_id, number desc);

create table snapshot_piece (
  snapshot_id uuid not null references snapshot deferrable initially deferred, -- pieces are written before it is known what they make
  number      int not null check (number >= 0),
  data        bytea not null check (octet_length(data) > 0),
  primary key (snapshot_id, number)
);
alter table snapshot_piece alter column data set storage external; -- it is compressed

-- What a parity image carries besides what decodes it. One that was made before there was any has no row.
create table parity_disc (
  image_id    uuid primary key references image,
  info        bytea not null, -- disc_info.json
  snapshot_id uuid references snapshot
);

-- +goose Down
select 1/0; -- forward only
