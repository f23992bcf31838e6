-- +goose Up

-- In-disc error correction (RS03): how many roots each image of a vault has at least. Vaults made before have none.
alter table vault add column roots int not null default 0 constraint vault_roots_check check (roots = 0 or roots between 8 and 170);

-- Sectors of each of an image's 255 layers; 0 for an image without error correction. sectors is then all that is burned: data,
-- error correction and what closes the disc.
alter table image add column layer_sectors bigint not null default 0;
alter table image add constraint image_layers_check check (layer_sectors >= 0 and 255 * layer_sectors < sectors);

-- What a task's reading of a disc had to repair: sectors, and of how many that one row of sectors bears (roots) the most that it
-- had to bear.
alter table task add column repaired bigint not null default 0 check (repaired >= 0);
alter table task add column worst_row int not null default 0 check (worst_row >= 0);
