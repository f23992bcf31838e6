package postgres

import (
	"fmt"
	"strings"
)

// unparted is which sets are without parity: no disc joins them any more, and none of their parity discs is good.
const unparted = `s.state <> 'open' and not exists (select from image i join disc d on d.image_id = i.id and d.state = 'good' where i.set_id = s.id and i.set_index >= s.data)`

// heals: discs are to be replaced and there is nothing to replace them with; sets whose parity was burned too often.
func (x *alerter) heals() error {
	var lib string
	var n int
	if err := x.each(`
select l.name, count(*)
  from heal h join disc d on d.id = h.disc_id join image i on i.id = d.image_id join library l on l.id = d.library_id
 where h.finished is null and not exists (select from disc b join element e on e.disc_id = b.id where b.library_id = l.id and b.state in ('blank', 'burning', 'verifying')
   and (b.state <> 'blank' or b.capacity >= i.sectors)) group by l.name`, []any{&lib, &n}, func() {
		x.add(lib, "blanks", fmt.Sprintf("%d discs are to be replaced, and no blank disc is left for that", n), x.stock(lib))
	}); err != nil {
		return err
	}
	var set, job string
	var image, spoiled int64
	return x.each(`
select l.name, i.number, i.set_id::text, p.n,
       coalesce((select left(j.id::text, 8) from image o join placement q on q.image_id = o.id join job j on j.archive_id = q.archive_id and j.kind = 'archive' where o.set_id = i.set_id
                 order by j.created desc limit 1), '')
  from image i join disc_set s on s.id = i.set_id and i.set_index >= s.data join library l on l.id = i.library_id,
       lateral (select count(*) as n from disc where image_id = i.id and state = 'spoiled') p
 where i.safe is null and p.n >= $1 * i.copies and not exists (select from task t where t.image_id = i.id and t.state in ('queued', 'leased'))
   and not exists (select from disc d where d.image_id = i.id and d.state in ('burning', 'verifying'))`, []any{&lib, &image, &set, &spoiled, &job}, func() {
		next := "see with 'odarchive discs --state spoiled' why"
		if job != "" {
			next += fmt.Sprintf("; when that is mended, 'odarchive jobs retry %s' tries again", job)
		}
		x.add(lib, "set", fmt.Sprintf("parity image %d of set %s is not burned: %d discs were spoiled for it", image, set, spoiled), next)
	}, MaxBurns)
}

// sets that are without parity when they should not be, and can get it. After a rebuild that is said at once: what they had may be lost, and their discs are old. One
// that has just been closed has a day to get it.
func (x *alerter) sets() error {
	var lib, set, vault string
	var silent, blanks bool
	var data, gathered int
	var absent []string
	return x.each(`
select l.name, s.id::text, v.name, l.silent, g.data, g.gathered,
       array(select coalesce((select d.label from disc d where d.image_id = i.id and d.state in ('good', 'suspect') order by d.state, d.id limit 1), 'OD_' || lpad(i.number::text, 6, '0'))
               from image i where i.set_id = s.id and i.set_index < s.data and i.gathered is null and not i.at_hand and i.safe is not null
                and not exists (select from disc d join element e on e.disc_id = d.id where d.image_id = i.id and d.state in ('good', 'suspect') and d.library_id = i.library_id)
              order by i.set_index),
       exists (select from task t join image i on i.id = t.image_id where i.set_id = s.id and t.kind = 'burn' and t.state = 'queued'
          and not exists (select from disc b join element e on e.disc_id = b.id where b.library_id = s.library_id and b.state = 'blank' and b.capacity >= i.sectors))
  from disc_set s join library l on l.id = s.library_id join vault v on v.id = s.vault_id,
       lateral (select count(*) as data, count(*) filter (where gathered is not null) as gathered from image where set_id = s.id and set_index < s.data) g
 where `+unparted+` and g.data > 0 and not exists (select from image where set_id = s.id and gone is not null) and (s.closed < now() - interval '1 day' or exists (select from rebuild_image r where r.set_id = s.id))`,
		[]any{&lib, &set, &vault, &silent, &data, &gathered, &absent, &blanks}, func() {
			var next string
			switch {
			case len(absent) > 0:
				next = fmt.Sprintf("its parity is made of all its discs: put %s into slots and say where: 'odarchive library set-element slot NUMBER full --disc DISC%s'", strings.Join(absent, ", "), x.in(lib))
			case silent:
				next = "start the agent of the library: it makes it"
			case blanks:
				next = x.stock(lib)
			default:
				next = fmt.Sprintf("nothing, if its drives are well: its parity is being made, and has %d of %d discs; 'odarchive library sets' shows how far it is", gathered, data)
			}
			x.add(lib, "set", fmt.Sprintf("set %s of vault %s is without parity: its %d discs have nothing but their own error correction", set, vault, data), next)
		})
}
