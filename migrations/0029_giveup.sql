-- +goose Up

-- Somebody has said that a disc is not to be had any more. What only it carried is gone; until it is found, for that has happened too.
alter type disc_state add value 'lost';

-- +goose StatementBegin
create or replace function check_disc_state() returns trigger language plpgsql as $$
begin
  if new.state <> old.state and (old.state::text, new.state::text) not in (
    ('blank', 'burning'), ('blank', 'spoiled'), ('blank', 'retired'),
    ('burning', 'verifying'), ('burning', 'spoiled'), ('burning', 'blank'),
    ('verifying', 'good'), ('verifying', 'spoiled'),
    ('good', 'suspect'), ('good', 'retired'), ('good', 'lost'),
    ('suspect', 'good'), ('suspect', 'retired'), ('suspect', 'lost'),
    ('lost', 'suspect'), ('lost', 'retired'),
    ('spoiled', 'retired')) then
    raise exception 'disc % can''t go from % to %', old.label, old.state, new.state
      using errcode = 'check_violation', constraint = 'disc_transition';
  end if;
  return new;
end $$;
-- +goose StatementEnd

-- Nothing gives it any more, and nothing is tried for it: an image whose discs are all lost and that its set can't make anew; a content, or a part of one,
-- that is on no other image. A content that is uploaded once more is not gone any more.
alter table image add column gone timestamptz;
create index image_gone on image (set_id) where gone is not null;
alter table content add column gone timestamptz constraint content_gone_check check (gone is null or not staged);
create index content_gone on content (vault_id, hash) where gone is not null;

-- How much of an archive that is: contents, each counted once, and their bytes.
alter table archive
  add column gone_contents bigint not null default 0 check (gone_contents >= 0),
  add column gone_bytes    bigint not null default 0 check (gone_bytes >= 0);

-- Something that it wants is gone: it ends when everything else has come.
alter table retrieval add column gone boolean not null default false;

-- +goose Down
select 1/0; -- forward only
