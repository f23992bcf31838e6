-- +goose Up

-- Blanks of different lots are burned in turn: who plans must hear of it when somebody says which lot a disc is of.
create trigger disc_lot_changed after update of lot on disc for each row
  when (current_setting('odarchive.told', true) is distinct from 'on' and old.lot <> new.lot)
  execute function note_disc();

-- +goose Down
select 1/0; -- forward only
