-- +goose Up

-- FIFOs, sockets and devices are archived too: they have no content, and a device has its number in place of a target.
alter table entry drop constraint entry_kind_check, drop constraint entry_check1;
alter table entry
  add constraint entry_kind_check check (kind in ('f', 'd', 'l', 'p', 's', 'c', 'b')),
  add constraint entry_check1 check ((kind in ('l', 'c', 'b')) = (target is not null));

-- +goose Down
select 1/0; -- forward only
