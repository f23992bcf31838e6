-- +goose Up

-- A disc of which nobody knows which it is: it lies in a slot and is to be loaded and asked. It ends when that is known.
alter type disc_state add value 'unknown';
alter type task_kind add value 'identify'; -- loads such a disc; what it says of itself is the result of the move

-- Since when the library's slots are looked through for discs that nobody knows; null: they are left alone.
alter table library add column inventory timestamptz;
-- When the disc in a slot was last asked who it is, without its becoming one that is known.
alter table element add column looked timestamptz;

-- Capacity in sectors of the blank discs that the image was planned for; null for images that don't say it.
alter table image add column capacity bigint check (capacity > 0);

-- A catalogue that is, or was, put together from what discs say. What follows is what they said, as far as it has no other
-- place, so that it can be broken off anywhere, and more discs be read at any time.
create table rebuild (
  one      boolean primary key default true check (one),
  begun    timestamptz not null default now(),
  finished timestamptz
);

-- A disc that was read, or an image that others of its set give back.
create table rebuild_image (
  image_id   uuid primary key,
  place      text not null,             -- where it was read
  read       timestamptz not null default now(),
  lost       boolean not null,          -- no disc has it, its set gives it back
  set_id     uuid,
  set_index  int check (set_index >= 0),
  set_data   int,
  set_parity int,
  -- Of parity images, whose row of image is made when it is known which vault their set belongs to.
  label      text not null,
  sectors    bigint not null check (sectors > 0),
  layer      bigint not null,
  data       bigint not null check (data > 0),
  check ((set_id is null) = (set_index is null) and (set_id is null) = (set_data is null) and (set_id is null) = (set_parity is null))
);
create index rebuild_image_set on rebuild_image (set_id) where set_id is not null;

-- What a parity disc says of its set.
create table rebuild_set (
  id             uuid primary key,
  closed         timestamptz not null,
  description    bytea not null,
  parity_ids     uuid[] not null,
  parity_numbers bigint[] not null
);
create table rebuild_member (
  set_id       uuid not null references rebuild_set,
  set_index    int not null check (set_index >= 0),
  image_id     uuid not null,
  label        text not null,
  data         bigint not null check (data > 0),    -- sectors that the set protects
  sectors      bigint not null check (sectors > 0), -- of the whole image
  sha256       bytea check (octet_length(sha256) = 32), -- of the whole image, where it is said
  primary key (set_id, set_index)
);

-- That an image has something of an archive.
create table rebuild_claim (
  image_id    uuid not null references rebuild_image,
  archive_id  uuid not null,
  directory   text not null,
  vault_id    uuid not null references vault,
  name        text not null,
  description text not null,
  root_hash   bytea not null check (octet_length(root_hash) = 32),
  sealed      timestamptz not null,
  primary key (image_id, archive_id)
);
create index rebuild_claim_archive on rebuild_claim (archive_id);

-- +goose Down
select 1/0; -- forward only
