-- +goose Up

-- In which order the contents of a retrieval came within reach, so that a client fetches them while others are still being read: it
-- goes on behind the last that it knows. Numbers are given under a lock on the retrieval, so none appears behind a higher one.
create sequence arrival;
alter table retrieval_content add column arrival bigint;
create index retrieval_content_arrival on retrieval_content (retrieval_id, arrival) where arrival is not null;

-- A segment of the cache whose bytes may not be on the disk yet, and the boot of the machine (its id) in which they were written:
-- after another boot they can't be relied on. Null for what is durable.
alter table segment add column unsynced uuid;
create index segment_unsynced on segment (unsynced) where unsynced is not null;

-- +goose Down
select 1/0; -- forward only
