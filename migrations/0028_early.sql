-- +goose Up

-- What running retrievals wait for of an image that is being healed, that nothing gives, and that its set may give before the image is whole: the rows in
-- which it lies are read of its own disc as far as that gives them, and of as many others of the set as it takes.
create sequence early_pass;
create table early (
  image_id      uuid primary key references image on delete cascade,
  pass          bigint not null unique default nextval('early_pass'), -- another one means other rows
  since         timestamptz not null default now(),
  contents      bigint[] not null,
  firsts        bigint[] not null, -- runs of the rows, in whole blocks of the set
  counts        bigint[] not null check (cardinality(counts) = cardinality(firsts)),
  needed_firsts bigint[], -- those that others have to give; null until its own disc has given what it gives
  needed_counts bigint[],
  doubted       boolean not null default false, -- what came had a wrong hash: all of it is read of others, and of one more than it takes
  failed        bigint[] not null default '{}', -- contents that can't be had so
  copy_after    boolean not null, -- the image is copied for its heal when this is over
  over          timestamptz
);

-- Images of its set of which the rows are on the scratch disk, its own among them.
create table early_row (
  image_id  uuid not null references early on delete cascade,
  source_id uuid not null references image on delete cascade,
  lacking   bigint not null check (lacking >= 0), -- sectors that its disc didn't give
  primary key (image_id, source_id)
);

-- The pass that a read of rows, or a serve, belongs to. A disc may be copied whole and be asked for rows besides.
alter table task add early bigint;
alter table task add constraint task_early_check check (early is null or rows_of is not null or kind = 'serve');
drop index task_one_copy;
create unique index task_one_copy on task (image_id) where kind = 'read' and state in ('queued', 'leased') and image_id is not null and early is null;
create unique index task_one_early on task (image_id, early) where kind = 'read' and state in ('queued', 'leased') and early is not null;
create index task_early on task (early) where early is not null;

-- +goose Down
select 1/0; -- forward only
