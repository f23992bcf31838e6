-- +goose Up

-- How many tasks in a row have failed through a drive's own fault, since one was done there or somebody or its agent found it well.
alter table drive add faults int not null default 0 check (faults >= 0);

-- +goose Down
select 1/0; -- forward only
