-- +goose Up

-- Protection across discs: so many data images (k) share so many parity images (m); 0 and 0 is none. A set that isn't full
-- is closed after set_wait.
alter table vault
  add set_data   int not null default 0,
  add set_parity int not null default 0,
  add set_wait   interval not null default '30 days' constraint vault_set_wait_check check (set_wait > '0'),
  add constraint vault_set_check check ((set_data = 0) = (set_parity = 0) and set_data >= 0 and set_parity >= 0 and set_data + set_parity <= 255);

create type set_state as enum ('open', 'closed', 'sealed');

-- Images of one vault in one library, for media of one capacity. Open, images join it; closed, its parity is being made;
-- sealed, the parity is final, and parity images carry it.
create table disc_set (
  id          uuid primary key,
  vault_id    uuid not null references vault,
  library_id  uuid not null references library,
  medium      text not null,
  capacity    bigint not null check (capacity > 0), -- sectors
  data        int not null check (data > 0),
  parity      int not null check (parity > 0),
  state       set_state not null default 'open',
  created     timestamptz not null default now(),
  closed      timestamptz,
  -- Of the parity images, chosen when it is closed.
  parity_ids     uuid[],
  parity_numbers bigint[],
  description bytea,                          -- set.json of its parity discs
  released    boolean not null default false, -- the parity has left the scratch disk
  check (data + parity <= 255),
  check ((state = 'open') = (closed is null) and (state = 'open') = (parity_ids is null) and (state = 'open') = (parity_numbers is null)),
  check ((state = 'sealed') = (description is not null))
);
create unique index disc_set_open on disc_set (vault_id, library_id, medium, capacity) where state = 'open';
create index disc_set_library on disc_set (library_id) where not released;

alter table image
  add copies       int not null default 1,         -- verified discs that must carry it
  add data_sectors bigint check (data_sectors > 0), -- without its error correction: what a set protects
  add set_id       uuid references disc_set,
  add set_index    int check (set_index >= 0),     -- from the set's data on they are parity images
  add gathered     timestamptz,                    -- its sectors are in the set's parity
  add at_hand      boolean not null default false, -- it lies on its library's scratch disk
  add constraint image_set_check check ((set_id is null) = (set_index is null) and (set_id is null or data_sectors is not null));
update image i set copies = v.copies, at_hand = sha256 is not null and safe is null from vault v where v.id = i.vault_id;
create unique index image_set on image (set_id, set_index) where set_id is not null;
create index image_at_hand on image (library_id) where at_hand;

alter table task add set_id uuid references disc_set;
alter table task add constraint task_sets_check check (
  (kind <> 'seal' or set_id is not null) and (kind not in ('gather', 'rebuild') or image_id is not null and set_id is not null));
create unique index task_one_gather on task (image_id) where kind in ('gather', 'rebuild') and state in ('queued', 'leased');
create unique index task_one_seal on task (set_id) where kind = 'seal' and state in ('queued', 'leased');

-- No disc gives the image any more: it is rebuilt from others of its set.
alter table heal add by_set boolean not null default false;

-- +goose Down
select 1/0; -- forward only
