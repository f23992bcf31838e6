package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// Two libraries verify at once, each in a transaction that doesn't see the other's: the two copies of an image, or the only copies of an archive's two images.
// Everything is safe when both have committed, and has left staging.
func TestSettleAtOnce(t *testing.T) {
	for _, c := range []struct {
		name   string
		copies int
		images int
	}{{"copies of an image", 2, 1}, {"images of an archive", 1, 2}} {
		t.Run(c.name, func(t *testing.T) {
			p := newPair(t, c.copies, 3, 3)
			images := make([]string, 2)
			image, job := p.plan()
			images[0], images[1] = image, image
			if c.images == 2 {
				images[1], _ = p.plan()
				// The second image carries a part of the first archive, too, and a part of its content.
				p.exec(`insert into placement (archive_id, image_id, bytes) values ($1, $2, 1)`, job, images[1])
				p.exec(`update content set size = 4096 where hash = sha256($1::text::bytea)`, image)
				p.exec(`insert into extent (image_id, content_id, content_offset, length, sector) select $1::uuid, id, 2048, 2048, 500 from content where hash = sha256($2::text::bytea)`, images[1], image)
			}
			p.exec(`update image set sha256 = $1`, imageHash)
			for i, a := range []*agent{p.here, p.there} {
				p.exec(`
update disc set state = 'burning', image_id = $1 where id = (select min(id) from disc where library_id = $2 and state = 'blank')`, images[i], a.lib)
			}
			p.exec(`update disc set state = 'verifying', burned = now(), recorded = 1000 where state = 'burning'`)
			verified := func(tx pgx.Tx, a *agent, image string) error {
				if _, err := tx.Exec(t.Context(), `update disc set state = 'good', verified = now() where library_id = $1 and state = 'verifying'`, a.lib); err != nil {
					return err
				}
				return settle(t.Context(), tx, image)
			}
			first, err := p.s.pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer first.Rollback(t.Context())
			if err := verified(first, p.here, images[0]); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() {
				done <- p.s.inTx(t.Context(), func(tx pgx.Tx) error { return verified(tx, p.there, images[1]) })
			}()
			for waits := 0; waits == 0 && len(done) == 0; { // for the first, or not at all
				waits = p.count(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)
			}
			if err := first.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if n := p.count(`select count(*) from image where safe is null`); n > 0 {
				t.Errorf("%d images are not safe", n)
			}
			if got := p.said(`select state::text from job where id = $1`, job); got != "succeeded" {
				t.Errorf("the job is %s", got)
			}
			if n := p.count(`select count(*) from content where staged`); n > 0 {
				t.Errorf("%d contents are still staged", n)
			}
		})
	}
}
