package postgres

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/library"
)

// earlyBench is a set of which lib-1 gives only a part of the rows in which lies what is wanted.
type earlyBench struct {
	*tornBench
	gives  bool     // lib-1 gives its rows but one sector
	asked  []string // of which images rows were read early: their places in the set
	copies int      // whole discs
	serves []Task
	job    string // that waits
}

func newEarlyBench(t *testing.T) *earlyBench {
	b := &earlyBench{tornBench: newTornBench(t), gives: true}
	copied := b.bench.copy
	b.bench.copy = func(task Task) Result {
		n := task.Torn
		if n == nil || !n.Early {
			if n == nil || n.Of == "" {
				b.copies++
			}
			return copied(task)
		}
		own := task.ImageID == n.Of
		if j, err := b.s.Job(b.Context(), b.job); err != nil && b.job != "" || j.State == library.Running && (len(j.Doing) == 0 || !strings.HasPrefix(j.Doing[0], "reading rows of its set from disc lib-")) {
			t.Errorf("%+v %v", j, err)
		}
		if !slices.Equal(n.Rows, []Run{{0, 32}}) || n.Set != b.set || own != (n.Index == 0) {
			t.Errorf("%+v", n)
		}
		b.asked = append(b.asked, fmt.Sprint(n.Index))
		switch {
		case own && b.gives:
			return Result{Bytes: 31 * 2048, Lacking: []Run{{10, 1}}, LackingSectors: 1}
		case own:
			return dead(task)
		}
		return Result{Bytes: 32 * 2048}
	}
	b.serve = func(task Task) Result {
		b.serves = append(b.serves, task)
		return b.brings(task)
	}
	return b
}

// small wants what is small enough to come before its image.
func (b *earlyBench) small() (job string) {
	b.Helper()
	b.job = b.bench.wanted("lib-1")
	return b.job
}

// healed wants the disc to have been replaced in the end, and nothing to be left of what was under way.
func (b *earlyBench) healed() {
	b.Helper()
	if h := b.record("lib-1"); h.Disc.State != library.Retired {
		b.Errorf("%+v", h.Disc)
	}
	b.nothingLeft()
}

// What a retrieval waits for comes from rows of its set, before any disc is copied whole; then the disc is healed. Its own disc is asked first, and the
// others for what it doesn't give: for all of the rows when it gives nothing.
func TestEarly(t *testing.T) {
	for _, gives := range []bool{true, false} {
		t.Run(fmt.Sprint(gives), func(t *testing.T) {
			b := newEarlyBench(t)
			b.gives = gives
			job := b.small()
			serve := b.serve
			b.serve = func(task Task) Result {
				if b.copies > 0 || task.Early == 0 || len(task.Extents) != 1 || task.Extents[0].Sector != 10 {
					t.Errorf("after %d copies: %+v", b.copies, task)
				}
				of := []int{0, 1, 2, 3}
				if !gives {
					of = of[1:]
				}
				if n := task.Torn; n == nil || !slices.Equal(n.RowsOf, of) || task.Set == nil || task.Set.Set != b.set {
					t.Errorf("%+v %+v", task.Torn, task.Set)
				}
				return serve(task)
			}
			b.settle()
			b.ends(job, library.Succeeded)
			if len(b.serves) != 1 || len(b.asked) != 4 || b.asked[0] != "0" {
				t.Errorf("served %d times, of rows of %v", len(b.serves), b.asked)
			}
			said := b.told("lib-1")
			for _, want := range []string{
				"set: retrievals wait for 1 contents that no disc gives: the 32 sectors in which they lie come first",
				"32 sectors of the rows in which lies what retrievals wait for were read of disc lib-4",
				"heal: 2048 bytes that retrievals waited for were computed from rows of its set, before its image was whole",
			} {
				if !strings.Contains(said, want) {
					t.Errorf("nobody says %q:\n%s", want, said)
				}
			}
			if gives != strings.Contains(said, "set: of 32 sectors in which lies what retrievals wait for it gives all but 1") {
				t.Error(said)
			}
			b.healed()
		})
	}
}

// Agents are killed wherever they are, rows are gone from the scratch disk, and the cache is full for a while: it comes all the same.
func TestEarlyGoesOn(t *testing.T) {
	b := newEarlyBench(t)
	interrupted := Result{Error: "the agent was stopped in the middle", Failure: Interrupted}
	copied, killed := b.bench.copy, map[string]bool{}
	b.bench.copy = func(task Task) Result {
		if key := fmt.Sprint(task.ImageID, task.Torn != nil && task.Torn.Early); !killed[key] {
			killed[key] = true
			return interrupted
		}
		return copied(task)
	}
	serves := 0
	b.serve = func(task Task) Result {
		switch serves++; serves {
		case 1:
			return interrupted
		case 2:
			return Result{Error: "the rows of 2 images of its set are not on the scratch disk any more", Failure: RetryFailure, Absent: []int32{0, 2}}
		case 3:
			return Result{Error: "store contents: no space", Failure: RetryFailure}
		}
		return b.brings(task)
	}
	job := b.small()
	b.settle()
	b.ends(job, library.Running)
	b.exec(`update task set finished = finished - interval '2 minutes' where kind = 'serve'`)
	if err := b.s.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.settle()
	b.ends(job, library.Succeeded)
	if serves != 4 || len(b.asked) != 6 {
		t.Errorf("served %d times, rows were read of %v", serves, b.asked)
	}
	b.healed()
}

// What comes of the rows has a wrong hash: all of them are read of the others then. When that is wrong too, the heal goes on, and the content comes from
// the whole image.
func TestEarlyOfWrongContent(t *testing.T) {
	for _, wrong := range []int{1, 2} {
		t.Run(fmt.Sprint(wrong), func(t *testing.T) {
			b := newEarlyBench(t)
			serves := 0
			b.serve = func(task Task) Result {
				if serves++; serves <= wrong {
					return Result{Error: "of 1 contents these rows don't give 1", Failure: DiscFailure, Lost: [][]byte{imageHash}}
				}
				if early := task.Early != 0; early != (wrong == 1) {
					t.Errorf("serve %d: %+v", serves, task)
				}
				return b.brings(task)
			}
			job := b.small()
			b.settle()
			b.ends(job, library.Succeeded)
			if serves != wrong+1 || !slices.Equal(b.asked[:1], []string{"0"}) || len(b.asked) != 7 || slices.Contains(b.asked[1:], "0") {
				t.Errorf("served %d times, rows were read of %v", serves, b.asked)
			}
			if said := b.told("lib-1"); !strings.Contains(said, "come to a wrong hash") || strings.Contains(said, "before the whole image: of 1 contents") != (wrong == 2) {
				t.Error(said)
			}
			if n := b.count(`select count(*) from image_failure`); n != 0 {
				t.Error("an image that nobody has proven is said to be wrong")
			}
			b.healed()
		})
	}
}

// Too few of the others can be read: that is said, and nobody waits for them. The same holds when the scratch disk has no room or the cache stays full.
func TestEarlyGivenUp(t *testing.T) {
	for _, how := range []string{"others", "room", "cache"} {
		t.Run(how, func(t *testing.T) {
			b := newEarlyBench(t)
			copied := b.bench.copy
			b.bench.copy = func(task Task) Result {
				if n := task.Torn; n != nil && n.Early && n.Index == 2 && how == "others" {
					return dead(task)
				} else if n != nil && n.Early && n.Index == 2 && how == "room" {
					return Result{Error: "1 bytes are missing", Failure: RetryFailure}
				}
				return copied(task)
			}
			b.serve = func(task Task) Result {
				if how == "cache" && task.Early != 0 {
					return Result{Error: "store contents: no space", Failure: RetryFailure}
				}
				if task.Early != 0 && len(task.Extents) > 0 {
					t.Errorf("%+v", task.Extents)
				}
				return b.brings(task)
			}
			job := b.small()
			for range mostServes {
				b.settle()
				b.exec(`update task set finished = finished - interval '2 minutes' where kind = 'serve'`)
				if err := b.s.Tend(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			b.settle()
			b.ends(job, library.Succeeded)
			if said := b.told("lib-1"); !strings.Contains(said, "before the whole image: ") {
				t.Error(said)
			}
			b.healed()
		})
	}
}

// What is asked for while the image is being made whole comes before that is over; what is too much to read twice doesn't.
func TestEarlyWhileHealing(t *testing.T) {
	b := newEarlyBench(t)
	var first, late, much string
	copied := b.bench.copy
	b.bench.copy = func(task Task) Result {
		r := copied(task)
		if r.Torn {
			r.Torn, r.Lacking, r.LackingSectors = false, nil, 0 // the others are read whole
		}
		if len(b.whole) == 1 && late == "" {
			b.ends(first, library.Succeeded)
			late = b.beside("lib-1", "reel two", 12, 2048)
			much = b.beside("lib-1", "reel three", 400, large)
		}
		if n := task.Torn; late != "" && (n == nil || n.Of == "") { // whole discs take their time
			if j, err := b.s.Job(t.Context(), late); err != nil || j.State != library.Succeeded {
				return Result{Error: "the agent was stopped in the middle", Failure: Interrupted}
			}
		}
		return r
	}
	b.bench.mend = func(task Task) Result {
		b.ends(late, library.Succeeded)
		b.ends(much, library.Running)
		return well(task)
	}
	first = b.small()
	b.settle()
	b.ends(late, library.Succeeded)
	b.ends(much, library.Succeeded)
	b.healed()
}

// Nobody wants it any more: no more rows are read, and the disc is healed.
func TestEarlyOfNobody(t *testing.T) {
	b := newEarlyBench(t)
	copied := b.bench.copy
	b.bench.copy = func(task Task) Result {
		r := copied(task)
		if n := task.Torn; n != nil && n.Early {
			if _, err := b.s.CancelJob(t.Context(), b.job); err != nil {
				t.Error(err)
			}
		}
		return r
	}
	job := b.small()
	b.settle()
	b.ends(job, library.Cancelled)
	if !slices.Equal(b.asked, []string{"0"}) || len(b.serves) != 1 || len(b.serves[0].Extents) > 0 {
		t.Errorf("rows were read of %v, served %+v", b.asked, b.serves)
	}
	b.healed()
}
