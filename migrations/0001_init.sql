-- +goose Up

-- What clients own ---------------------------------------------------------------------------------------------

create table vault (
  id       uuid primary key default gen_random_uuid(),
  name     text not null unique check (name ~ '^[A-Za-z0-9_.-]{1,255}$'),
  copies   int not null check (copies between 1 and 100),
  max_wait interval not null default '0' check (max_wait >= '0'),
  created  timestamptz not null default now()
);

-- A file of the staging store. Small contents share one, a large one has its own.
create table segment (
  id      bigint generated always as identity primary key,
  bytes   bigint not null default 0 check (bytes >= 0),
  open    boolean not null default true, -- somebody still appends to it
  created timestamptz not null default now()
);

-- The bytes of one distinct file of a vault. It lies in a segment while it is staged (the only copy that we
-- answer for) or cached (brought back from disc, may go).
create table content (
  id             bigint generated always as identity primary key,
  vault_id       uuid not null references vault,
  hash           bytea not null check (octet_length(hash) = 32),
  size           bigint not null check (size >= 0),
  sealed         boolean not null default false, -- an archive refers to it
  planned        boolean not null default false, -- its extents are laid out on images
  staged         boolean not null default true,
  cached_until   timestamptz,
  segment_id     bigint references segment,
  segment_offset bigint check (segment_offset >= 0),
  created        timestamptz not null default now(),
  unique (vault_id, hash),
  check ((segment_id is null) = (segment_offset is null)),
  check ((segment_id is not null) = (staged or cached_until is not null)),
  check (sealed or not planned)
);
create index content_segment on content (segment_id) where segment_id is not null;
create index content_unplanned on content (vault_id) where sealed and not planned;
create index content_cached on content (cached_until) where cached_until is not null;

create table archive (
  id            uuid primary key,
  vault_id      uuid not null references vault,
  name          text not null check (octet_length(name) between 1 and 255),
  description   text not null default '' check (octet_length(description) <= 1024),
  root_hash     bytea not null check (octet_length(root_hash) = 32),
  manifest_size bigint not null check (manifest_size > 0),
  entries       bigint not null check (entries > 0),
  bytes         bigint not null check (bytes >= 0),
  flush         boolean not null default false,
  planned       boolean not null default false,
  sealed        timestamptz not null default now(),
  safe          timestamptz,
  check (planned or safe is null)
);
create index archive_listing on archive (vault_id, sealed desc, id);
create index archive_unplanned on archive (vault_id) where not planned;
create index archive_unsafe on archive (vault_id) where safe is null;

create table entry (
  archive_id        uuid not null references archive,
  path              bytea not null check (octet_length(path) between 1 and 4095),
  kind              "char" not null check (kind in ('f', 'd', 'l')),
  mode              int not null check (mode between 0 and 4095),
  uid               bigint not null check (uid between 0 and 4294967295),
  gid               bigint not null check (gid between 0 and 4294967295),
  mtime_seconds     bigint not null,
  mtime_nanoseconds int not null check (mtime_nanoseconds between 0 and 999999999),
  content_id        bigint references content,
  target            bytea,
  hard_link         bytea,
  xattrs            jsonb, -- [[name, value], …] in base64, by name
  primary key (archive_id, path),
  check ((kind = 'f') = (content_id is not null)),
  check ((kind = 'l') = (target is not null)),
  check (kind = 'f' or hard_link is null)
);
create index entry_content on entry (content_id) where content_id is not null;

-- The machines ---------------------------------------------------------------------------------------------------

create table library (
  id           uuid primary key default gen_random_uuid(),
  name         text not null unique check (name <> ''),
  model        text not null default '',
  home_only    boolean not null default false,
  senses_slots boolean not null default false,
  agent        text not null default '',
  instance     text not null default '',
  trouble      text not null default '',
  want_report  boolean not null default true,
  last_seen    timestamptz
);

create table drive (
  library_id uuid not null references library,
  number     int not null check (number > 0),
  name       text not null default '',
  up         boolean not null default true,
  reason     text not null default '',
  primary key (library_id, number)
);

-- The sectors of one disc, a pure function of the rows here, in image_archive and in extent.
create table image (
  id       uuid primary key,
  number   bigint generated always as identity unique,
  vault_id uuid not null references vault,
  library_id uuid not null references library,
  medium   text not null,
  sectors  bigint not null check (sectors > 0),
  created  timestamptz not null,
  sha256   bytea check (octet_length(sha256) = 32), -- known once it has been built
  safe     timestamptz -- when enough discs that carry it had been verified
);

-- The archives whose names and manifests an image carries, fixed when it is planned.
create table image_archive (
  image_id   uuid not null references image,
  archive_id uuid not null references archive,
  directory  text not null check (directory <> ''),
  primary key (image_id, archive_id),
  unique (image_id, directory)
);
create index image_archive_archive on image_archive (archive_id);

create table extent (
  image_id       uuid not null references image,
  content_id     bigint not null references content,
  content_offset bigint not null check (content_offset >= 0 and content_offset % 2048 = 0),
  length         bigint not null check (length >= 0),
  sector         bigint not null check (sector >= 0),
  part           int not null default 0,
  parts          int not null default 0,
  primary key (image_id, content_id, content_offset),
  check (part between 0 and parts and (part = 0) = (parts = 0))
);
create index extent_content on extent (content_id);

-- How much of an archive lies on which image, once that is planned: what must be safe for the archive to be.
create table placement (
  archive_id uuid not null references archive,
  image_id   uuid not null references image,
  bytes      bigint not null check (bytes >= 0),
  primary key (archive_id, image_id)
);
create index placement_image on placement (image_id);

create type disc_state as enum ('blank', 'burning', 'verifying', 'good', 'suspect', 'retired', 'spoiled');

create table disc (
  id         bigint generated always as identity primary key,
  label      text not null unique check (label <> ''),
  library_id uuid not null references library,
  medium     text not null,
  capacity   bigint not null check (capacity > 0),
  state      disc_state not null default 'blank',
  image_id   uuid references image,
  reason     text not null default '',
  burn_drive int, -- it should be verified in another one
  reload     boolean not null default false, -- it must leave its drive before it is read: burned, not loaded since
  recorded   bigint not null default 0 check (recorded between 0 and capacity),
  burned     timestamptz,
  verified   timestamptz,
  check (state <> 'blank' or image_id is null),
  check (state not in ('burning', 'verifying', 'good') or image_id is not null),
  check (state not in ('verifying', 'good') or burned is not null),
  check (state <> 'good' or verified is not null)
);
create index disc_image on disc (image_id) where image_id is not null;
create index disc_library on disc (library_id, state);

create type fill as enum ('unknown', 'empty', 'full');
create type element_kind as enum ('slot', 'drive', 'mailslot', 'picker');

-- A disc is in at most one element (unique) and an element holds at most one disc (a column).
-- An element that is not known to be full may name the disc that is supposed to be there, an empty one may not.
create table element (
  library_id uuid not null references library,
  kind       element_kind not null,
  number     int not null check (number > 0),
  unit       int not null check (unit > 0),
  fill       fill not null default 'unknown',
  disc_id    bigint unique references disc,
  home       int check (home > 0), -- of a drive: the slot to which its disc belongs
  flag       text not null default '',
  primary key (library_id, kind, number),
  check (fill <> 'empty' or disc_id is null),
  check (home is null or kind = 'drive')
);

-- What is to be done ---------------------------------------------------------------------------------------------

create type job_kind as enum ('archive', 'retrieval', 'scrub');
create type job_state as enum ('running', 'succeeded', 'failed', 'cancelled');

create table job (
  id          uuid primary key,
  kind        job_kind not null,
  state       job_state not null default 'running',
  archive_id  uuid references archive,
  bytes       bigint not null default 0,
  error       text not null default '',
  waiting_for text not null default '',
  created     timestamptz not null default now(),
  finished    timestamptz,
  check ((state = 'running') = (finished is null)),
  check (kind = 'scrub' or archive_id is not null),
  check (state <> 'failed' or error <> '')
);
create index job_running on job (kind) where state = 'running';
create index job_listing on job (created desc, id);
create unique index job_archive on job (archive_id) where kind = 'archive';

create table retrieval (
  id         uuid primary key references job,
  archive_id uuid not null references archive,
  paths      bytea[] not null default '{}',
  tier       int not null check (tier between 1 and 3),
  expires    timestamptz
);

create table retrieval_content (
  retrieval_id uuid not null references retrieval,
  content_id   bigint not null references content,
  primary key (retrieval_id, content_id)
);
create index retrieval_content_content on retrieval_content (content_id);

-- Parts of a content that is split over discs and has not come back whole yet.
create table cache_part (
  content_id     bigint not null references content,
  content_offset bigint not null check (content_offset >= 0),
  length         bigint not null check (length > 0),
  primary key (content_id, content_offset)
);

-- A disc that could not give a content back.
create table read_failure (
  disc_id    bigint not null references disc,
  content_id bigint not null references content,
  at         timestamptz not null default now(),
  primary key (disc_id, content_id)
);

create type task_kind as enum ('move', 'build', 'burn', 'verify', 'read', 'release');
create type task_state as enum ('queued', 'leased', 'done', 'failed', 'cancelled');

-- A unit of device work. The epoch grows by one at every lease; a result with another epoch is refused.
create table task (
  id          bigint generated always as identity primary key,
  library_id  uuid not null references library,
  kind        task_kind not null,
  state       task_state not null default 'queued',
  priority    int not null default 0,
  image_id    uuid references image,
  disc_id     bigint references disc,
  unit        int,
  drive       int,
  from_kind   element_kind,
  from_number int,
  to_kind     element_kind,
  to_number   int,
  avoid_drive int,
  epoch       bigint not null default 0,
  attempts    int not null default 0,
  agent       text not null default '',
  lease_until timestamptz,
  error       text not null default '',
  bytes_done  bigint not null default 0,
  bytes       bigint not null default 0,
  seconds     double precision not null default 0,
  created     timestamptz not null default now(),
  started     timestamptz,
  finished    timestamptz,
  check ((state = 'leased') = (lease_until is not null)),
  check (state <> 'leased' or epoch > 0),
  check ((state in ('done', 'failed', 'cancelled')) = (finished is not null)),
  check (kind <> 'move' or (unit is not null and drive is not null
         and from_kind is not null and from_number is not null and to_kind is not null and to_number is not null)),
  check (kind not in ('build', 'burn', 'release') or image_id is not null),
  check (kind not in ('verify', 'read') or disc_id is not null),
  check (kind not in ('burn', 'verify', 'read') or state <> 'leased' or (drive is not null and disc_id is not null)),
  foreign key (library_id, drive) references drive (library_id, number)
);
create index task_open on task (library_id, kind) where state in ('queued', 'leased');
create index task_disc on task (disc_id) where disc_id is not null;
create index task_image on task (image_id) where image_id is not null;
-- A drive does one thing at a time, being loaded and unloaded included; a picker carries one disc.
create unique index task_one_per_drive on task (library_id, drive) where state = 'leased' and drive is not null;
create unique index task_one_move_per_unit on task (library_id, unit) where state = 'leased' and kind = 'move';
-- A disc is burned once: whatever became of the burn, no second one is ever leased for it.
create unique index task_one_burn_per_disc on task (disc_id) where kind = 'burn' and state <> 'queued' and disc_id is not null;
create unique index task_one_build on task (image_id) where kind = 'build' and state in ('queued', 'leased');
create unique index task_one_read on task (disc_id) where kind = 'read' and state = 'queued';
create unique index task_one_verify on task (disc_id) where kind = 'verify' and state in ('queued', 'leased');

-- The jobs that a task serves.
create table task_job (
  task_id bigint not null references task,
  job_id  uuid not null references job,
  primary key (task_id, job_id)
);
create index task_job_job on task_job (job_id);

-- Invariants over several rows -----------------------------------------------------------------------------------

-- +goose StatementBegin
create function check_extents() returns trigger language plpgsql as $$
declare bad record;
begin
  select e.image_id, e.sector, e.length, i.sectors into bad
    from added e join image i on i.id = e.image_id
   where e.sector + (e.length + 2047) / 2048 > i.sectors limit 1;
  if found then
    raise exception 'extent at sector % of % bytes is beyond image % of % sectors', bad.sector, bad.length, bad.image_id, bad.sectors
      using errcode = 'check_violation', constraint = 'extent_within_image';
  end if;
  select * into bad from (
    select image_id, sector, lag(sector + (length + 2047) / 2048) over (partition by image_id order by sector) as free
      from extent where length > 0 and image_id in (select distinct image_id from added)) s
   where sector < free limit 1;
  if found then
    raise exception 'extent at sector % of image % overlaps the one before it', bad.sector, bad.image_id
      using errcode = 'check_violation', constraint = 'extent_disjoint';
  end if;
  select e.content_id, e.content_offset, e.length, c.size into bad
    from added e join content c on c.id = e.content_id where e.content_offset + e.length > c.size limit 1;
  if found then
    raise exception 'extent at offset % of % bytes is beyond content % of % bytes', bad.content_offset, bad.length, bad.content_id, bad.size
      using errcode = 'check_violation', constraint = 'extent_within_content';
  end if;
  return null;
end $$;
-- +goose StatementEnd
create trigger extents_fit after insert on extent referencing new table as added for each statement execute function check_extents();

-- +goose StatementBegin
create function check_disc_state() returns trigger language plpgsql as $$
begin
  if new.state <> old.state and (old.state, new.state) not in (
    ('blank', 'burning'), ('blank', 'spoiled'), ('blank', 'retired'),
    ('burning', 'verifying'), ('burning', 'spoiled'), ('burning', 'blank'),
    ('verifying', 'good'), ('verifying', 'spoiled'),
    ('good', 'suspect'), ('good', 'retired'),
    ('suspect', 'good'), ('suspect', 'retired'),
    ('spoiled', 'retired')) then
    raise exception 'disc % can''t go from % to %', old.label, old.state, new.state
      using errcode = 'check_violation', constraint = 'disc_transition';
  end if;
  return new;
end $$;
-- +goose StatementEnd
create trigger disc_transition before update of state on disc for each row execute function check_disc_state();

-- The invariant that everything serves: a content that an archive refers to leaves staging only when enough
-- verified discs carry every byte of it.
-- +goose StatementBegin
create function check_release() returns trigger language plpgsql as $$
declare bad record;
begin
  select n.id, n.hash into bad
    from after_row n join before_row o on o.id = n.id join vault v on v.id = n.vault_id
   where o.staged and not n.staged and n.sealed
     and not coalesce((
       select range_agg(int8range(x.content_offset, x.content_offset + x.length)) @> int8range(0, n.size)
         from extent x
        where x.content_id = n.id
          and v.copies <= (select count(*) from disc d where d.image_id = x.image_id and d.state = 'good')), false)
   limit 1;
  if found then
    raise exception 'content % is not on enough verified discs to leave staging', encode(bad.hash, 'hex')
      using errcode = 'check_violation', constraint = 'content_release';
  end if;
  return null;
end $$;
-- +goose StatementEnd
create trigger content_release after update on content referencing old table as before_row new table as after_row
  for each statement execute function check_release();

-- +goose StatementBegin
create function check_sealed_content() returns trigger language plpgsql as $$
begin
  if old.sealed then
    raise exception 'content % belongs to an archive and can''t be deleted', encode(old.hash, 'hex')
      using errcode = 'check_violation', constraint = 'content_sealed';
  end if;
  return old;
end $$;
-- +goose StatementEnd
create trigger content_sealed before delete on content for each row execute function check_sealed_content();

-- +goose Down
select 1/0; -- forward only
