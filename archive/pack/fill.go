package pack

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/odarchive/odarchive/archive"
)

// together is how many bytes a folder has at most that stays on one disc, where a disc holds several of that.
const together = 1_000_000_000

// filler puts the units of one archive onto images.
type filler struct {
	p     *planner
	a     *Archive
	s     *sorted
	units []unit
	done  []bool
	left  int     // units that are not done
	bySum []int32 // units in ascending order of cost
	below []int32 // below[i] leads to the largest i' ≤ i in bySum that is not done: -1+1 for none
	rest  []group // what a divided folder left over: it comes first on the next image
	front int     // all units before it are done
}

// archive puts everything of an archive that has no place yet onto images.
func (p *planner) archive(a *Archive) error {
	f := &filler{p: p, a: a, s: sortOut(a.Files, p.placed)}
	f.units = f.s.units(together, p.capacity/8)
	f.left, f.done = len(f.units), make([]bool, len(f.units))
	f.bySum, f.below = make([]int32, len(f.units)), make([]int32, len(f.units)+1)
	for i := range f.bySum {
		f.bySum[i] = int32(i)
	}
	slices.SortStableFunc(f.bySum, func(x, y int32) int { return int(f.units[x].cost - f.units[y].cost) })
	for i := range f.below {
		f.below[i] = int32(i)
	}
	if err := f.join(); err != nil {
		return err
	}
	for f.left > 0 || len(f.rest) > 0 {
		if err := f.image(); err != nil {
			return err
		}
	}
	return nil
}

// image fills the image that is being filled, and begins the next one when there is more.
func (f *filler) image() error {
	b := f.p.now
	for len(f.rest) > 0 && f.fits(f.rest[0].cost) {
		f.put(f.rest[0])
		f.rest = f.rest[1:]
	}
	f.inOrder()
	for i := f.largest(); i >= 0 && len(f.rest) == 0; i = f.largest() {
		f.place(i)
	}
	if f.left == 0 && len(f.rest) == 0 {
		return nil
	}
	if f.room() > f.p.capacity/400 || b.fresh(f.a) {
		split, err := f.divide()
		if err != nil || split {
			return err
		}
	}
	if f.p.now.fresh(f.a) {
		return f.tooSmall()
	}
	return f.next()
}

func (f *filler) tooSmall() error {
	g := f.first()
	return fmt.Errorf("%q does not fit onto an empty disc of %d sectors: %w", f.s.files[g.first].Path, f.p.capacity, ErrTooSmall)
}

// first returns a group that has no place.
func (f *filler) first() group {
	if len(f.rest) > 0 {
		return f.rest[0]
	}
	return f.s.groups[f.units[f.advance()].lo]
}

// advance returns the first unit that is not done.
func (f *filler) advance() int {
	for f.front < len(f.units) && f.done[f.front] {
		f.front++
	}
	return f.front
}

// room returns how many sectors more the image holds, less what estimates leave open.
func (f *filler) room() int64 { return f.p.capacity - f.p.now.sectors() - overhead }

func (f *filler) fits(cost int64) bool { return cost <= f.room() }

// inOrder places units in the order of paths, so that neighbours are on one disc, until there is little room.
func (f *filler) inOrder() {
	if len(f.rest) > 0 {
		return
	}
	for i := f.advance(); i < len(f.units); i++ {
		switch {
		case f.done[i]:
		case f.fits(f.units[i].cost):
			f.place(i)
		case f.room() < f.p.capacity/12:
			return
		}
	}
}

// largest returns the largest unit that fits, or -1.
func (f *filler) largest() int {
	room := f.room()
	n := sort.Search(len(f.bySum), func(k int) bool { return f.units[f.bySum[k]].cost > room })
	k := int32(n)
	for f.below[k] != k {
		f.below[k] = f.below[f.below[k]]
		k = f.below[k]
	}
	for k > 0 && f.done[f.bySum[k-1]] {
		f.below[k] = k - 1
		for k--; f.below[k] != k; k = f.below[k] {
			f.below[k] = f.below[f.below[k]]
		}
	}
	if k == 0 {
		return -1
	}
	return int(f.bySum[k-1])
}

func (f *filler) place(i int) {
	f.done[i] = true
	f.left--
	for _, g := range f.s.groups[f.units[i].lo:f.units[i].hi] {
		f.put(g)
	}
}

func (f *filler) put(g group) { f.run(g, 0, f.s.content(g).Size) }

// run puts a run of a content onto the image.
func (f *filler) run(g group, offset, n int64) {
	h := f.s.content(g).Hash
	if offset == 0 {
		if f.p.placed[h] {
			return
		}
		f.p.placed[h] = true
	}
	f.p.now.put(f.s, g, f.p.now.on[f.a.ID], offset, n)
}

// large says whether a file may be split.
func (f *filler) large(g group) bool {
	return f.s.content(g).Size > f.p.capacity*archive.SectorSize/200
}

// divide fills an image that has much room and that no unit fits: with part of a large file, or else of a folder. It says whether it
// began another image.
func (f *filler) divide() (bool, error) {
	if len(f.rest) > 0 {
		g := f.rest[0]
		if !f.large(g) {
			return false, nil
		}
		f.rest = f.rest[1:]
		return true, f.split(g)
	}
	folder := -1
	for i := f.advance(); i < len(f.units); i++ {
		if f.done[i] {
			continue
		}
		u := f.units[i]
		if g := f.s.groups[u.lo]; u.hi == u.lo+1 && f.large(g) {
			f.done[i] = true
			f.left--
			return true, f.split(g)
		} else if folder < 0 && u.hi > u.lo+1 {
			folder = i
		}
	}
	if folder < 0 {
		return false, nil
	}
	f.done[folder] = true
	f.left--
	for _, g := range f.s.groups[f.units[folder].lo:f.units[folder].hi] {
		switch {
		case f.p.placed[f.s.content(g).Hash]:
		case f.fits(g.cost + dirCost*8):
			f.put(g)
		default:
			f.rest = append(f.rest, g)
		}
	}
	if len(f.rest) > 0 && f.large(f.rest[0]) && f.room() > f.p.capacity/400 {
		g := f.rest[0]
		f.rest = f.rest[1:]
		return true, f.split(g)
	}
	return false, nil
}

// split puts a content onto this image and as many more as it takes. Each is full to its last sector.
func (f *filler) split(g group) error {
	size := f.s.content(g).Size
	for offset := int64(0); offset < size; {
		cost := g.cost - archive.Sectors(size) + dirCost*8
		n := min((f.room()-cost)*archive.SectorSize, size-offset)
		if n <= 0 {
			if f.p.now.fresh(f.a) {
				return fmt.Errorf("%q does not fit onto an empty disc of %d sectors: %w", f.s.files[g.first].Path, f.p.capacity, ErrTooSmall)
			}
			if err := f.next(); err != nil {
				return err
			}
			continue
		}
		f.run(g, offset, n)
		if offset+n < size {
			more, err := f.p.now.stretch(f.p.capacity, size-offset-n)
			if err != nil {
				return err
			}
			n += more
		}
		if offset += n; offset < size {
			if err := f.next(); err != nil {
				return err
			}
		}
	}
	return nil
}

// stretch gives the last run of an image as many of the left bytes more as there is room for once everything has its place, and
// returns how many.
func (b *building) stretch(capacity, left int64) (int64, error) {
	c, err := b.finished().Compose()
	if err != nil {
		return 0, err
	}
	n := capacity - c.Layout.Sectors()
	// A longer run may have one more digit in each of its lines, and one more record on the ISO side for each of its names.
	last := b.contents[b.files[len(b.files)-1].Content.Hash]
	var names int64
	for _, f := range b.files {
		if f.Content.Hash == last.Content.Hash {
			names++
		}
	}
	if digits(last.Length+n*archive.SectorSize) != digits(last.Length) || (last.Length+n*archive.SectorSize)>>32 != last.Length>>32 {
		n -= 2 + names
	}
	more := min(n*archive.SectorSize, left)
	if more <= 0 {
		return 0, nil
	}
	for _, f := range b.files {
		if f.Content.Hash == last.Content.Hash {
			if f.Length += more; f.Length == f.Content.Size {
				f.Part, f.Parts = 0, 0 // it is whole after all
			}
		}
	}
	b.estimate.AddContent(more) // the image is closed: one content too many doesn't matter
	return more, nil
}

func digits(n int64) int { return int(math.Log10(float64(max(n, 1)))) }

// next begins another image and joins it.
func (f *filler) next() error {
	if err := f.p.next(); err != nil {
		return err
	}
	return f.join()
}

// join adds the archive to the image, or to the next one when it doesn't fit.
func (f *filler) join() error {
	for range 2 {
		if f.p.now != nil {
			fits, err := f.p.now.addArchive(f.a, f.s, f.p.capacity)
			if err != nil || fits {
				return err
			}
			if len(f.p.now.image.Disc.Archives) == 0 {
				break
			}
		}
		if err := f.p.next(); err != nil {
			return err
		}
	}
	return fmt.Errorf("its manifest of %d bytes and what a disc says about itself take more than %d sectors: %w", f.a.ManifestSize, f.p.capacity, ErrTooSmall)
}
