-- +goose Up

-- Of a move: its picker is free again, only the drive is still at work with the disc.
alter table task add carried boolean not null default false;
drop index task_one_move_per_unit;
create unique index task_one_move_per_unit on task (library_id, unit) where state = 'leased' and kind = 'move' and not carried;

-- +goose Down
select 1/0; -- forward only
