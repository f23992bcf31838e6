-- +goose Up

-- Copies of an image are made in different libraries, where there are several that can. Without it all are made in the image's own library.
alter table vault add apart boolean not null default true;

-- An image of which some copies are made in another library than its own, where its set is and which made its sectors first: it is built there
-- anew, and must come to the same bytes.
create table image_away (
  image_id   uuid not null references image on delete cascade,
  library_id uuid not null references library,
  copies     int not null check (copies >= 0),    -- of the image's, how many verified discs are made there
  at_hand    boolean not null default false,      -- it lies on that library's scratch disk
  since      timestamptz not null default now(),
  primary key (image_id, library_id)
);
create index image_away_library on image_away (library_id, image_id);

-- At least one copy is made where the image belongs.
-- +goose StatementBegin
create function check_image_away() returns trigger language plpgsql as $$
declare bad record;
begin
  select i.id, i.library_id, i.copies into bad from image i where i.id = new.image_id for update;
  if new.library_id = bad.library_id then
    raise exception 'image % belongs to library %, which is no other one', bad.id, bad.library_id
      using errcode = 'check_violation', constraint = 'image_away_elsewhere';
  end if;
  if (select sum(copies) from image_away where image_id = bad.id) >= bad.copies then
    raise exception 'none of the % copies of image % would be made in its own library', bad.copies, bad.id
      using errcode = 'check_violation', constraint = 'image_away_fits';
  end if;
  return null;
end $$;
-- +goose StatementEnd
create trigger image_away_fits after insert or update of image_id, library_id, copies on image_away for each row
  when (new.copies > 0) execute function check_image_away();

-- A burn in another library waits for the image's lying there.
-- +goose StatementBegin
create function note_image_away() returns trigger language plpgsql as $$
begin
  insert into plan_change (library_id, task_id)
  select t.library_id, t.id from task t
   where t.image_id = coalesce(new.image_id, old.image_id) and t.library_id = coalesce(new.library_id, old.library_id) and t.kind = 'burn' and t.state = 'queued';
  return null;
end $$;
-- +goose StatementEnd
create trigger image_away_changed after insert or update or delete on image_away for each row execute function note_image_away();

-- Each library builds an image once at a time.
drop index task_one_build;
create unique index task_one_build on task (image_id, library_id) where kind = 'build' and state in ('queued', 'leased');

-- A disc that somebody has carried to another library: who plans for the one that it has left must hear of it too.
-- +goose StatementBegin
create or replace function note_disc() returns trigger language plpgsql as $$
begin
  insert into plan_change (library_id, disc_id) values (new.library_id, new.id);
  if tg_op = 'UPDATE' and old.library_id <> new.library_id then
    insert into plan_change (library_id, disc_id) values (old.library_id, new.id);
  end if;
  return null;
end $$;
-- +goose StatementEnd

-- +goose Down
select 1/0; -- forward only
