package agent

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/ecc"
	"github.com/odarchive/odarchive/archive/image"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// TestCopy copies a disc to the scratch disk through what its error correction bears, and keeps nothing of one that is beyond it.
func TestCopy(t *testing.T) {
	data := inSectors(imageA, 3000)
	g, err := ecc.Shrink(3000, 32)
	if err != nil {
		t.Fatal(err)
	}
	whole := make(sectorsInMemory, image.Closed(g.Sectors())*archive.SectorSize)
	copy(whole, data)
	if err := ecc.Augment(t.Context(), whole, whole, ecc.Plan{Geometry: g}, ecc.Options{}); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(whole)
	limit := g.Layer * int64(g.Roots())
	burst := map[int64]bool{}
	for i := range limit {
		burst[110+i] = true
	}
	beyond := map[int64]bool{110 + limit: true}
	for s := range burst {
		beyond[s] = true
	}
	for _, c := range []struct {
		name    string
		bad     map[int64]bool
		change  int
		without bool
		failure pb.Failure
	}{
		{name: "good"},
		{name: "unprotected", without: true},
		{name: "scattered, in data and parity", bad: sectors(20, 150, 151, 900, g.Data+40)},
		{name: "other bytes", change: 500_000},
		{name: "a burst as large as it bears", bad: burst},
		{name: "one more", bad: beyond, failure: pb.Failure_FAILURE_DISC},
		{name: "unprotected and bad", bad: sectors(150), without: true, failure: pb.Failure_FAILURE_DISC},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, 2, 1, func(s *site) {
				d := recorded(bytes.Clone(whole))
				d.bad = c.bad
				if c.change > 0 {
					d.data[c.change]++
				}
				s.world.drives[1], s.world.home[1] = d, 1
				defer s.start().end()
				layer := g.Layer
				if c.without {
					layer = 0
				}
				r := s.run(&pb.Task{Work: &pb.Task_Copy{Copy: &pb.Copy{
					ImageId: imageA, Drive: 1, Sectors: int64(len(whole)) / archive.SectorSize, LayerSectors: layer, Sha256: sum[:],
				}}})
				got, err := os.ReadFile(filepath.Join(s.dir, "scratch", imageA+built))
				if c.failure != pb.Failure_FAILURE_NONE {
					s.failed(r, c.failure)
					if !os.IsNotExist(err) {
						t.Errorf("something is kept: %v", err)
					}
					return
				}
				s.ok(r)
				if err != nil || !bytes.Equal(got, whole) || !bytes.Equal(r.GetSha256(), sum[:]) {
					t.Errorf("the copy differs: %d bytes, %v", len(got), err)
				}
			})
		})
	}
}
