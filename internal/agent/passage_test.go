package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/ecc"
	"github.com/odarchive/odarchive/archive/image"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// However often a verify is broken off, and wherever it goes on: the hash is that of the disc, every sector is read once, and the
// regions are the disc without gap or overlap.
func TestPassageGoesOn(t *testing.T) {
	w := newWorld(1, 1)
	alive := func(string) bool { return true }
	rapid.Check(t, func(t *rapid.T) {
		size := int64(rapid.SampledFrom([]int{1, 2, 63, 64, 65, 500, 1301, 2560}).Draw(t, "sectors"))
		data := inSectors(imageA, int(size))
		w.drives[1] = recorded(data)
		for range rapid.IntRange(0, 5).Draw(t, "flaky") {
			w.drives[1].flaky = sectors(rapid.Int64Range(0, size-1).Draw(t, "sector"))
		}
		task := &pb.Verify{ImageId: imageA, Sectors: size}
		var regions []*pb.Region
		var sum []byte
		for sum == nil {
			work := &work{task: &pb.Task{}}
			p := newPassage(work, handDrive{hand{world: w, step: alive}, 1}, task)
			if p.at != task.GetFrom().GetSector() {
				t.Fatalf("it goes on at sector %d, want %d", p.at, task.GetFrom().GetSector())
			}
			buffer := make([]byte, transfer)
			for range rapid.IntRange(0, 40).Draw(t, "regions until it is broken off") {
				if p.at == size {
					break
				}
				if err := p.region(t.Context(), buffer); err != nil {
					t.Fatal(err)
				}
			}
			if v := work.verified.Load(); v != nil {
				task.From = v.checkpoint
				regions = append(regions, v.regions...)
			}
			if p.at == size {
				sum = p.sum.Sum(nil)
			}
		}
		if want := sha256.Sum256(data); !bytes.Equal(sum, want[:]) {
			t.Fatalf("it reads as %x, want %x", sum, want)
		}
		at := int64(0)
		for _, r := range regions {
			if r.GetFirst() != at || r.GetSectors() < 1 || int64(r.GetNumber()) != at*robot.Regions/size {
				t.Fatalf("region %v, want one from sector %d on", r, at)
			}
			at += r.GetSectors()
		}
		if at != size {
			t.Fatalf("the regions end at sector %d of %d", at, size)
		}
	})
}

func TestPassageRefusesNonsense(t *testing.T) {
	w := newWorld(1, 1)
	w.drives[1] = recorded(inSectors(imageA, 100))
	state := func(n int) []byte {
		work := &work{task: &pb.Task{}}
		p := newPassage(work, handDrive{hand{world: w, step: func(string) bool { return true }}, 1}, &pb.Verify{Sectors: 100})
		for range n {
			if err := p.region(t.Context(), make([]byte, transfer)); err != nil {
				t.Fatal(err)
			}
		}
		return work.verified.Load().checkpoint.GetHashState()
	}(3)
	for name, from := range map[string]*pb.VerifyCheckpoint{
		"no state":        {Sector: 50},
		"half a state":    {Sector: 50, HashState: state[:50]},
		"another state":   {Sector: 50, HashState: append([]byte("md5"), state[3:]...)},
		"behind the disc": {Sector: 101, HashState: state},
		"before the disc": {Sector: -1, HashState: state},
	} {
		p := newPassage(&work{task: &pb.Task{}}, handDrive{hand{world: w}, 1}, &pb.Verify{Sectors: 100, From: from})
		if empty := sha256.Sum256(nil); p.at != 0 || !bytes.Equal(p.sum.Sum(nil), empty[:]) {
			t.Errorf("%s: it goes on at sector %d", name, p.at)
		}
	}
}

// A verify whose agent is killed goes on where the controller last heard of it; nothing that is done is read again.
func TestVerifyOutlivesItsAgent(t *testing.T) {
	const size = 6400
	data := inSectors(imageA, size)
	sum := sha256.Sum256(data)
	for name, stop := range map[string]func(p *process, id int64){
		"killed":    func(p *process, _ int64) { p.gone.Store(true); p.abort(); <-p.done },
		"stopped":   func(p *process, _ int64) { p.abort(); <-p.done },
		"preempted": func(p *process, id int64) { p.cancel(id); time.Sleep(10 * time.Second); p.end() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 2, 1, func(s *site) {
				s.world.drives[1], s.world.home[1], s.world.readTime = recorded(data), 1, time.Second
				p := s.start()
				id := s.lease(verifyTask(imageA, size, sum[:]))
				far := func() *pb.VerifyCheckpoint { return s.running[id].GetCheckpoint() }
				if !s.until(s.Context(), func() bool { return far().GetSector() > size/2 }) {
					t.Fatal("it doesn't get there")
				}
				var from *pb.VerifyCheckpoint
				var regions []*pb.Region
				s.seen(func() { from, regions = far(), s.running[id].GetRegions() })
				stop(p, id)
				s.seen(func() {
					delete(s.controller.tasks, id)
					if r := s.results[id]; r != nil {
						from, regions = r.GetCheckpoint(), r.GetRegions()
					}
				})
				if n := len(regions); n == 0 || regions[n-1].GetFirst()+regions[n-1].GetSectors() != from.GetSector() {
					t.Fatalf("%d regions until sector %d", n, from.GetSector())
				}
				again := verifyTask(imageA, size, sum[:])
				again.GetVerify().From = from
				defer s.start().end()
				r := s.run(again)
				s.ok(r)
				if rest := (size - from.GetSector()) * archive.SectorSize; r.GetBytes() != rest {
					t.Errorf("%d bytes were read, want the %d that were left", r.GetBytes(), rest)
				}
				if r.GetCheckpoint().GetSector() != size || r.GetRegions()[0].GetFirst() != from.GetSector() {
					t.Errorf("it went on at %v until %v", r.GetRegions()[0], r.GetCheckpoint().GetSector())
				}
			})
		})
	}
}

// What a region took, and what was wrong with it, is told of that region.
func TestRegionsTell(t *testing.T) {
	inBubble(t, 2, 1, func(s *site) {
		const size = 64 * 50
		data := inSectors(imageA, size)
		sum := sha256.Sum256(data)
		d := recorded(data)
		d.flaky, d.bad = sectors(120, 121, 149), sectors(200, 3199)
		s.world.drives[1], s.world.home[1], s.world.readTime = d, 1, time.Second
		defer s.start().end()
		r := s.run(verifyTask(imageA, size, sum[:]))
		s.failed(r, pb.Failure_FAILURE_DISC)
		if len(r.GetRegions()) != robot.Regions {
			t.Fatalf("%d regions", len(r.GetRegions()))
		}
		for n, region := range r.GetRegions() {
			var retries, unreadable int64
			switch n {
			case 2:
				retries = 3
			case 4, 63:
				retries, unreadable = 1, 1
			}
			if region.GetRetries() != retries || region.GetUnreadable() != unreadable {
				t.Errorf("region %d: %v", n, region)
			}
			if slow := region.GetSeconds() > 1.5; slow != (retries > 0) {
				t.Errorf("region %d took %v s", n, region.GetSeconds())
			}
		}
		if r.GetCheckpoint().GetUnreadable() != 2 {
			t.Errorf("%v", r.GetCheckpoint())
		}
	})
}

// A scrub passes a disc that its error correction brings back, says how much of that is used up, and fails one that is beyond it.
func TestVerifyRepairable(t *testing.T) {
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
	size := int64(len(whole)) / archive.SectorSize
	sum := sha256.Sum256(whole)
	rows := func(n int) (bad []int64) { // of one row
		for j := range int64(n) {
			bad = append(bad, j*g.Layer+3)
		}
		return bad
	}
	roots := g.Roots()
	for _, c := range []struct {
		name   string
		bad    []int64
		change func(d []byte)
		layers int64
		passes bool
		worst  int
		wrong  int64
		// unknown is what the image should read as, as after a rebuild of the catalogue.
		unknown bool
	}{
		{name: "whole", layers: g.Layer, passes: true},
		{name: "whole, and nobody knows its hash", layers: g.Layer, passes: true, unknown: true},
		{name: "other bytes, and nobody knows its hash", change: func(d []byte) { d[2048*700+9]++ }, layers: g.Layer, passes: true, worst: 1, wrong: 1, unknown: true},
		{name: "unreadable, and nobody knows its hash", bad: []int64{100, 900}, layers: g.Layer, passes: true, worst: 1, unknown: true},
		{name: "data", bad: []int64{100, 101, 900}, layers: g.Layer, passes: true, worst: 1},
		{name: "parity", bad: []int64{g.Sectors() - 5}, layers: g.Layer, passes: true, worst: 1},
		{name: "a row to the limit", bad: rows(roots), layers: g.Layer, passes: true, worst: roots},
		{name: "a row beyond it", bad: rows(roots + 1), layers: g.Layer, worst: roots + 1},
		{name: "other bytes", change: func(d []byte) { d[2048*700+9]++ }, layers: g.Layer, passes: true, worst: 1, wrong: 1},
		{name: "behind what is protected", bad: []int64{size - 1}, layers: g.Layer},
		{name: "another image", change: func(d []byte) { copy(d[len(d)-2048:], "something else") }, layers: g.Layer},
		{name: "a new disc", bad: []int64{100}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, 2, 1, func(s *site) {
				d := recorded(slices.Clone(whole))
				d.bad = sectors(c.bad...)
				if c.change != nil {
					c.change(d.data)
				}
				s.world.drives[1], s.world.home[1] = d, 1
				defer s.start().end()
				task := verifyTask(imageA, size, sum[:])
				if c.unknown {
					task.GetVerify().Sha256 = nil
				}
				task.GetVerify().LayerSectors = c.layers
				r := s.run(task)
				if c.passes {
					s.ok(r)
				} else {
					s.failed(r, pb.Failure_FAILURE_DISC)
				}
				damaged := len(c.bad) > 0 || c.change != nil
				if r.GetRepairable() != (c.passes && damaged) || (len(r.GetSha256()) == 0) != (len(c.bad) > 0 || r.GetRepairable()) {
					t.Errorf("repairable %v, sum %x", r.GetRepairable(), r.GetSha256())
				}
				places := map[int64]int64{}
				for _, region := range r.GetRegions() {
					if n := region.GetRepaired(); n > 0 {
						places[int64(region.GetNumber())] = n
					}
				}
				want := map[int64]int64{}
				if c.passes {
					for _, b := range c.bad {
						want[b*robot.Regions/size]++
					}
					if c.change != nil {
						want[700*robot.Regions/size]++
					}
				}
				if !maps.Equal(places, want) {
					t.Errorf("repaired in %v, want %v", places, want)
				}
				if int(r.GetWorstRow()) != c.worst || r.GetWrong() != c.wrong || c.worst > 0 && int(r.GetRoots()) != roots {
					t.Errorf("worst row %d of %d, %d wrong", r.GetWorstRow(), r.GetRoots(), r.GetWrong())
				}
			})
		})
	}
}

// scanner is a drive that counts errors below its correction.
type scanner struct{ handDrive }

func (*scanner) Scan(_ context.Context, each func(robot.Measure)) error {
	each(robot.Measure{Metric: "C2", Sectors: 10})
	each(robot.Measure{Metric: "C2", First: 10, Sectors: 5, Errors: 5, Rate: 5})
	each(robot.Measure{Metric: "C2", First: 15, Sectors: 5, Errors: 3, Rate: 3})
	return nil
}

func TestScan(t *testing.T) {
	p := &passage{work: &work{task: &pb.Task{}}, sectors: 640, drive: &attentive{Drive: newBay(1, &scanner{}, "", nil).drive}}
	p.regions = []*pb.Region{{Number: 0, Sectors: 10}, {Number: 1, First: 10, Sectors: 10}}
	told := slices.Clone(p.regions)
	p.work.verified.Store(&verified{regions: told})
	r := &pb.TaskResult{}
	if err := p.scan(t.Context(), r); err != nil || r.GetRate().GetMetric() != "C2" || r.GetRate().GetWorst() != 5 {
		t.Fatalf("%v %v", r.GetRate(), err)
	}
	if v := p.work.verified.Load(); v.regions[0].GetErrors() != 0 || v.regions[1].GetErrors() != 8 || told[1].GetErrors() != 0 {
		t.Errorf("%v", v.regions)
	}
	p.drive = &attentive{Drive: newBay(1, handDrive{}, "", nil).drive}
	if err := p.scan(t.Context(), &pb.TaskResult{}); err != nil {
		t.Errorf("a drive that can't: %v", err)
	}
}

// wavering is a drive that keeps account, and reads the same place differently twice.
type wavering struct {
	handDrive
	kept   robot.Signs
	places [][2]int64
}

func (w *wavering) Signs() robot.Signs { return w.kept }

func (w *wavering) Doubt(_ context.Context, first, count int64) (int64, error) {
	w.places = append(w.places, [2]int64{first, count})
	w.kept.Regions[0].Disagreed += 3
	return 3, nil
}

// Where a drive had trouble the same place is read twice, and nowhere else.
func TestDoubt(t *testing.T) {
	world := newWorld(1, 1)
	const size = 64 * 400
	world.drives[1] = recorded(inSectors(imageA, size))
	world.drives[1].flaky = sectors(403, 2390, 2799)
	d := &wavering{handDrive: handDrive{hand{world: world, step: func(string) bool { return true }}, 1}}
	p := newPassage(&work{task: &pb.Task{}}, newBay(1, d, "", nil).drive, &pb.Verify{Sectors: size})
	if err := p.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := [][2]int64{{400, 256}, {2144, 256}, {2544, 256}}; !slices.Equal(d.places, want) {
		t.Errorf("read twice: %v, want %v", d.places, want)
	}
	for _, r := range p.regions {
		if n := r.GetNumber(); (r.GetDisagreed() == 3) != (n == 1 || n == 5 || n == 6) {
			t.Errorf("region %v", r)
		}
	}
}

// A verify that was broken off behind its last sector, while the error correction was tested or errors were counted, reads nothing
// again, and knows what could not be read.
func TestPassageEnds(t *testing.T) {
	const size = 640
	data := inSectors(imageA, size)
	sum := sha256.Sum256(data)
	inBubble(t, 2, 1, func(s *site) {
		s.world.drives[1], s.world.home[1] = recorded(data), 1
		defer s.start().end()
		r := s.run(verifyTask(imageA, size, sum[:]))
		s.ok(r)
		again := verifyTask(imageA, size, sum[:])
		again.GetVerify().From = r.GetCheckpoint()
		if r = s.run(again); r.GetBytes() != 0 || len(r.GetRegions()) != 0 {
			t.Errorf("%d bytes, %d regions", r.GetBytes(), len(r.GetRegions()))
		}
		s.ok(r)
		bad := verifyTask(imageA, size, sum[:])
		bad.GetVerify().From = &pb.VerifyCheckpoint{Sector: size, HashState: again.GetVerify().GetFrom().GetHashState(), Unreadable: 3}
		if r = s.run(bad); len(r.GetSha256()) != 0 {
			t.Errorf("a hash over sectors that could not be read: %x", r.GetSha256())
		}
		s.failed(r, pb.Failure_FAILURE_DISC)
	})
}
