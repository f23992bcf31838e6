package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/ecc"
	"github.com/odarchive/odarchive/archive/image"
	"github.com/odarchive/odarchive/archive/pack"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// TestBuildProtected builds an image with error correction, and has dvdisaster test it.
func TestBuildProtected(t *testing.T) {
	_, want := plannedWith(t, 1)
	data := int64(len(want)) / archive.SectorSize
	g, burned, err := pack.Protect(20000, 64, data)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	inBubble(t, 2, 1, func(s *site) {
		s.images[imageA], _ = plannedWith(s.T, g.Layer)
		defer s.start().end()
		task := func(sectors, layer int64) *pb.Task {
			return &pb.Task{Work: &pb.Task_Build{Build: &pb.Build{ImageId: imageA, Sectors: sectors, LayerSectors: layer}}}
		}
		s.failed(s.run(task(burned+1, g.Layer)), pb.Failure_FAILURE_INTERNAL)
		s.failed(s.run(task(burned, g.Layer+32)), pb.Failure_FAILURE_INTERNAL)
		s.failed(s.run(task(burned, 1)), pb.Failure_FAILURE_INTERNAL)
		r := s.run(task(burned, g.Layer))
		s.ok(r)
		got, err := os.ReadFile(filepath.Join(s.dir, "scratch", imageA+built))
		sum := sha256.Sum256(got)
		if err != nil || int64(len(got)) != burned*archive.SectorSize || !bytes.Equal(r.GetSha256(), sum[:]) || r.GetBytes() != int64(len(got)) {
			s.Fatalf("%d bytes, %v, sum %x", len(got), err, r.GetSha256())
		}
		if !bytes.Equal(got[:len(want)], want) {
			s.Error("the data are not those of the layout")
		}
		source := ecc.Source{ReaderAt: bytes.NewReader(got)}
		h, err := ecc.Find(context.Background(), source, burned)
		if err != nil || h.Geometry != g {
			s.Fatalf("found %v, %v, want %v", h.Geometry, err, g)
		}
		if rep, err := ecc.Test(context.Background(), source, h, ecc.Options{Workers: 1}); err != nil || rep.Bad() != 0 || !rep.Whole() {
			s.Errorf("%d bad sectors, %v", rep.Bad(), err)
		}
		if err := os.WriteFile(filepath.Join(dir, "x.iso"), got, 0o600); err != nil {
			s.Fatal(err)
		}
	})
	if _, err := exec.LookPath("dvdisaster"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), "dvdisaster", "-i", filepath.Join(dir, "x.iso"), "-t")
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Ecc block test   : pass") {
		t.Errorf("dvdisaster -t: %v\n%s", err, out)
	}
}

// sectorsInMemory is an image that is being protected.
type sectorsInMemory []byte

func (m sectorsInMemory) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m).ReadAt(p, off)
}

func (m sectorsInMemory) WriteAt(p []byte, off int64) (int, error) { return copy(m[off:], p), nil }

// TestReadRepairs reads contents through sectors that the drive can't read.
func TestReadRepairs(t *testing.T) {
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
	extents := []*pb.ReadExtent{extent(data, 1, 2049), extent(data, 100, 2_000_000), extent(data, 2000, 700), extent(data, 2500, 70000)}
	burst := func(first, n int64) (all []int64) {
		for i := range n {
			all = append(all, first+i)
		}
		return all
	}
	for _, c := range []struct {
		name     string
		bad      []int64
		repaired int64
		worst    int32
		lost     []int
		runs     [][2]int64
		without  bool // the controller knows of no error correction
	}{
		{name: "scattered", bad: []int64{1, 150, 151, 900, 2000}, repaired: 5, worst: 1},
		{name: "a burst as large as it bears", bad: burst(110, g.Layer*int64(g.Roots())), repaired: g.Layer * int64(g.Roots()), worst: int32(g.Roots())},
		{name: "header and descriptor too", bad: append(burst(14, 4), 3000, 3001, 2000), repaired: 1, worst: 1},
		{name: "more than it bears", bad: append(burst(110, g.Layer*int64(g.Roots())), 110+g.Layer*int64(g.Roots())), worst: int32(g.Roots()) + 1, lost: []int{1}},
		{name: "no error correction", bad: []int64{150}, lost: []int{1}, runs: [][2]int64{{150, 1}}, without: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, 2, 1, func(s *site) {
				s.world.drives[1], s.world.home[1] = recorded(whole), 1
				s.world.drives[1].bad = sectors(c.bad...)
				defer s.start().end()
				layer := g.Layer
				if c.without {
					layer = 0
				}
				r := s.run(&pb.Task{Work: &pb.Task_Read{Read: &pb.Read{
					ImageId: imageA, Drive: 1, Extents: extents, Sectors: int64(len(whole)) / archive.SectorSize, LayerSectors: layer,
				}}})
				if len(c.lost) > 0 {
					s.failed(r, pb.Failure_FAILURE_DISC)
				} else {
					s.ok(r)
				}
				if len(r.GetLost()) != len(c.lost) || len(c.lost) == 0 && r.GetRepaired() != c.repaired || r.GetWorstRow() != c.worst {
					t.Errorf("%d contents lost, %d sectors repaired, worst row %d", len(r.GetLost()), r.GetRepaired(), r.GetWorstRow())
				}
				if c.runs != nil && !slices.Equal(runsOf(r), c.runs) {
					t.Errorf("unreadable %v, want %v", runsOf(r), c.runs)
				}
			})
		})
	}
}
