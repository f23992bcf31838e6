-- +goose Up

-- A controller keeps the plan of a library in memory. It is good while planner and plan_version are what that controller wrote last,
-- under the lock of the row; whoever finds something else there reads everything anew.
alter table library add column planner uuid;
alter table library add column plan_version bigint not null default 0;

-- What was changed by others than who decides, and has not been read by them: a task, a disc, or (without either) a drive or
-- the library itself. Who decides takes the rows out in the transaction in which they are read.
create table plan_change (
  id         bigint generated always as identity primary key,
  library_id uuid not null,
  task_id    bigint,
  disc_id    bigint
);
create index plan_change_library on plan_change (library_id);

-- Statements of whoever decides don't need to be told to itself: they are made with odarchive.told set to on.

-- +goose StatementBegin
create function note_task() returns trigger language plpgsql as $$
begin
  insert into plan_change (library_id, task_id) values (new.library_id, new.id);
  if new.kind = 'build' or new.kind = 'read' and new.image_id is not null then -- a burn is ready when its image is built, or copied from a disc
    insert into plan_change (library_id, task_id) select library_id, id from task where image_id = new.image_id and kind = 'burn' and state = 'queued';
  end if;
  return null;
end $$;
-- +goose StatementEnd
create trigger task_added after insert on task for each row
  when (current_setting('odarchive.told', true) is distinct from 'on') execute function note_task();
create trigger task_changed after update on task for each row
  when (current_setting('odarchive.told', true) is distinct from 'on'
        and (old.state, old.kind, old.priority, old.image_id, old.disc_id, old.due, old.avoid_drive, old.drive, old.carried, old.library_id,
             case when new.state = 'queued' then old.bytes end)
         is distinct from (new.state, new.kind, new.priority, new.image_id, new.disc_id, new.due, new.avoid_drive, new.drive, new.carried, new.library_id,
             case when new.state = 'queued' then new.bytes end))
  execute function note_task();

-- +goose StatementBegin
create function note_element() returns trigger language plpgsql as $$
begin
  insert into plan_change (library_id, disc_id) values (coalesce(new.library_id, old.library_id), new.disc_id);
  if old.disc_id is distinct from new.disc_id then
    insert into plan_change (library_id, disc_id) values (coalesce(new.library_id, old.library_id), old.disc_id);
  end if;
  return null;
end $$;
-- +goose StatementEnd
create trigger element_changed after insert or update or delete on element for each row
  when (current_setting('odarchive.told', true) is distinct from 'on') execute function note_element();

-- +goose StatementBegin
create function note_disc() returns trigger language plpgsql as $$
begin
  insert into plan_change (library_id, disc_id) values (new.library_id, new.id);
  return null;
end $$;
-- +goose StatementEnd
create trigger disc_added after insert on disc for each row execute function note_disc();
create trigger disc_changed after update on disc for each row
  when (current_setting('odarchive.told', true) is distinct from 'on'
        and (old.state, old.image_id, old.capacity, old.medium, old.burn_drive, old.reload, old.library_id)
         is distinct from (new.state, new.image_id, new.capacity, new.medium, new.burn_drive, new.reload, new.library_id))
  execute function note_disc();

-- +goose StatementBegin
create function note_drive() returns trigger language plpgsql as $$
begin
  insert into plan_change (library_id) values (coalesce(new.library_id, old.library_id));
  return null;
end $$;
-- +goose StatementEnd
create trigger drive_changed after insert or update or delete on drive for each row
  when (current_setting('odarchive.told', true) is distinct from 'on') execute function note_drive();

-- +goose StatementBegin
create function note_library() returns trigger language plpgsql as $$
begin
  insert into plan_change (library_id) values (new.id);
  return null;
end $$;
-- +goose StatementEnd
create trigger library_changed after update of trouble, want_report on library for each row
  when (old.trouble <> new.trouble or old.want_report <> new.want_report) execute function note_library();

-- +goose StatementBegin
create function note_image() returns trigger language plpgsql as $$
begin
  insert into plan_change (library_id, task_id) select library_id, id from task where image_id = new.id and kind = 'burn' and state = 'queued';
  return null;
end $$;
-- +goose StatementEnd
create trigger image_changed after update on image for each row
  when (old.sha256 is distinct from new.sha256 or old.sectors <> new.sectors) execute function note_image();

-- +goose Down
select 1/0; -- forward only
