-- +goose Up

-- What runs in a library, however much waits there.
create index task_leased on task (library_id) where state = 'leased';

-- The discs that went bad, which are few, so that a disc's risk is known without counting all that were burned with it.
create index disc_went_bad on disc (library_id) where state in ('suspect', 'spoiled') or failed is not null or grade_confirmed and grade >= 'migrate_soon';

-- Of a scrub: one of its tasks that was open when somebody last looked. While it is, the scrub isn't over, and nobody need look at the others.
alter table job add open_task bigint references task;

-- +goose Down
select 1/0; -- forward only
