-- +goose Up

-- What an operator has said that a drive can do: the media that it reads, none for every one, and whether it only reads.
alter table drive
  add reads     text[] not null default '{}' constraint drive_reads_check check (array_position(reads, null) is null and array_position(reads, '') is null),
  add read_only boolean not null default false;

-- In which drive a disc of a set has failed: until the drive was looked after, no second disc of the set is put at risk there.
create index reading_bad on reading (library_id, drive) where not good;

-- +goose StatementBegin
create function note_reading() returns trigger language plpgsql as $$
begin
  insert into plan_change (library_id) values (new.library_id);
  return null;
end $$;
-- +goose StatementEnd
create trigger reading_failed after insert or update of good on reading for each row when (new.good = false) execute function note_reading();

-- +goose StatementBegin
create function note_image_set() returns trigger language plpgsql as $$
begin
  insert into plan_change (library_id, disc_id) select library_id, id from disc where image_id = new.id and library_id is not null;
  return null;
end $$;
-- +goose StatementEnd
create trigger image_set_changed after update of set_id on image for each row
  when (old.set_id is distinct from new.set_id) execute function note_image_set();

-- +goose Down
select 1/0; -- forward only
