-- +goose Up

-- From which disc a part of a content came: when the parts don't come to the content's hash, those are at fault that nothing has proven.
alter table cache_part add disc_id bigint references disc;

alter table disc_step drop constraint disc_step_step_check;
alter table disc_step add constraint disc_step_step_check check (step in (
  'retry', 'slower', 'silent', 'other_drive', 'reload', 'repair', 'other_copy', 'set', 'suspected', 'cleared', 'condemned', 'operator', 'heal'));

-- +goose Down
select 1/0; -- forward only
