-- +goose NO TRANSACTION
-- PostgreSQL uses no kind in the transaction that makes it; so each statement may be repeated when the migration was broken off behind it.
-- +goose Up

-- Reads what retrievals wait for from an image that lies whole on the scratch disk, while it waits for being burned.
alter type task_kind add value if not exists 'serve';
alter table task drop constraint if exists task_serve_check;
alter table task add constraint task_serve_check check (kind <> 'serve' or image_id is not null);
create unique index if not exists task_one_serve on task (image_id) where kind = 'serve' and state in ('queued', 'leased');

-- Contents that an image holds wrong as it was burned: it had its hash, and they had not theirs. No disc of it will ever give them.
create table if not exists image_failure (
  image_id   uuid not null references image on delete cascade,
  content_id bigint not null references content on delete cascade,
  at         timestamptz not null default now(),
  primary key (image_id, content_id)
);

-- +goose Down
select 1/0; -- forward only
