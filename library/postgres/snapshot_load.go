package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/archive/snapshot"
)

// Loaded is what snapshots have given to a catalogue that was put together from discs.
type Loaded struct {
	// How many were made, or had something filled in that discs don't say.
	Vaults, Libraries, Sets, Discs, Readings, Steps int64
	// Doubts are snapshots that are damaged, by their place in the argument. What they say is not believed.
	Doubts map[int]error
	// Gaps are snapshots that others follow and that were not given: what only they told is missing.
	Gaps []snapshot.Gap
	// AbsentDiscs should exist and are not in the catalogue: no such disc was read. AbsentArchives are on none of the discs that were.
	AbsentDiscs    []AbsentDisc
	AbsentArchives []AbsentArchive
}

// AbsentDisc is a disc, or an image of which no disc is known, that snapshots tell of and the catalogue has not.
type AbsentDisc struct {
	Label   string // of the disc in the old catalogue; empty where only the image is known
	State   string // likewise
	ImageID string
	Number  int64 // of the image
	Library string
	Set     string // UUID; empty for none
	Index   int    // in the set
	Vault   string
	Medium  string
}

// AbsentArchive is an archive that snapshots tell of and no disc does.
type AbsentArchive struct{ ID, Vault, Name, State string }

// LoadSnapshots applies what snapshots say to a catalogue that was put together from discs: what the discs don't say of themselves. It
// is to be called when the discs have been taken in, and may be repeated. Nothing that discs say is overwritten: no archive, image or extent is made or
// changed, and no disc is made but retired and spoiled ones, whose histories the durability ledger counts. open opens each snapshot, and is called twice.
func (s *Store) LoadSnapshots(ctx context.Context, open []func() (io.ReadCloser, error)) (*Loaded, error) {
	l := &Loaded{Doubts: map[int]error{}}
	order, err := l.choose(open)
	if err != nil {
		return nil, err
	}
	if len(order) == 0 {
		return l, nil
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `create temp table told (kind text, key text, doc jsonb not null, primary key (kind, key)) on commit drop`); err != nil {
			return err
		}
		for _, i := range order {
			if err := tell(ctx, tx, open[i]); err != nil {
				return err
			}
		}
		return l.apply(ctx, tx)
	})
	if err != nil {
		return nil, fmt.Errorf("load snapshots: %w", err)
	}
	return l, nil
}

// choose reads the snapshots for what they say of themselves, and returns which of them to apply, in which order.
func (l *Loaded) choose(open []func() (io.ReadCloser, error)) ([]int, error) {
	var good []int
	var all []snapshot.Summary
	for i := range open {
		r, err := open[i]()
		if err != nil {
			return nil, err
		}
		sum, err := snapshot.Read(r, nil)
		r.Close()
		if err != nil {
			l.Doubts[i] = err
			continue
		}
		good, all = append(good, i), append(all, sum)
	}
	order, gaps := snapshot.Chain(all)
	l.Gaps = gaps
	for n := range order {
		order[n] = good[order[n]]
	}
	return order, nil
}

// tellBatch is how many records travel in one statement.
const tellBatch = 1000

// tell brings the records of a snapshot into the table told, over what was told before.
func tell(ctx context.Context, tx pgx.Tx, open func() (io.ReadCloser, error)) error {
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	var kinds, keys, docs []string
	at := map[string]int{} // a statement may not write the same row twice
	flush := func() error {
		_, err := tx.Exec(ctx, `
insert into told (kind, key, doc) select * from unnest($1::text[], $2::text[], $3::jsonb[]) on conflict (kind, key) do update set doc = excluded.doc`, kinds, keys, docs)
		kinds, keys, docs = kinds[:0], keys[:0], docs[:0]
		clear(at)
		return err
	}
	_, err = snapshot.Read(r, func(x snapshot.Record) error {
		doc, err := json.Marshal(x)
		if err != nil {
			return err
		}
		if i, ok := at[x.Kind()+" "+x.Key()]; ok {
			docs[i] = string(doc)
			return nil
		}
		at[x.Kind()+" "+x.Key()] = len(docs)
		kinds, keys, docs = append(kinds, x.Kind()), append(keys, x.Key()), append(docs, string(doc))
		if len(docs) == tellBatch {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// known makes a temporary table of which told disc is which of the catalogue: the one of that label and image, or else one of
// that image which no other told disc is. Labels are the old catalogue's own: discs don't say them.
const known = `
create temp table known on commit drop as
with t as (
  select doc->>'label' as label, nullif(doc->>'image', '')::uuid as image, doc->>'state' as state from told where kind = 'disc'),
same as (
  select t.label, d.id from t join disc d on d.label = t.label and (d.image_id is not distinct from t.image or d.image_id is null and d.state in ('retired', 'spoiled'))),
free as (
  select d.id, d.image_id, row_number() over (partition by d.image_id order by d.state, d.id) as n
    from disc d where d.image_id is not null and d.state in ('good', 'suspect') and not exists (select from same where id = d.id)),
asked as (
  select t.label, t.image, row_number() over (partition by t.image order by t.state <> 'good', t.label) as n
    from t where t.image is not null and t.state in ('good', 'suspect', 'verifying', 'burning') and not exists (select from same where label = t.label))
select label, id from same union all select a.label, f.id from asked a join free f on f.image_id = a.image and f.n = a.n`

// healAt is the grade at which a told vault's discs are healed, where it is one.
const healAt = `case when doc->>'heal_at' in ('migrate_soon', 'migrate_now') then (doc->>'heal_at')::disc_grade end`

// apart is whether a told vault's copies are made in different libraries.
const apart = `not coalesce((doc->>'together')::boolean, false)`

const words = `(doc->>'%[1]s') = any (enum_range(null::%[2]s)::text[])`

// span is an interval of whole days and seconds.
func span(seconds string) string {
	return "case when " + seconds + " is not null then make_interval(days => (" + seconds + " / 86400)::int, secs => (" + seconds + " % 86400)::float8) end"
}

// applied are the statements that bring what was told into the catalogue, and what they count. Each can be repeated.
var applied = []struct {
	what  string
	count func(*Loaded) *int64
	sql   string
}{
	// A vault that no disc was read of is made, as discs may still come. Of one that discs speak of, what they don't say is filled in.
	{"vaults", func(l *Loaded) *int64 { return &l.Vaults }, `
insert into vault (id, name, created, copies, max_wait, roots, spare_areas, scrub_interval, set_data, set_parity, set_wait, heal_at, apart)
select (doc->>'id')::uuid, doc->>'name', (doc->>'created')::timestamptz, (doc->>'copies')::int, ` + span(`(doc->>'max_wait_seconds')::bigint`) + `,
       (doc->>'roots')::int, (doc->>'spare_areas')::boolean, ` + span(`greatest((doc->>'scrub_seconds')::bigint, 86400)`) + `,
       (doc->>'set_data')::int, (doc->>'set_parity')::int, ` + span(`greatest((doc->>'set_wait_seconds')::bigint, 1)`) + `, ` + healAt + `, ` + apart + `
  from told where kind = 'vault'
on conflict do nothing`},
	{"vaults' settings", func(l *Loaded) *int64 { return &l.Vaults }, `
update vault v set scrub_interval = t.scrub, set_data = t.set_data, set_parity = t.set_parity, set_wait = t.wait, spare_areas = t.spare, heal_at = t.heal_at, apart = t.apart
  from (select (doc->>'id')::uuid as id, ` + span(`greatest((doc->>'scrub_seconds')::bigint, 86400)`) + ` as scrub, (doc->>'set_data')::int as set_data,
               (doc->>'set_parity')::int as set_parity, ` + span(`greatest((doc->>'set_wait_seconds')::bigint, 1)`) + ` as wait,
               (doc->>'spare_areas')::boolean as spare, ` + healAt + ` as heal_at, ` + apart + ` as apart from told where kind = 'vault') t
 where v.id = t.id and (v.scrub_interval, v.set_data, v.set_parity, v.set_wait, v.spare_areas, v.heal_at, v.apart) is distinct from (t.scrub, t.set_data, t.set_parity, t.wait, t.spare, t.heal_at, t.apart)`},
	{"libraries", func(l *Loaded) *int64 { return &l.Libraries }, `
insert into library (id, name, model, evacuation_limit)
select (doc->>'id')::uuid, doc->>'name', coalesce(doc->>'model', ''), ` + span(`nullif((doc->>'evacuation_limit_seconds')::bigint, 0)`) + `
  from told where kind = 'library'
on conflict do nothing`},
	{"libraries' settings", func(l *Loaded) *int64 { return &l.Libraries }, `
update library b set evacuation_limit = ` + span(`nullif((doc->>'evacuation_limit_seconds')::bigint, 0)`) + `
  from told where kind = 'library' and b.id = (doc->>'id')::uuid
   and b.evacuation_limit is distinct from ` + span(`nullif((doc->>'evacuation_limit_seconds')::bigint, 0)`) + ``},
	// No disc can say its own hash.
	{"images' hashes", nil, `
update image i set sha256 = decode(doc->>'sha256', 'hex')
  from told where kind = 'image' and i.id = key::uuid and i.sha256 is null and (doc->>'sha256') ~ '^[0-9a-f]{64}$'
   and i.sectors = (doc->>'sectors')::bigint`},
	{"sets", func(l *Loaded) *int64 { return &l.Sets }, `
update disc_set s set created = (doc->>'created')::timestamptz from told where kind = 'set' and s.id = (doc->>'id')::uuid and s.created > (doc->>'created')::timestamptz`},
	// Retired, spoiled and lost discs have histories; there is nothing on them that counts.
	{"old discs", func(l *Loaded) *int64 { return &l.Discs }, `
insert into disc (label, library_id, medium, capacity, state, image_id, reason, recorded, burned, verified, lot, media_id, spare_areas, failed, grade, grade_reason, grade_confirmed, graded)
select doc->>'label', (doc->>'library')::uuid, doc->>'medium', (doc->>'capacity')::bigint, (doc->>'state')::disc_state, i.id, coalesce(doc->>'reason', ''),
       (doc->>'recorded')::bigint, (doc->>'burned')::timestamptz, (doc->>'verified')::timestamptz, coalesce(doc->>'lot', ''), coalesce(doc->>'media_id', ''),
       coalesce((doc->>'spare_areas')::boolean, false), (doc->>'failed')::timestamptz,
       case when ` + fmt.Sprintf(words, "grade", "disc_grade") + ` then (doc->>'grade')::disc_grade end, coalesce(doc->>'grade_reason', ''),
       coalesce((doc->>'grade_confirmed')::boolean, false), (doc->>'graded')::timestamptz
  from told left join image i on i.id = nullif(doc->>'image', '')::uuid
 where kind = 'disc' and doc->>'state' in ('retired', 'spoiled', 'lost') and exists (select from library where id = (doc->>'library')::uuid)
on conflict do nothing`},
	{"which disc is which", nil, known},
	{"discs", func(l *Loaded) *int64 { return &l.Discs }, `
update disc d set label = t.label, burned = t.burned, verified = t.verified, lot = t.lot, media_id = t.media_id, spare_areas = t.spare, failed = t.failed, scrub_due = t.due,
       state = t.state, reason = t.reason, operator_grade = t.word, operator_reason = t.why, operator_judged = t.judged
  from (select d.id, case when exists (select from disc o where o.label = k.label) then d.label else k.label end as label,
               coalesce((doc->>'burned')::timestamptz, d.burned) as burned, coalesce((doc->>'verified')::timestamptz, d.verified) as verified,
               coalesce(nullif(d.lot, ''), doc->>'lot', '') as lot, coalesce(nullif(d.media_id, ''), doc->>'media_id', '') as media_id,
               coalesce((doc->>'spare_areas')::boolean, false) as spare, coalesce(d.failed, (doc->>'failed')::timestamptz) as failed,
               coalesce((doc->>'scrub_due')::timestamptz, d.scrub_due) as due,
               case when d.state = 'good' and doc->>'state' = 'suspect' then 'suspect' else d.state end as state,
               case when d.state = 'good' and doc->>'state' = 'suspect' then coalesce(doc->>'reason', '') else d.reason end as reason,
               coalesce(d.operator_grade, case when ` + fmt.Sprintf(words, "operator_grade", "disc_grade") + ` then (doc->>'operator_grade')::disc_grade end) as word,
               coalesce(nullif(d.operator_reason, ''), doc->>'operator_reason', '') as why, coalesce(d.operator_judged, (doc->>'operator_judged')::timestamptz) as judged
          from known k join told on kind = 'disc' and key = k.label join disc d on d.id = k.id and d.state in ('good', 'suspect')) t
 where d.id = t.id
   and (d.label, d.burned, d.verified, d.lot, d.media_id, d.spare_areas, d.failed, d.scrub_due, d.state, d.operator_grade, d.operator_judged) is distinct from
       (t.label, t.burned, t.verified, t.lot, t.media_id, t.spare, t.failed, t.due, t.state, t.word, t.judged)`},
	{"steps", func(l *Loaded) *int64 { return &l.Steps }, `
insert into disc_step (disc_id, at, step, drive, detail)
select k.id, (doc->>'at')::timestamptz, doc->>'step', (doc->>'drive')::int, coalesce(doc->>'detail', '')
  from told join known k on k.label = doc->>'disc'
 where kind = 'step' and position(quote_literal(doc->>'step') in (select pg_get_constraintdef(oid) from pg_constraint where conname = 'disc_step_step_check')) > 0
   and not exists (select from disc_step s where s.disc_id = k.id and s.at = (doc->>'at')::timestamptz and s.step = doc->>'step')
 order by (doc->>'at')::timestamptz`},
	{"readings", func(l *Loaded) *int64 { return &l.Readings }, `
insert into reading (disc_id, library_id, drive, kind, begun, finished, good, error, sectors, done, seconds, retries, recovered, unreadable, disagreed, repaired, wrong,
                     worst_row, roots, slowest, slow, metric, measured)
select k.id, b.id, (doc->>'drive')::int, doc->>'what', (doc->>'begun')::timestamptz, (doc->>'finished')::timestamptz, (doc->>'good')::boolean, coalesce(doc->>'error', ''),
       (doc->>'sectors')::bigint, (doc->>'done')::bigint, (doc->>'seconds')::float8, coalesce((doc->>'retries')::bigint, 0), coalesce((doc->>'recovered')::bigint, 0),
       coalesce((doc->>'unreadable')::bigint, 0), coalesce((doc->>'disagreed')::bigint, 0), coalesce((doc->>'repaired')::bigint, 0), coalesce((doc->>'wrong')::bigint, 0),
       coalesce((doc->>'worst_row')::int, 0), coalesce((doc->>'roots')::int, 0), coalesce((doc->>'slowest')::float8, 0), coalesce((doc->>'slow')::int, 0),
       coalesce(doc->>'metric', ''), (doc->>'measured')::float8
  from told join known k on k.label = doc->>'disc' join library b on b.id = (doc->>'library')::uuid
 where kind = 'reading' and doc->>'what' in ('scrub', 'read')
   and not exists (select from reading r where r.disc_id = k.id and r.begun = (doc->>'begun')::timestamptz)
 order by (doc->>'finished')::timestamptz`},
	{"regions", nil, `
insert into reading_region (reading_id, number, first, sectors, drive, seconds, retries, recovered, unreadable, disagreed, repaired, errors, sense)
select r.id, (g->>'number')::int, (g->>'first')::bigint, (g->>'sectors')::bigint, (g->>'drive')::int, (g->>'seconds')::float8, coalesce((g->>'retries')::bigint, 0),
       coalesce((g->>'recovered')::bigint, 0), coalesce((g->>'unreadable')::bigint, 0), coalesce((g->>'disagreed')::bigint, 0), coalesce((g->>'repaired')::bigint, 0),
       coalesce((g->>'errors')::bigint, 0), coalesce(g->>'sense', '')
  from told join known k on k.label = doc->>'disc' join reading r on r.disc_id = k.id and r.begun = (doc->>'begun')::timestamptz
  cross join jsonb_array_elements(coalesce(doc->'regions', '[]')) g
 where told.kind = 'reading'
on conflict do nothing`},
}

func (l *Loaded) apply(ctx context.Context, tx pgx.Tx) error {
	for _, a := range applied {
		tag, err := tx.Exec(ctx, a.sql)
		if err != nil {
			return fmt.Errorf("%s: %w", a.what, err)
		}
		if a.count != nil {
			*a.count(l) += tag.RowsAffected()
		}
	}
	if l.Readings > 0 {
		if err := judgeAll(ctx, tx); err != nil {
			return err
		}
	}
	return l.absent(ctx, tx)
}

// judgeAll grades the discs that have got readings.
func judgeAll(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `select distinct k.id from known k join disc d on d.id = k.id and d.state in ('good', 'suspect') join reading r on r.disc_id = k.id`)
	if err != nil {
		return err
	}
	discs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	for _, d := range discs {
		if _, _, err := grade(ctx, tx, d); err != nil {
			return fmt.Errorf("grade a disc: %w", err)
		}
	}
	return nil
}

// absent says what was told of and is not in the catalogue.
func (l *Loaded) absent(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `
with d as (
  select doc->>'label' as label, doc->>'state' as state, nullif(doc->>'image', '') as image, doc->>'library' as library from told
   where kind = 'disc' and doc->>'state' in ('burning', 'verifying', 'good', 'suspect') and not exists (select from known where label = doc->>'label'))
select coalesce(d.label, ''), coalesce(d.state, ''), coalesce(i.key, d.image, ''), coalesce((i.doc->>'number')::bigint, 0), coalesce(b.doc->>'name', ''),
       coalesce(i.doc->>'set', ''), coalesce((i.doc->>'index')::int, 0), coalesce(v.doc->>'name', ''), coalesce(i.doc->>'medium', '')
  from (select * from told where kind = 'image') i full join d on d.image = i.key
  left join told b on b.kind = 'library' and b.key = coalesce(d.library, i.doc->>'library')
  left join told v on v.kind = 'vault' and v.key = i.doc->>'vault'
 where d.label is not null
    or i.doc ? 'sha256' and not exists (select from disc x where x.image_id = i.key::uuid and x.state in ('burning', 'verifying', 'good', 'suspect'))
       and not exists (select from told x where x.kind = 'disc' and x.doc->>'image' = i.key and x.doc->>'state' = 'retired')
 order by 4, 1`)
	if err != nil {
		return err
	}
	if l.AbsentDiscs, err = pgx.CollectRows(rows, pgx.RowToStructByPos[AbsentDisc]); err != nil {
		return err
	}
	rows, err = tx.Query(ctx, `
select t.key, coalesce(v.doc->>'name', t.doc->>'vault'), t.doc->>'name', t.doc->>'state' from told t left join told v on v.kind = 'vault' and v.key = t.doc->>'vault'
 where t.kind = 'archive' and t.doc->>'state' <> 'deleted' and not exists (select from archive where id = t.key::uuid) order by 2, 3, 1`)
	if err != nil {
		return err
	}
	l.AbsentArchives, err = pgx.CollectRows(rows, pgx.RowToStructByPos[AbsentArchive])
	return err
}
