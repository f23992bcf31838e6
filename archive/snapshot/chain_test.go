package snapshot

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/archive"
)

// TestChain: of whatever snapshots are left, in whatever order, those are read that have something to say, oldest first; and of those
// that were lost each is named that somebody else follows.
func TestChain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var made []Summary
		last := map[string]*Link{}
		number := map[string]int{}
		for i := range rapid.IntRange(1, 20).Draw(t, "snapshots") {
			lib := uuid(rapid.IntRange(1, 2).Draw(t, "library"))
			s := Summary{Header: Header{ID: uuid(100 + i), Taken: moment.Add(time.Duration(i) * time.Hour), Library: lib, Set: uuid(3)}, SHA256: archive.Hash{byte(i)}}
			s.Complete = rapid.IntRange(0, 4).Draw(t, "cut") > 0
			if last[lib] != nil && rapid.Bool().Draw(t, "follows") {
				s.Follows, s.Number = last[lib], number[lib]+1
			}
			if s.Complete {
				last[lib], number[lib] = &Link{s.ID, s.SHA256}, s.Number
			}
			made = append(made, s)
		}
		var here []Summary
		for _, i := range rapid.Permutation(numbers(len(made))).Draw(t, "order") {
			for range rapid.IntRange(0, 2).Draw(t, "times") {
				here = append(here, made[i])
			}
		}
		order, gaps := Chain(here)
		began := map[string]time.Time{} // of the newest full one, by library
		there := map[string]bool{}
		for _, s := range here {
			there[s.ID] = true
			if s.Full() && s.Complete && s.Taken.After(began[s.Library]) {
				began[s.Library] = s.Taken
			}
		}
		var want []string
		absent := map[Link]bool{}
		for _, s := range made {
			if !there[s.ID] || s.Taken.Before(began[s.Library]) {
				continue
			}
			want = append(want, s.ID)
			if s.Follows != nil && !there[s.Follows.ID] {
				absent[*s.Follows] = true
			}
		}
		var got []string
		for _, i := range order {
			got = append(got, here[i].ID)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("read are %v, want %v", got, want)
		}
		named := map[Link]bool{}
		for _, g := range gaps {
			named[g.Of] = true
		}
		if len(named) != len(absent) {
			t.Fatalf("missing are said to be %v, are %v", named, absent)
		}
		for l := range absent {
			if !named[l] {
				t.Fatalf("%v is missing, and not named", l)
			}
		}
	})
}

func numbers(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

// TestForgedLink: a snapshot of the right id and other bytes is not the one that another follows.
func TestForgedLink(t *testing.T) {
	a := Summary{Header: header(), Complete: true, SHA256: archive.Hash{1}}
	b := Summary{Header: header(), Complete: true, SHA256: archive.Hash{2}}
	b.ID, b.Taken, b.Number, b.Follows = uuid(8), moment.Add(1), 1, &Link{a.ID, archive.Hash{7}}
	if order, gaps := Chain([]Summary{a, b}); len(order) != 2 || len(gaps) != 1 || gaps[0].By.ID != b.ID {
		t.Errorf("%v %v", order, gaps)
	}
}

func TestFull(t *testing.T) {
	for _, c := range []struct {
		full int64
		then []int64
		want bool
	}{
		{100, nil, false},
		{100, []int64{50}, false},
		{100, []int64{50, 1}, true},
		{1 << 20, make([]int64, 15), false},
		{1 << 20, make([]int64, 16), true},
	} {
		if got := Full(c.full, c.then); got != c.want {
			t.Errorf("%d then %v: %v", c.full, c.then, got)
		}
	}
}
