package agent

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/ecc"
	"github.com/odarchive/odarchive/archive/image"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// augmented is an image of so many data sectors with error correction of 32 roots.
func augmented(t *testing.T, sectors int64) (sectorsInMemory, ecc.Geometry) {
	t.Helper()
	g, err := ecc.Shrink(sectors, 32)
	if err != nil {
		t.Fatal(err)
	}
	whole := make(sectorsInMemory, image.Closed(g.Sectors())*archive.SectorSize)
	copy(whole, inSectors(imageA, int(sectors)))
	if err := ecc.Augment(t.Context(), whole, whole, ecc.Plan{Geometry: g}, ecc.Options{}); err != nil {
		t.Fatal(err)
	}
	return whole, g
}

// TestSilent reads discs that give other bytes than were burned, and no error: as long as the error correction bears it everything comes
// back as it was, and the result says what was wrong.
func TestSilent(t *testing.T) {
	whole, g := augmented(t, 8000)
	small, large := extent(whole, 100, 100_000), extent(whole, 1000, 10_000_000)
	other := extent(whole, 7000, 5000)
	part := extent(whole, 6000, 900_000)
	sum := sha256.Sum256([]byte("a content of which the rest is elsewhere"))
	part.Hash, part.Size, part.Offset = sum[:], 2_000_000, 50_000
	large1, part1 := int64(1000+3000), int64(6000+300)
	// row returns n sectors of one row, that sector among them, and otherwise such as nobody reads.
	row := func(sector int64, n int) []int64 {
		all := []int64{sector}
		for s := sector % g.Layer; len(all) < n; s += g.Layer {
			if s/g.Layer == int64(255-g.Roots()-1) {
				continue // a checksum that is wrong is another case
			}
			read := false
			for _, x := range []*pb.ReadExtent{small, large, part, other} {
				read = read || s >= x.GetSector() && s < x.GetSector()+archive.Sectors(x.GetLength())
			}
			if !read && s > 32 {
				all = append(all, s)
			}
		}
		return all
	}
	crcBlock := func(sector int64) int64 { return g.Layer*int64(255-g.Roots()-1) + (sector-1)%g.Layer }
	type lost = []*pb.ReadExtent
	for _, c := range []struct {
		name    string
		change  []int64 // sectors
		bad     []int64 // that can't be read
		without bool    // no error correction
		refused int     // how often the part is
		site    func(s *site)
		lost    lost
		wrong   int64
		mended  int64
	}{
		{name: "nothing"},
		{name: "a small content", change: []int64{100, 148}, wrong: 2, mended: 2},
		{name: "a large content", change: []int64{large1}, wrong: 1, mended: 1},
		{name: "a part", change: []int64{part1, part1 + 1}, wrong: 2, mended: 2},
		{name: "all of them", change: []int64{100, large1, part1, 7001}, wrong: 4, mended: 4},
		{name: "silent and unreadable", change: []int64{100, part1}, bad: []int64{101, part1 + 1}, wrong: 2, mended: 4},
		{name: "its checksum can't be read", change: []int64{100, part1}, bad: []int64{crcBlock(100), crcBlock(part1)}, wrong: 2, mended: 2},
		{name: "as many of a row as it bears", change: row(100, g.Roots()), wrong: 1, mended: 1},
		{name: "one more of a part's row", change: row(part1, g.Roots()+1), wrong: 1, lost: lost{part}},
		{name: "one more of a content's row", change: row(100, g.Roots()+1), wrong: 1, lost: lost{small}},
		{name: "without error correction", change: []int64{100, part1}, without: true, lost: lost{small}},
		{name: "without error correction, and the parts don't fit", without: true, refused: 1, lost: lost{part}},
		{name: "another part is wrong", refused: 1},
		{name: "refused for ever", refused: 2, lost: lost{part}},
		{name: "a hash that nothing explains", site: func(s *site) { s.refuse[string(other.GetHash())] = true }, lost: lost{other}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, 2, 1, func(s *site) {
				d := recorded(bytes.Clone(whole))
				d.bad = sectors(c.bad...)
				for _, sector := range c.change {
					d.data[sector*archive.SectorSize+1000] ^= 4
				}
				s.world.drives[1], s.world.home[1] = d, 1
				s.inParts[string(part.GetHash())] = c.refused
				if c.site != nil {
					c.site(s)
				}
				defer s.start().end()
				task := &pb.Read{ImageId: imageA, Drive: 1, Extents: []*pb.ReadExtent{small, large, part, other}, Sectors: int64(len(whole)) / archive.SectorSize, LayerSectors: g.Layer}
				if c.without {
					task.LayerSectors = 0
				}
				r := s.run(&pb.Task{Work: &pb.Task_Read{Read: task}})
				if len(c.lost) == 0 {
					s.ok(r)
				} else {
					s.failed(r, pb.Failure_FAILURE_DISC)
				}
				if r.GetWrong() != c.wrong || r.GetRepaired() != c.mended {
					t.Errorf("%d sectors were wrong and %d repaired, want %d and %d", r.GetWrong(), r.GetRepaired(), c.wrong, c.mended)
				}
				if len(r.GetLost()) != len(c.lost) {
					t.Errorf("%d contents are lost, want %d: %s", len(r.GetLost()), len(c.lost), r.GetError())
				}
				gone := map[string]bool{}
				for _, x := range c.lost {
					gone[string(x.GetHash())] = true
				}
				for _, h := range r.GetLost() {
					if !gone[string(h)] {
						t.Errorf("%x is lost", h)
					}
				}
				if c.without && len(c.change) > 1 {
					return // nobody can know that the part is wrong
				}
				s.seen(func() {
					for i, x := range task.GetExtents() {
						want := whole[x.GetSector()*archive.SectorSize:][:x.GetLength()]
						if got, ok := s.stored[string(x.GetHash())]; ok == gone[string(x.GetHash())] || ok && !bytes.Equal(got, want) {
							t.Errorf("extent %d: stored %v, %d bytes", i, ok, len(got))
						}
					}
				})
			})
		})
	}
}
