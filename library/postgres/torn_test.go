package postgres

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/library"
)

// tornBench is a set of three discs and one parity disc, of which lib-1 gives all but some rows.
type tornBench struct {
	*bench
	set   string
	rows  []Run
	read  []string // images of which rows were read, in the order of their discs
	whole []int64  // discs that were copied whole
	mends []TornWork
}

func newTornBench(t *testing.T) *tornBench {
	b := &tornBench{bench: newBench(t, 4, 4), rows: []Run{{100, 3}, {500, 40}}}
	b.set = b.inSet(3)
	b.blanks(5, 3)
	torn := int64(b.count(`select id from disc where label = 'lib-1'`))
	b.verify = func(task Task) Result {
		if task.DiscID == torn {
			return dead(task)
		}
		return well(task)
	}
	b.bench.read = func(task Task) Result {
		if task.DiscID == torn {
			return absent(task)
		}
		b.exec(`
with g as (insert into segment (open) values (false) returning id)
update content set segment_id = g.id, segment_offset = 0, cached_until = now() + interval '1 day' from g where segment_id is null`) // it has brought it
		return well(task)
	}
	b.copy = func(task Task) Result {
		n := task.Torn
		switch {
		case n != nil && n.Of != "":
			if n.Of != b.images[torn] || !slices.Equal(n.Rows, b.rows) || n.Set != b.set || n.Data != 3 || n.Protected != 900 {
				t.Errorf("%+v", n)
			}
			b.read = append(b.read, task.ImageID)
			return Result{Bytes: 43 * 2048}
		case task.DiscID == torn:
			if n == nil || n.Protected != 900 {
				t.Errorf("the copy isn't to be kept: %+v", n)
			}
			r := dead(task)
			r.Torn, r.Lacking, r.LackingSectors = true, b.rows, 20
			return r
		}
		b.whole = append(b.whole, task.DiscID)
		return well(task)
	}
	b.mend = func(task Task) Result {
		b.mends = append(b.mends, *task.Torn)
		return Result{SHA256: imageHash, Repaired: 20}
	}
	return b
}

// wanted is a retrieval of so much of a disc that its rows are not read first.
func (b *tornBench) wanted(label string) (job string) {
	b.Helper()
	job = b.bench.wanted(label)
	b.exec(`update content set size = $1`, large)
	b.exec(`update extent set length = $1`, large)
	return job
}

// large is the size of a content that doesn't come before its whole image.
const large = 300 * 2048

func (b *tornBench) nothingLeft() {
	b.Helper()
	if n := b.count(`select count(*) from torn`) + b.count(`select count(*) from torn_row`) + b.count(`select count(*) from early where over is null`) + b.count(`select count(*) from early_row`) + b.count(`select count(*) from heal where finished is null`) +
		b.count(`select count(*) from task where state in ('queued', 'leased')`); n != 0 {
		b.Errorf("%d rows of what was under way are left", n)
	}
}

// What a disc lacks is read of others of its set, and nothing else: each of its other discs once. The retrieval that wanted it comes to its end, and
// each step is in the disc's record.
func TestTornDisc(t *testing.T) {
	b := newTornBench(t)
	job := b.wanted("lib-1")
	b.settle()
	if j, err := b.s.Job(t.Context(), job); err != nil || j.State != library.Succeeded {
		t.Errorf("the retrieval is %s: %s %v", j.State, j.Error, err)
	}
	if len(b.whole) > 0 || len(b.read) != 3 {
		t.Errorf("rows were read of %v, and discs %v were read whole", b.read, b.whole)
	}
	if len(b.mends) != 1 || !b.mends[0].Torn || !slices.Equal(b.mends[0].RowsOf, []int{1, 2, 3}) {
		t.Errorf("%+v", b.mends)
	}
	h := b.record("lib-1")
	var said string
	for _, s := range h.Steps {
		said += s.Step + ": " + s.Detail + "\n"
	}
	for _, want := range []string{
		"other_drive: ", "set: all of it is copied but 20 sectors, in 2 runs", "set: 43 sectors of their set's rows were read of disc lib-2", "of disc lib-4",
		"set: 20 sectors of its image came from others of its set", "has replaced it",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("nobody says %q:\n%s", want, said)
		}
	}
	if h.Disc.State != library.Retired {
		t.Errorf("%+v", h.Disc)
	}
	b.nothingLeft()
}

// Agents are killed between the reads of rows, a drive can't read one of the discs, and another controller goes on: what was read isn't read again.
func TestTornDiscGoesOn(t *testing.T) {
	b := newTornBench(t)
	failures := map[string][]Result{}
	copied := b.copy
	b.copy = func(task Task) Result {
		if task.Torn == nil || task.Torn.Of == "" {
			return copied(task)
		}
		id := task.ImageID
		if _, ok := failures[id]; !ok {
			failures[id] = []Result{{Error: "the agent was stopped in the middle", Failure: Interrupted}, dead(task)}
		}
		if f := failures[id]; len(f) > 0 {
			failures[id] = f[1:]
			return f[0]
		}
		return copied(task)
	}
	b.heal("lib-1")
	b.settleAs("2")
	if len(b.whole) > 0 || len(b.read) != 3 || len(b.mends) != 1 {
		t.Errorf("rows were read of %v, and discs %v were read whole; %+v", b.read, b.whole, b.mends)
	}
	if n := b.count(`select count(*) from task a join task f on f.disc_id = a.disc_id and f.rows_of = a.rows_of and f.state = 'failed' and f.drive = a.drive where a.rows_of is not null and a.state = 'done'`); n != 0 {
		t.Errorf("%d discs were tried in the same drive again", n)
	}
	if h := b.record("lib-1"); h.Disc.State != library.Retired {
		t.Errorf("%+v", h.Disc)
	}
	b.nothingLeft()
}

// What came of rows isn't what was burned: whole discs are read, as of a disc that is lost.
func TestTornDiscOfWrongRows(t *testing.T) {
	b := newTornBench(t)
	b.bench.mend = func(task Task) Result {
		b.mends = append(b.mends, *task.Torn)
		if task.Torn.Torn {
			return Result{Error: "it comes to another hash", Failure: DiscFailure, Missing: true}
		}
		return well(task)
	}
	b.heal("lib-1")
	b.settle()
	if len(b.mends) != 2 || b.mends[1].Torn || len(b.whole) != 3 {
		t.Errorf("%+v, discs %v were read whole", b.mends, b.whole)
	}
	if h := b.record("lib-1"); h.Disc.State != library.Retired {
		t.Errorf("%+v %v", h.Disc, h.Steps)
	}
	b.nothingLeft()
}

// Somebody has emptied the scratch disk: the disc is copied again, and not the whole discs of its set.
func TestTornDiscIsGone(t *testing.T) {
	b := newTornBench(t)
	mend := b.mend
	b.bench.mend = func(task Task) Result {
		r := mend(task)
		if len(b.mends) == 1 {
			return Result{Error: "the torn copy is not there any more", Failure: RetryFailure, Missing: true}
		}
		return r
	}
	b.heal("lib-1")
	b.settle()
	if len(b.mends) != 2 || !b.mends[1].Torn || len(b.whole) > 0 || len(b.read) != 6 {
		t.Errorf("%+v, rows were read of %v, and discs %v were read whole", b.mends, b.read, b.whole)
	}
	if h := b.record("lib-1"); h.Disc.State != library.Retired {
		t.Errorf("%+v %v", h.Disc, h.Steps)
	}
	b.nothingLeft()
}

// More is lost of some rows than the set bears: that is said, and nothing goes on. The copy leaves the scratch disk.
func TestTornDiscBeyondItsSet(t *testing.T) {
	b := newTornBench(t)
	copied := b.copy
	b.copy = func(task Task) Result {
		r := copied(task)
		if r.Error == "" {
			r.LackingSectors = 2
		}
		return r
	}
	b.bench.mend = func(task Task) Result {
		b.mends = append(b.mends, *task.Torn)
		return Result{Error: "of 20 sectors the others don't give 2 either", Failure: DiscFailure}
	}
	b.heal("lib-1")
	b.settle()
	if len(b.mends) != 1 || len(b.whole) > 0 {
		t.Errorf("%+v, discs %v were read whole", b.mends, b.whole)
	}
	if h := b.record("lib-1"); !strings.Contains(fmt.Sprint(h.Steps), "given up: it can't be rebuilt from its set: of 20 sectors") {
		t.Errorf("%v", h.Steps)
	}
	if n := b.count(`select count(*) from task where kind = 'release' and state = 'done'`); n != 1 {
		t.Errorf("%d copies left the scratch disk", n)
	}
	b.nothingLeft()
}
