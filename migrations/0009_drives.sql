-- +goose Up

-- What the agent says is wrong with a drive. It is tried again by the agent, and is up again when that went well, unless an operator
-- took it out of service meanwhile: then reason says something else.
alter table drive
  add fault  text not null default '',
  add probe  bigint not null default 0, -- how often an operator has said that it may be well again
  add probed bigint not null default 0; -- the last of these words that the agent has obeyed

-- What the robot says of a place, and the volume tag of the disc there.
alter table element
  add trouble text not null default '',
  add tag     text not null default '';

-- Whether BD-R are formatted with spare areas before they are burned. A vault keeps to what it began with.
alter table vault add spare_areas boolean not null default false;
alter table disc add spare_areas boolean not null default false;

-- +goose Down
select 1/0; -- forward only
