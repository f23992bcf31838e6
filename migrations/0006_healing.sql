-- +goose Up

-- A disc that is to be replaced by a new one with the same image. Its newest heal only.
create table heal (
  disc_id  bigint primary key references disc,
  asked    timestamptz not null default now(),
  finished timestamptz,
  error    text not null default '', -- why it was given up
  new_disc bigint unique references disc, -- that replaced it
  check (new_disc is null or finished is not null),
  check (error = '' or finished is not null),
  check (new_disc is distinct from disc_id)
);
create index heal_open on heal (asked) where finished is null;

-- A read that names an image copies the whole of it to the scratch disk; others bring contents back. One disc may have one of each.
drop index task_one_read;
create unique index task_one_read on task (disc_id) where kind = 'read' and state = 'queued' and image_id is null;
create unique index task_one_copy on task (image_id) where kind = 'read' and state in ('queued', 'leased') and image_id is not null;

alter table disc_step drop constraint disc_step_step_check;
alter table disc_step add constraint disc_step_step_check check (step in (
  'retry', 'other_drive', 'reload', 'repair', 'other_copy', 'set', 'suspected', 'cleared', 'condemned', 'operator', 'heal'));

-- +goose Down
select 1/0; -- forward only
