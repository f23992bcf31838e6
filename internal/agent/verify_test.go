package agent

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

func verifyTask(id string, sectors int64, sum []byte) *pb.Task {
	return &pb.Task{Work: &pb.Task_Verify{Verify: &pb.Verify{ImageId: id, Drive: 1, Sectors: sectors, Sha256: sum}}}
}

func sectors(bad ...int64) map[int64]bool {
	m := map[int64]bool{}
	for _, s := range bad {
		m[s] = true
	}
	return m
}

func runsOf(r *pb.TaskResult) (runs [][2]int64) {
	for _, u := range r.GetUnreadable() {
		runs = append(runs, [2]int64{u.GetFirst(), u.GetCount()})
	}
	return runs
}

func TestVerify(t *testing.T) {
	const size = 1300 // not a multiple of what is read at a time
	image := inSectors(imageA, size)
	sum := sha256.Sum256(image)
	tooMany, tooManyRuns := sectors(), 0
	for s := int64(2); s < 2*size; s += 2 {
		tooMany[s] = true
		tooManyRuns++
	}
	for _, c := range []struct {
		name    string
		disc    func(*disc)
		failure pb.Failure
		runs    [][2]int64
	}{
		{name: "good", disc: func(*disc) {}},
		{name: "longer than the image", disc: func(d *disc) { d.data = append(d.data, make([]byte, 20*2048)...) }},
		{name: "second reading helps", disc: func(d *disc) { d.flaky = sectors(1, 2, 600, 1299) }},
		{name: "other bytes", disc: func(d *disc) { d.data[500_000]++ }, failure: pb.Failure_FAILURE_DISC},
		{
			name: "unreadable", disc: func(d *disc) { d.bad = sectors(1, 2, 3, 511, 512, 1299) }, failure: pb.Failure_FAILURE_DISC,
			runs: [][2]int64{{1, 3}, {511, 2}, {1299, 1}},
		},
		{name: "another image", disc: func(d *disc) { copy(d.data, imageB) }, failure: pb.Failure_FAILURE_DISC},
		{name: "too short", disc: func(d *disc) { d.data = d.data[:1299*2048] }, failure: pb.Failure_FAILURE_DISC},
		{name: "blank", disc: func(d *disc) { *d = *blank(size) }, failure: pb.Failure_FAILURE_DISC},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, 2, 1, func(s *site) {
				d := recorded(image)
				c.disc(d)
				s.world.drives[1], s.world.home[1] = d, 1
				p := s.start()
				defer p.end()
				r := s.run(verifyTask(imageA, size, sum[:]))
				if c.failure == pb.Failure_FAILURE_NONE {
					s.ok(r)
					if !slices.Equal(r.GetSha256(), sum[:]) || r.GetBytes() != size*2048 {
						t.Errorf("sum %x of %d bytes", r.GetSha256(), r.GetBytes())
					}
				} else {
					s.failed(r, c.failure)
				}
				if got := runsOf(r); !slices.Equal(got, c.runs) {
					t.Errorf("unreadable %v, want %v", got, c.runs)
				}
			})
		})
	}
	t.Run("ruined", func(t *testing.T) {
		inBubble(t, 2, 1, func(s *site) {
			image := inSectors(imageA, 2*size)
			d := recorded(image)
			d.bad = tooMany
			s.world.drives[1] = d
			p := s.start()
			defer p.end()
			r := s.run(verifyTask(imageA, 2*size, sum[:]))
			s.failed(r, pb.Failure_FAILURE_DISC)
			if n := len(r.GetUnreadable()); n != mostRuns {
				t.Errorf("%d of %d runs are named", n, tooManyRuns)
			}
		})
	})
	t.Run("empty drive", func(t *testing.T) {
		inBubble(t, 2, 1, func(s *site) {
			p := s.start()
			defer p.end()
			s.failed(s.run(verifyTask(imageA, 5, sum[:])), pb.Failure_FAILURE_ROBOT)
		})
	})
	t.Run("no such drive", func(t *testing.T) {
		inBubble(t, 2, 0, func(s *site) {
			s.world.drives[2] = nil
			p := s.start()
			defer p.end()
			s.failed(s.run(verifyTask(imageA, 5, sum[:])), pb.Failure_FAILURE_INTERNAL)
		})
	})
}

// extent makes an extent of a whole content that lies at a sector of an image, of which its bytes are given.
func extent(image []byte, sector, length int64) *pb.ReadExtent {
	data := image[sector*2048 : sector*2048+length]
	sum := sha256.Sum256(data)
	return &pb.ReadExtent{Hash: sum[:], Size: length, Length: length, Sector: sector}
}

func readTask(extents ...*pb.ReadExtent) *pb.Task {
	return &pb.Task{Work: &pb.Task_Read{Read: &pb.Read{ImageId: imageA, Drive: 1, Extents: extents}}}
}

func TestRead(t *testing.T) {
	image := inSectors(imageA, 8000)
	empty := sha256.Sum256(nil)
	extents := []*pb.ReadExtent{
		{Hash: empty[:]},
		extent(image, 1, 1), extent(image, 2, 2048), extent(image, 3, 2049), extent(image, 5, 5000), // side by side
		extent(image, 100, 2_000_000), // more than is read at a time
		extent(image, 2000, 700), extent(image, 2001, 1_500_000),
	}
	for i := range int64(200) {
		extents = append(extents, extent(image, 2780+i, 100+i))
	}
	large := len(extents)
	extents = append(extents, extent(image, 2990, 10_000_000), extent(image, 7873, 17), extent(image, 7874, 18))
	for _, c := range []struct {
		name string
		site func(*site)
		lost []int // indexes in extents
		runs [][2]int64
	}{
		{name: "all"},
		{name: "second reading helps", site: func(s *site) { s.world.drives[1].flaky = sectors(1, 101, 2999) }},
		{
			name: "unreadable", site: func(s *site) { s.world.drives[1].bad = sectors(3, 1000, 2779, 2781) },
			lost: []int{3, 5, 9}, runs: [][2]int64{{3, 1}, {1000, 1}, {2781, 1}},
		},
		{name: "large one unreadable", site: func(s *site) { s.world.drives[1].bad = sectors(7000) }, lost: []int{large}, runs: [][2]int64{{7000, 1}}},
		{name: "large one has other bytes", site: func(s *site) { s.world.drives[1].data[7000*2048]++ }, lost: []int{large}},
		{name: "refused", site: func(s *site) { s.refuse[string(extents[2].GetHash())] = true }, lost: []int{2}},
		{name: "other bytes", site: func(s *site) { s.world.drives[1].data[5*2048+7]++ }, lost: []int{4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, 2, 1, func(s *site) {
				s.world.drives[1], s.world.home[1] = recorded(image), 1
				if c.site != nil {
					c.site(s)
				}
				p := s.start()
				defer p.end()
				r := s.run(readTask(extents...))
				want := map[string]bool{}
				for _, i := range c.lost {
					want[string(extents[i].GetHash())] = true
				}
				if len(want) == 0 {
					s.ok(r)
				} else {
					s.failed(r, pb.Failure_FAILURE_DISC)
				}
				for _, h := range r.GetLost() {
					if !want[string(h)] {
						t.Errorf("%x is lost", h)
					}
				}
				if len(r.GetLost()) != len(want) {
					t.Errorf("%d contents are lost, want %d", len(r.GetLost()), len(want))
				}
				s.controller.mu.Lock()
				defer s.controller.mu.Unlock()
				for i, x := range extents {
					if got, ok := s.stored[string(x.GetHash())]; ok == want[string(x.GetHash())] || ok && int64(len(got)) != x.GetLength() {
						t.Errorf("extent %d: stored %v, %d bytes", i, ok, len(got))
					}
				}
				if got := runsOf(r); !slices.Equal(got, c.runs) {
					t.Errorf("unreadable %v, want %v", got, c.runs)
				}
				if s.partial != 0 {
					t.Errorf("%d contents were sent in part", s.partial)
				}
			})
		})
	}
}

func TestReadRefusesNonsense(t *testing.T) {
	image := inSectors(imageA, 30)
	for i, bad := range []*pb.ReadExtent{
		{Hash: []byte("short"), Size: 1, Length: 1},
		{Hash: make([]byte, 32), Size: 1, Length: 2},
		{Hash: make([]byte, 32), Size: 1, Length: -1},
		{Hash: make([]byte, 32), Size: 5, Offset: 5, Length: 1},
		{Hash: make([]byte, 32), Size: 5},
		{Hash: make([]byte, 32), Size: 1, Length: 1, Sector: -1},
		{Hash: make([]byte, 32), Size: 1, Length: 1, Sector: 2},
		{Hash: make([]byte, 32), Size: 1, Length: 1, Sector: 1 << 62},
		{Hash: make([]byte, 32), Size: 1<<63 - 1, Length: 1<<63 - 1, Sector: 3},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if end, err := checkExtents([]*pb.ReadExtent{extent(image, 2, 100), bad}); err == nil {
				t.Errorf("%v: no error, end %d", bad, end)
			}
		})
	}
}
