-- +goose Up

-- How a disc is, from the best to the worst. Whoever heals goes by (grade, grade_confirmed): a grade that only one drive has seen may
-- be the drive's.
create type disc_grade as enum ('healthy', 'watch', 'migrate_soon', 'migrate_now');

alter table disc
  add grade           disc_grade, -- null: it was never read as a whole, or not since it was burned
  add grade_reason    text not null default '',
  add grade_confirmed boolean not null default false, -- a second drive has seen it too, or an operator says so
  add graded          timestamptz,
  -- When, at the earliest that its trend allows, it gets a worse grade; null when no trend can be told.
  add worsens         timestamptz,
  -- What an operator says of it, which goes before all readings; null: nothing.
  add operator_grade  disc_grade,
  add operator_reason text not null default '',
  add operator_judged timestamptz, -- when; 'healthy' makes readings before it count for nothing
  -- When it was found for the first time that it can't be read as a whole any more, by two drives or an operator.
  add failed          timestamptz,
  -- Discs with the same lot were bought together; empty when nobody has said so.
  add lot             text not null default '',
  -- Who made it, and as what, from what is pressed into it; empty when no drive has told.
  add media_id        text not null default '';
create index disc_mates on disc (library_id, medium, burned);
create index disc_lot on disc (lot) where lot <> '';
create index disc_grade on disc (grade) where grade is not null and grade <> 'healthy';

-- One reading of a disc. An open one (not finished) goes on where it was broken off: by whoever reads the disc next, in whichever
-- drive. Of all that was read there are sums here, and one row for each region.
create table reading (
  id         bigint generated always as identity primary key,
  disc_id    bigint not null references disc,
  library_id uuid not null references library,
  drive      int not null, -- that read last
  kind       text not null check (kind in ('scrub', 'read')), -- the whole disc, or what a restore wanted of it
  begun      timestamptz not null default now(),
  finished   timestamptz,
  good       boolean, -- of a finished scrub: the disc reads as it was burned, repairs included
  error      text not null default '',
  sectors    bigint not null default 0 check (sectors >= 0), -- to read
  done       bigint not null default 0 check (done between 0 and sectors), -- read so far, from the first sector on
  hash_state bytea, -- SHA-256 in the middle, over the sectors that are done (Go's encoding of it); null at the first
  seconds    double precision not null default 0 check (seconds >= 0),
  -- Sectors that had to be asked for again; reads that the drive mastered with trouble; sectors that it gave up; sectors that read one way and
  -- then another; sectors that were repaired by the error correction on the disc; sectors with other bytes than were burned.
  retries    bigint not null default 0 check (retries >= 0),
  recovered  bigint not null default 0 check (recovered >= 0),
  unreadable bigint not null default 0 check (unreadable >= 0),
  disagreed  bigint not null default 0 check (disagreed >= 0),
  repaired   bigint not null default 0 check (repaired >= 0),
  wrong      bigint not null default 0 check (wrong >= 0),
  -- Of the roots that each row of the error correction has, the most that one row needed.
  worst_row  int not null default 0 check (worst_row >= 0),
  roots      int not null default 0 check (roots >= 0),
  -- The slowest region, in times of what it should have taken by the disc's own better half; and how many took twice as long and more.
  slowest    double precision not null default 0 check (slowest >= 0),
  slow       int not null default 0 check (slow >= 0),
  -- What the drive measures below its correction, where it can: the metric's name and its worst value.
  metric     text not null default '',
  measured   double precision,
  check ((finished is null) = (good is null)),
  check ((metric = '') = (measured is null))
);
create index reading_disc on reading (disc_id, id desc);
create index reading_drive on reading (library_id, drive) where finished is not null;
create unique index reading_open on reading (disc_id) where finished is null;

-- A region of a reading: an equal part of the disc's sectors, from the hub outwards.
create table reading_region (
  reading_id bigint not null references reading on delete cascade,
  number     int not null check (number >= 0),
  first      bigint not null check (first >= 0),
  sectors    bigint not null check (sectors > 0),
  drive      int not null,
  seconds    double precision not null check (seconds >= 0),
  retries    bigint not null default 0,
  recovered  bigint not null default 0,
  unreadable bigint not null default 0,
  disagreed  bigint not null default 0,
  repaired   bigint not null default 0, -- unreadable or wrong, and brought back
  errors     bigint not null default 0, -- of the reading's metric
  sense      text not null default '',  -- what the drive said of the last sector that it had trouble with
  primary key (reading_id, number)
);

-- What was done, and by whom, so that bytes of a disc could be read, and what was concluded.
create table disc_step (
  id      bigint generated always as identity primary key,
  disc_id bigint not null references disc,
  at      timestamptz not null default now(),
  step    text not null check (step in ('retry', 'other_drive', 'reload', 'repair', 'other_copy', 'set', 'suspected', 'cleared', 'condemned', 'operator')),
  drive   int,
  task_id bigint references task,
  detail  text not null default ''
);
create index disc_step_disc on disc_step (disc_id, id desc);

-- A disc that a drive could not read and another one could: the drive's fault.
create table drive_charge (
  id         bigint generated always as identity primary key,
  library_id uuid not null,
  drive      int not null,
  disc_id    bigint not null references disc,
  by_drive   int not null, -- that could
  at         timestamptz not null default now(),
  detail     text not null default '',
  foreign key (library_id, drive) references drive (library_id, number)
);
create index drive_charge_drive on drive_charge (library_id, drive);
-- An operator has put the drive into service: what it was charged with before doesn't count any more.
alter table drive add trusted timestamptz not null default '-infinity';
-- Why it is suspected and yet in service, because it is the last one.
alter table drive add suspect text not null default '';

-- Reading everything that a library holds must not take longer, or somebody should be told; null: it may.
alter table library add evacuation_limit interval default '30 days' check (evacuation_limit > '0');

-- +goose Down
select 1/0; -- forward only
