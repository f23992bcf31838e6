-- +goose Up

-- A plan that was made for a release of one content is kept by the session, and compares each row with each where thousands are updated: 5 s for 8,192. So
-- the plan is made anew for each statement, and only for those that release something.
-- +goose StatementBegin
create or replace function check_release() returns trigger language plpgsql as $$
declare bad bytea;
begin
  if not exists (select from before_row where staged) then
    return null;
  end if;
  execute $q$
    select n.hash
      from after_row n join before_row o on o.id = n.id join vault v on v.id = n.vault_id
     where o.staged and not n.staged and n.sealed
       and not coalesce((
         select range_agg(int8range(x.content_offset, x.content_offset + x.length)) @> int8range(0, n.size)
           from extent x
          where x.content_id = n.id
            and v.copies <= (select count(*) from disc d where d.image_id = x.image_id and d.state = 'good')), false)
     limit 1$q$ into bad;
  if bad is not null then
    raise exception 'content % is not on enough verified discs to leave staging', encode(bad, 'hex')
      using errcode = 'check_violation', constraint = 'content_release';
  end if;
  return null;
end $$;
-- +goose StatementEnd

-- +goose Down
select 1/0; -- forward only
