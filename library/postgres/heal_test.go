package postgres

import (
	"slices"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/library"
)

// burned is what a disc says that a test has burned, or not yet.
func (b *bench) burned(disc int64) Identity {
	b.Helper()
	var image string
	if err := b.s.pool.QueryRow(b.Context(), `select coalesce((select image_id::text from disc where id = $1), '')`, disc).Scan(&image); err != nil {
		b.Fatal(err)
	}
	if image == "" {
		return Identity{State: BlankDisc}
	}
	return Identity{State: Ours, ImageID: image}
}

// blanks puts n blank discs behind the slots that there are.
func (b *bench) blanks(first, n int) {
	b.Helper()
	b.exec(`insert into element (library_id, kind, number, unit, fill) select $1, 'slot', g, 1, 'empty' from generate_series($2::int, $3) g`, b.lib, first, first+n-1)
	if _, err := b.s.StockBlanks(b.Context(), "lib", []SlotRange{{first, first + n - 1}}, "BD-R", 1000); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) heal(label string) {
	b.Helper()
	for range 2 { // said twice, done once
		if err := b.s.HealDisc(b.Context(), label); err != nil {
			b.Fatal(err)
		}
	}
	b.settle()
}

func (b *bench) count(sql string, args ...any) (n int) {
	b.Helper()
	if err := b.s.pool.QueryRow(b.Context(), sql, args...).Scan(&n); err != nil {
		b.Fatal(err)
	}
	return n
}

func TestHeal(t *testing.T) {
	b := newBench(t, 3, 2)
	b.verify, b.copy = well, well
	b.blanks(4, 2)
	b.heal("lib-1")
	h := b.record("lib-1")
	if h.Disc.State != library.Retired || !strings.HasPrefix(h.Disc.Reason, "replaced by disc ") {
		t.Errorf("%+v", h.Disc)
	}
	if got := steps(h); !slices.Equal(got, []string{"heal", "heal"}) {
		t.Error(got)
	}
	image := b.images[b.copies[0]]
	if n := b.count(`select count(*) from disc where image_id = $1 and state = 'good'`, image); n != 1 || len(b.copies) != 1 {
		t.Errorf("%d good discs after %d copies", n, len(b.copies))
	}
	if n := b.count(`select count(*) from task where kind = 'release' and image_id = $1`, image); n != 1 {
		t.Errorf("%d releases", n)
	}
	if err := b.s.HealDisc(t.Context(), "lib-1"); library.FaultOf(err) != library.Precondition {
		t.Error(err)
	}
	if err := b.s.HealDisc(t.Context(), "nope"); library.FaultOf(err) != library.NotFound {
		t.Error(err)
	}
}

// A disc that can't be copied is tried in two drives, then another copy of its image is.
func TestHealFromAnotherCopy(t *testing.T) {
	b := newBench(t, 3, 2)
	b.verify = well
	b.blanks(4, 2)
	b.exec(`update disc set image_id = (select image_id from disc where label = 'lib-1') where label = 'lib-2'`)
	b.exec(`update disc set state = 'suspect' where label = 'lib-1'`)
	var first, second int64
	if err := b.s.pool.QueryRow(t.Context(), `select min(id), max(id) from disc where label in ('lib-1', 'lib-2')`).Scan(&first, &second); err != nil {
		t.Fatal(err)
	}
	b.images[second] = b.images[first]
	b.copy = func(t Task) Result {
		if t.DiscID == second {
			return dead(t)
		}
		return well(t)
	}
	b.heal("lib-1")
	if want := []int64{second, first}; len(b.copies) < 2 || b.copies[0] != want[0] || b.copies[len(b.copies)-1] != want[1] {
		t.Errorf("copied %v, want first of %d, at last of %d", b.copies, second, first)
	}
	if h := b.record("lib-1"); h.Disc.State != library.Retired {
		t.Errorf("%+v", h.Disc)
	}
	if h := b.record("lib-2"); h.Disc.State != library.Good {
		t.Errorf("%+v", h.Disc)
	}
}

// When no disc gives the image, that is said, nothing is burned and the disc stays; a later word tries again.
func TestHealIsGivenUp(t *testing.T) {
	b := newBench(t, 2, 2)
	b.verify, b.copy = well, dead
	b.blanks(3, 1)
	b.heal("lib-1")
	h := b.record("lib-1")
	if h.Disc.State != library.Good || len(b.copies) != MaxCopyFailures {
		t.Errorf("%+v after %d copies", h.Disc, len(b.copies))
	}
	if n := b.count(`select count(*) from heal where error <> '' and finished is not null`); n != 1 {
		t.Errorf("%d given up", n)
	}
	if n := b.count(`select count(*) from task where kind = 'burn'`); n != 0 {
		t.Errorf("%d burns", n)
	}
	b.copy = well
	b.heal("lib-1")
	if h := b.record("lib-1"); h.Disc.State != library.Retired {
		t.Errorf("%+v", h.Disc)
	}
}
