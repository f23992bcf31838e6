package snapshot

import (
	"cmp"
	"slices"
	"strings"
)

// Gap is a snapshot that another one follows and that is not at hand: what only it told is missing.
type Gap struct {
	Of Link // the absent one
	By Header
}

// Chain returns which of the snapshots at hand are to be read, in which order, as indexes into all: what a later one says holds. Those that a complete, full
// one of the same library has made needless are left out, and so is what is there twice. gaps says which are missing between them. Any
// subset does, in any order.
func Chain(all []Summary) (order []int, gaps []Gap) {
	newest := map[string]*Summary{} // full ones, by library
	at := map[string]int{}
	for i := range all {
		s := &all[i]
		if j, ok := at[s.ID]; !ok || compare(s, &all[j]) < 0 {
			at[s.ID] = i
		}
		if n := newest[s.Library]; s.Full() && s.Complete && (n == nil || compare(n, s) < 0) {
			newest[s.Library] = s
		}
	}
	needed := func(s *Summary) bool {
		n := newest[s.Library]
		return n == nil || n == s || compare(n, s) <= 0
	}
	for i := range all {
		if at[all[i].ID] == i && needed(&all[i]) {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return compare(&all[a], &all[b]) })
	for _, i := range order {
		f := all[i].Follows
		if f == nil {
			continue
		}
		if j, ok := at[f.ID]; !ok || all[j].SHA256 != f.SHA256 {
			gaps = append(gaps, Gap{*f, all[i].Header})
		}
	}
	return order, gaps
}

// compare orders snapshots by time, and by what else they are where the time is the same.
func compare(a, b *Summary) int {
	return cmp.Or(a.Taken.Compare(b.Taken), cmp.Compare(a.Number, b.Number), strings.Compare(a.ID, b.ID), strings.Compare(a.SHA256.String(), b.SHA256.String()))
}

// Full says by the sizes of a chain, in bytes, whether the next snapshot should be a full one: when those that follow the full one are together
// more than half of it, or sixteen. So the newest state is on seventeen discs at most, and takes little more than one and a half
// times the reading that a full one would.
func Full(full int64, following []int64) bool {
	sum := int64(0)
	for _, n := range following {
		sum += n
	}
	return len(following) >= 16 || sum > full/2
}
