package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/archive/survey"
	"github.com/odarchive/odarchive/library"
)

// Parity takes in what a parity disc says of its set.
func (r *Restoration) Parity(ctx context.Context, d *survey.Disc, place string) error {
	return pgx.BeginFunc(ctx, r.s.pool, func(tx pgx.Tx) error {
		ids, numbers := make([]string, len(d.Set.Parities)), make([]int64, len(d.Set.Parities))
		for i, p := range d.Set.Parities {
			n, ok := survey.NumberOf(p.Label)
			if !ok {
				return library.Errorf(library.Invalid, "set %s was made without a library: `odarchive set` knows it", d.Set.ID)
			}
			ids[i], numbers[i] = p.ImageID, n
		}
		if _, err := tx.Exec(ctx, `
insert into rebuild_set (id, closed, description, parity_ids, parity_numbers) values ($1, $2, $3, $4, $5) on conflict (id) do nothing`,
			d.Set.ID, d.Set.Created, d.Description, ids, numbers); err != nil {
			return err
		}
		for _, m := range d.Set.Members {
			var sum []byte // with error correction of its own, the hash of the whole image is learned when a disc of it is read
			sectors := m.DiscSectors
			if sectors == 0 {
				sum, sectors = m.SHA256[:], m.Sectors
			}
			if _, err := tx.Exec(ctx, `
insert into rebuild_member (set_id, set_index, image_id, label, data, sectors, sha256) values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing`,
				d.Set.ID, m.Index, m.ImageID, m.Label, m.Sectors, sectors, sum); err != nil {
				return err
			}
		}
		return note(ctx, tx, d, place, false)
	})
}

// Absent returns the data images of sets of which neither a disc was read nor what their sets give back.
func (r *Restoration) Absent(ctx context.Context) ([]survey.Member, error) {
	rows, err := r.s.pool.Query(ctx, `
select m.set_id::text, m.set_index, m.image_id::text, m.label from rebuild_member m
 where not exists (select from rebuild_image x where x.image_id = m.image_id) order by m.set_id, m.set_index`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[survey.Member])
}

// Unsealed counts the sets with discs of which no parity is known.
func (r *Restoration) Unsealed(ctx context.Context) (n int, err error) {
	err = r.s.pool.QueryRow(ctx, `
select count(*) from disc_set s where s.state <> 'sealed' and exists (select from rebuild_image x where x.set_id = s.id)`).Scan(&n)
	return n, err
}

// Places returns where the images of a set were read, by their index, and the description of the set.
func (r *Restoration) Places(ctx context.Context, set string) (places map[int]string, description []byte, err error) {
	if err := r.s.pool.QueryRow(ctx, `select description from rebuild_set where id = $1`, set).Scan(&description); err != nil {
		return nil, nil, notFound(err, "there is no set %s", set)
	}
	rows, err := r.s.pool.Query(ctx, `select set_index, place from rebuild_image where set_id = $1 and not lost`, set)
	if err != nil {
		return nil, nil, err
	}
	places = map[int]string{}
	var index int
	var place string
	_, err = pgx.ForEachRow(rows, []any{&index, &place}, func() error {
		places[index] = place
		return nil
	})
	return places, description, err
}

// notRead is why a disc is suspect that was not there: when it is, it is good.
const notRead = "it was not among the discs that the catalogue was rebuilt from"

// The sets, once it is known which vaults they belong to: each step can be repeated.
var restoreSets = []string{
	// Images that are planned from now on have numbers that no disc has, read or not.
	`select setval(pg_get_serial_sequence('image', 'number'), greatest((select last_value from image_number_seq), 1000 + greatest(
	   (select max(number) from image),
	   (select max(n) from rebuild_set, unnest(parity_numbers) n),
	   (select max(substring(label from '^OD_([0-9]{1,15})$')::bigint) from rebuild_member))))
	  where exists (select from rebuild_image)`,
	// What a parity disc describes is sealed.
	`insert into disc_set as o (id, vault_id, library_id, medium, capacity, data, parity, state, created, closed, parity_ids, parity_numbers, description, released)
	 select s.id, i.vault_id, i.library_id, i.medium, i.room, i.set_data, i.set_parity, 'sealed', s.closed, s.closed, s.parity_ids, s.parity_numbers, s.description, true
	   from rebuild_set s, lateral (
	     select i.vault_id, i.library_id, i.medium, x.set_data, x.set_parity,
	            greatest((select max(capacity) from disc d join rebuild_image y on y.image_id = d.image_id where y.set_id = s.id), i.capacity, i.sectors) as room
	       from rebuild_image x join image i on i.id = x.image_id where x.set_id = s.id and x.set_index < x.set_data order by x.set_index limit 1) i
	 on conflict (id) do update set state = 'sealed', closed = excluded.closed, parity_ids = excluded.parity_ids, parity_numbers = excluded.parity_numbers,
	   description = excluded.description, released = true
	  where o.state <> 'sealed' and not exists (select from image where set_id = o.id and gathered is not null)`,
	// Of the others no parity is known: it is made, of the images that there are.
	`insert into disc_set (id, vault_id, library_id, medium, capacity, data, parity, state, created, closed, parity_ids, parity_numbers)
	 select n.set_id, n.vault_id, n.library_id, n.medium, n.room, n.set_data, n.set_parity, 'closed', n.created, date_trunc('second', now()),
	        array(select gen_random_uuid() from generate_series(1, n.set_parity)),
	        array(select nextval(pg_get_serial_sequence('image', 'number')) from generate_series(1, n.set_parity))
	   from (
	     select distinct on (x.set_id) x.set_id, i.vault_id, i.library_id, i.medium, x.set_data, x.set_parity,
	            min(i.created) over (partition by x.set_id) as created,
	            max(greatest(i.capacity, i.sectors, d.capacity)) over (partition by x.set_id) as room
	       from rebuild_image x join image i on i.id = x.image_id left join disc d on d.image_id = i.id
	      where x.set_index < x.set_data order by x.set_id, x.set_index) n
	  where not exists (select from disc_set where id = n.set_id)`,
	// Images of which only their set speaks.
	`insert into image (id, number, vault_id, library_id, medium, sectors, layer_sectors, data_sectors, created, copies, safe) overriding system value
	 select m.image_id, substring(m.label from '^OD_([0-9]{1,15})$')::bigint, s.vault_id, s.library_id, s.medium, m.sectors,
	        case when m.sectors > m.data then (m.sectors - 1) / 255 else 0 end, m.data, s.closed, v.copies, s.closed
	   from rebuild_member m join disc_set s on s.id = m.set_id join vault v on v.id = s.vault_id
	  where m.label ~ '^OD_[0-9]{1,15}$' on conflict do nothing`,
	`insert into image (id, number, vault_id, library_id, medium, sectors, layer_sectors, data_sectors, created, copies, safe) overriding system value
	 select p.id, p.number, s.vault_id, s.library_id, s.medium, x.sectors, x.layer, x.data, s.closed, 1, s.closed
	   from rebuild_set r join disc_set s on s.id = r.id, unnest(r.parity_ids, r.parity_numbers) with ordinality p (id, number, n), lateral (
	     -- All parity images of a set are equally large.
	     select * from rebuild_image x where x.set_id = s.id and x.set_index >= s.data order by x.image_id = p.id desc limit 1) x
	 on conflict do nothing`,
	`update image i set sha256 = m.sha256 from rebuild_member m where m.image_id = i.id and i.sha256 is null and m.sha256 is not null`,
	`update image i set set_id = p.set_id, set_index = p.set_index,
	        gathered = case when p.sealed and p.set_index < p.data then coalesce(i.gathered, now()) else i.gathered end
	   from (
	     select distinct on (x.set_id, x.set_index) x.image_id, x.set_id, x.set_index, s.state = 'sealed' as sealed, s.data from (
	       select image_id, set_id, set_index from rebuild_image where set_id is not null
	       union select image_id, set_id, set_index from rebuild_member
	       union select p.id, s.id, s.data + p.n::int - 1 from rebuild_set r join disc_set s on s.id = r.id, unnest(r.parity_ids) with ordinality p (id, n)) x
	       join disc_set s on s.id = x.set_id join image i on i.id = x.image_id and i.vault_id = s.vault_id
	      order by x.set_id, x.set_index, x.image_id) p
	  where i.id = p.image_id and i.set_id is null and not exists (select from image o where o.set_id = p.set_id and o.set_index = p.set_index)`,
	// The discs of parity images that were read, and of images that no disc was read of.
	`insert into disc (label, library_id, medium, capacity, state, image_id, recorded, burned, verified, reason)
	 select case when exists (select from disc where label = l.label) then l.label || '-' || left(i.id::text, 8) else l.label end, i.library_id, i.medium,
	        greatest(s.capacity, i.sectors), case when x.lost = false then 'good'::disc_state else 'suspect' end, i.id, i.sectors, i.created,
	        case when x.lost = false then i.created end, case when x.lost = false then '' else '` + notRead + `' end
	   from image i join disc_set s on s.id = i.set_id left join rebuild_image x on x.image_id = i.id,
	        lateral (select 'OD_' || lpad(i.number::text, greatest(6, length(i.number::text)), '0') as label) l
	  where i.set_id in (select id from rebuild_set union select set_id from rebuild_image) and not exists (select from disc where image_id = i.id)`,
	`insert into read_failure (disc_id, content_id)
	 select d.id, e.content_id from rebuild_image x join disc d on d.image_id = x.image_id and d.state = 'suspect' join extent e on e.image_id = x.image_id
	  where x.lost on conflict do nothing`,
}
