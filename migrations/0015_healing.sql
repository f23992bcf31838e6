-- +goose Up

-- From which disc a part of a content came: when the parts don't come to the content's hash, those are at fault that nothing has proven.
alter table cache_part add disc_id bigint references disc;

alter table disc_step drop constraint disc_step_step_check;
alter table disc_step add constraint disc_step_step_check check (step in (
  'retry', 'slower', 'silent', 'other_drive', 'reload', 'repair', 'other_copy', 'set', 'suspected', 'cleared', 'condemned', 'operator', 'heal'));

-- From which confirmed grade on a disc of the vault is replaced by itself; null: only when an operator says so. A disc that is to be migrated at
-- once has lost data or may with the next scratch, and waiting for somebody to read an alert is the greater risk: replacing it
-- costs a blank disc and takes nothing away. One that is to be migrated within a year leaves time to buy blanks and to choose.
alter table vault add heal_at disc_grade default 'migrate_now' constraint vault_heal_at_check check (heal_at >= 'migrate_soon');
-- It was begun because of that.
alter table heal add automatic boolean not null default false;

-- +goose Down
select 1/0; -- forward only
