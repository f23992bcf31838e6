-- +goose Up

-- A copy of a disc that lacks some sectors and is kept on its library's scratch disk: others of its set are read in those rows only. Runs of
-- rows in ascending order; between sectors that lie close together drives read on.
create table torn (
  image_id uuid primary key references image on delete cascade,
  sectors  bigint not null check (sectors >= 0), -- that it lacks
  firsts   bigint[] not null,
  counts   bigint[] not null check (cardinality(counts) = cardinality(firsts)),
  since    timestamptz not null default now()
);

-- Images of its set of which the rows lie beside it.
create table torn_row (
  image_id  uuid not null references torn on delete cascade,
  source_id uuid not null references image on delete cascade,
  lacking   bigint not null check (lacking >= 0), -- sectors that its disc didn't give
  primary key (image_id, source_id)
);

-- Of a read for the scratch disk: only rows are read, for this image. What they come to is in bytes, as of any task.
alter table task add rows_of uuid references image;
alter table task add constraint task_rows_check check (rows_of is null or kind = 'read' and image_id is not null and disc_id is not null);
create index task_rows on task (rows_of) where rows_of is not null;

-- +goose Down
select 1/0; -- forward only
