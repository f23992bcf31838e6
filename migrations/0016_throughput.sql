-- +goose Up

-- What runs in a library, however much waits there.
create index task_leased on task (library_id) where state = 'leased';

-- The discs that went bad, which are few, so that a disc's risk is known without counting all that were burned with it.
create index disc_went_bad on disc (library_id) where state in ('suspect', 'spoiled') or failed is not null or grade_confirmed and grade >= 'migrate_soon';

-- Of a scrub: one of its tasks that was open when somebody last looked. While it is, the scrub isn't over, and nobody need look at the others.
alter table job add open_task bigint references task;

-- A lease has no end of its own: one agent drives a library, and nobody else could do what it was given. While it says nothing
-- (last_seen) its library is silent, and what retrievals wait for is read in others.
alter table task drop column lease_until;
alter table library add silent boolean not null default false;

-- +goose Down
select 1/0; -- forward only
