package postgres

import (
	"testing"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/library"
)

// parts is a content in three parts, on the first three discs of a library, and a read of each that is under way.
type parts struct {
	*bench
	content archive.Content
	refs    []Ref
}

func newParts(t *testing.T, protected ...bool) *parts {
	p := &parts{bench: newBench(t, 4, 2), content: archive.Content{Hash: archive.Hash{3}, Size: 3 * 2048}}
	p.exec(`insert into content (vault_id, hash, size, sealed, planned, staged) select id, $1, $2, true, true, false from vault where name = 'v'`, p.content.Hash[:], p.content.Size)
	for n, has := range protected {
		p.exec(`update image set layer_sectors = case when $2 then 3 else 0 end where id = (select image_id from disc where label = 'lib-' || $1::int)`, n+1, has)
		var ref Ref
		if err := p.s.pool.QueryRow(t.Context(), `
insert into task (library_id, kind, disc_id, drive, state, epoch)
select library_id, 'read', id, $1, 'leased', 1 from disc where label = 'lib-' || $1::int returning id, epoch`, n+1).Scan(&ref.ID, &ref.Epoch); err != nil {
			t.Fatal(err)
		}
		p.refs = append(p.refs, ref)
	}
	return p
}

// join brings all parts, and then they don't fit.
func (p *parts) join() {
	p.Helper()
	for n, ref := range p.refs {
		whole, err := p.s.CachedPart(p.Context(), ref, p.content, int64(n)*2048, 2048)
		if err != nil || whole != (n == len(p.refs)-1) {
			p.Fatalf("part %d: whole %v, %v", n, whole, err)
		}
	}
	if err := p.s.WrongParts(p.Context(), p.refs[len(p.refs)-1], p.content.Hash); err != nil {
		p.Fatal(err)
	}
	if n := p.count(`select count(*) from cache_part`); n != 0 {
		p.Errorf("%d parts are left", n)
	}
}

// Parts that don't fit are the fault of the discs that nothing has proven, and not of the one whose part came last.
func TestWrongParts(t *testing.T) {
	for _, c := range []struct {
		name      string
		protected []bool
		blamed    []bool
	}{
		{"one is unproven", []bool{true, false, true}, []bool{false, true, false}},
		{"two are", []bool{false, false, true}, []bool{true, true, false}},
		{"the last one is, and says so itself", []bool{true, true, false}, []bool{false, false, false}},
		{"all are", []bool{false, false, false}, []bool{true, true, false}},
		{"all are proven", []bool{true, true, true}, []bool{false, false, true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newParts(t, c.protected...)
			p.join()
			for n, blamed := range c.blamed {
				label := "lib-" + string(rune('1'+n))
				h := p.record(label)
				failed := p.count(`select count(*) from read_failure f join disc d on d.id = f.disc_id where d.label = $1`, label) == 1
				verify := p.count(`select count(*) from task t join disc d on d.id = t.disc_id where d.label = $1 and t.kind = 'verify'`, label) == 1
				if failed != blamed || verify != blamed || (h.Disc.State == library.Suspect) != blamed || (len(h.Steps) == 1) != blamed {
					t.Errorf("disc %s: failed %v, to be read %v, %s, %v", label, failed, verify, h.Disc.State, h.Steps)
				}
			}
		})
	}
}

// What came from a scratch disk is proven, whatever discs its image is on: when the parts don't fit, no disc of its image is blamed for it.
func TestWrongPartsFromScratch(t *testing.T) {
	for _, c := range []struct {
		name      string
		protected []bool
		served    []bool
		blamed    []bool
		image     bool // the last one's
	}{
		{"the last one, and one is unproven", []bool{true, false, false}, []bool{false, false, true}, []bool{false, true, false}, false},
		{"the last one, and all are proven", []bool{true, true, false}, []bool{false, false, true}, []bool{false, false, false}, true},
		{"all of them", []bool{false, false, false}, []bool{true, true, true}, []bool{false, false, false}, true},
		{"the first one, and all are proven", []bool{false, true, true}, []bool{true, false, false}, []bool{false, false, true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newParts(t, c.protected...)
			for n, served := range c.served {
				if served {
					p.exec(`update task t set kind = 'serve', image_id = d.image_id, disc_id = null, drive = null from disc d where t.id = $1 and d.id = t.disc_id`, p.refs[n].ID)
				}
			}
			p.join()
			for n, blamed := range c.blamed {
				label := "lib-" + string(rune('1'+n))
				if failed := p.count(`select count(*) from read_failure f join disc d on d.id = f.disc_id where d.label = $1`, label) == 1; failed != blamed {
					t.Errorf("disc %s: failed %v", label, failed)
				}
			}
			if n := p.count(`select count(*) from image_failure f join disc d on d.image_id = f.image_id where d.label = 'lib-3'`); n == 1 != c.image || p.count(`select count(*) from image_failure`) != n {
				t.Errorf("%d failures of the last image", n)
			}
		})
	}
}

// A disc that could not give a content is asked for it again once it has been read as a whole, or an operator says that it is well.
func TestTrust(t *testing.T) {
	p := newParts(t)
	p.exec(`insert into read_failure (disc_id, content_id) select d.id, c.id from disc d, content c`)
	p.verify = dirty(3)
	p.scrub("lib-1")
	p.verify = func(t Task) Result { return dead(t) }
	p.scrub("lib-2")
	if err := p.s.JudgeDisc(t.Context(), "lib-3", 1, "polished"); err != nil {
		t.Fatal(err)
	}
	for label, want := range map[string]int{"lib-1": 0, "lib-2": 1, "lib-3": 0, "lib-4": 1} {
		if n := p.count(`select count(*) from read_failure f join disc d on d.id = f.disc_id where d.label = $1`, label); n != want {
			t.Errorf("%s: %d failures, want %d", label, n, want)
		}
	}
}
