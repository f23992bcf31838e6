package agent

import (
	"bytes"
	"crypto/sha256"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/discset"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

const imageD = "0a1b2c3d-0000-4000-8000-00000000000d"

// want is what is wanted of the first image of a set, and the blocks in which that lies.
var (
	blocks = []*pb.SectorRun{{First: 384, Count: 96}}
	wants  = func(x *shared) []*pb.ReadExtent {
		return []*pb.ReadExtent{extent(x.data[0], 390, 60_000), extent(x.data[0], 430, 2000), extent(x.data[0], 450, 3)}
	}
)

// own is the task that brings rows of the first image's own disc.
func (x *shared) own() *pb.Task {
	return &pb.Task{Work: &pb.Task_CopyRows{CopyRows: &pb.CopyRows{
		ImageId: imageA, Drive: 1, Sectors: int64(len(x.data[0])) / archive.SectorSize, LayerSectors: x.layer(0), Set: x.ref, Index: 0,
		ProtectedSectors: x.g.Data, TornId: imageA, Rows: blocks, Early: true,
	}}}
}

// earlyRows are the tasks that bring rows of the others, from drives 1, 2 and 3.
func (x *shared) earlyRows(rows []*pb.SectorRun) (tasks []*pb.Task) {
	tasks = x.rows(rows)
	if len(x.parities) > 1 {
		tasks = append(tasks, x.rows(rows)[1])
		more := tasks[2].GetCopyRows()
		more.ImageId, more.Drive, more.Index = imageD, 3, 3
	}
	for _, t := range tasks {
		t.GetCopyRows().Early = true
	}
	return tasks
}

func (x *shared) serve(of []int32, extents ...*pb.ReadExtent) *pb.Task {
	sum := sha256.Sum256(x.data[0])
	return &pb.Task{Work: &pb.Task_Serve{Serve: &pb.Serve{
		ImageId: imageA, Sectors: int64(len(x.data[0])) / archive.SectorSize, Sha256: sum[:], Extents: extents,
		Early: &pb.Rebuild{Set: x.ref, Index: 0, ImageId: imageA, Description: x.description, RowsOf: of},
	}}}
}

// inWholeBlocks rounds runs out to blocks of a set, as the controller does.
func inWholeBlocks(runs []*pb.SectorRun) (all []*pb.SectorRun) {
	for _, r := range runs {
		first := r.GetFirst() / 32 * 32
		all = append(all, &pb.SectorRun{First: first, Count: (r.GetFirst()+r.GetCount()+31)/32*32 - first})
	}
	return all
}

// What is wanted of a disc that has lost some or all of it comes from a few rows of the others, each with its own hash: what reads well and is wrong on its
// own disc, or on another where there are more than it takes, keeps nothing back.
func TestEarly(t *testing.T) {
	for _, c := range []struct {
		name    string
		roots   int
		bad     []int64 // of the disc
		dead    bool    // nothing but its first sectors can be read
		gone    bool    // nobody has asked it
		silent  int64   // sector that reads as something else
		other   int64   // the same of the second disc
		also    []int64 // bad of the second disc
		parity  int
		lost    int // contents
		lacking int64
	}{
		{name: "a region", bad: []int64{400, 402}, parity: 1, lacking: 32},
		{name: "a region, with error correction", roots: 32, bad: []int64{400, 402}, parity: 1, lacking: 32},
		{name: "all of it", dead: true, parity: 1, lacking: 96},
		{name: "not there", gone: true, parity: 1},
		{name: "well", parity: 1},
		{name: "silently wrong", silent: 395, parity: 1},
		{name: "another is silently wrong", gone: true, other: 395, parity: 2},
		{name: "another is silently wrong, and none too many", gone: true, other: 395, parity: 1, lost: 1},
		{name: "the same of another", gone: true, also: []int64{395}, parity: 1, lost: 1},
		{name: "the same of another, and one too many", gone: true, also: []int64{395}, parity: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := shareAmong(t, 600, c.roots, []string{imageC, imageD}[:c.parity]...)
			inBubble(t, 4, 3, func(s *site) {
				d := recorded(bytes.Clone(x.data[0]))
				d.bad = sectors(c.bad...)
				for sector := int64(40); c.dead && sector < 600; sector++ {
					d.bad[sector] = true
				}
				if c.silent > 0 {
					d.data[c.silent*archive.SectorSize]++
				}
				s.world.drives[1], s.world.home[1] = d, 1
				p := s.start()
				var of []int32
				needed := blocks
				if !c.gone {
					r := s.run(x.own())
					s.ok(r)
					if of = []int32{0}; r.GetLackingSectors() != c.lacking || r.GetRepaired() != 0 {
						t.Errorf("%v is lacking", r.GetLacking())
					}
					if needed = inWholeBlocks(r.GetLacking()); c.silent > 0 {
						needed = blocks
					}
				}
				p.end()
				s.others(x, c.also...)
				s.watched(func() {
					s.world.drives[1].data = bytes.Clone(s.world.drives[1].data)
					if c.other > 0 {
						s.world.drives[1].data[c.other*archive.SectorSize]++
					}
					if c.parity > 1 {
						s.world.drives[3], s.world.home[3] = recorded(x.parities[1]), 4
					}
				})
				defer s.start().end()
				for _, task := range x.earlyRows(needed) {
					if len(needed) > 0 {
						s.ok(s.run(task))
						of = append(of, task.GetCopyRows().GetIndex())
					}
				}
				s.watched(func() {
					if most := sectorsIn(needed)*int64(1+c.parity) + 500; int64(s.readBytes)/archive.SectorSize > most {
						t.Errorf("%d sectors of the others were read for %v", s.readBytes/archive.SectorSize, needed)
					}
				})
				extents := wants(x)
				r := s.run(x.serve(of, extents...))
				bytes := int64(62_003)
				if c.lost > 0 {
					s.failed(r, pb.Failure_FAILURE_DISC)
					if len(r.GetLost()) != c.lost || !slices.Equal(r.GetLost()[0], extents[0].GetHash()) {
						t.Errorf("%d are lost", len(r.GetLost()))
					}
					extents, bytes = extents[1:], 2003
				} else {
					s.ok(r)
				}
				if r.GetBytes() != bytes {
					t.Errorf("%d bytes", r.GetBytes())
				}
				s.came(x.data[0], extents...)
				if left := s.scratchNames(); len(left) > 0 {
					t.Errorf("%v is left", left)
				}
			})
		})
	}
}

func sectorsIn(runs []*pb.SectorRun) (n int64) {
	for _, r := range runs {
		n += r.GetCount()
	}
	return n
}

// Rows that are gone are named, what makes no sense is refused, and the end of a pass that nobody wants anything of deletes the rows and leaves others.
func TestEarlyOfNothing(t *testing.T) {
	x := share(t, 600, 0)
	inBubble(t, 3, 2, func(s *site) {
		s.others(x)
		defer s.start().end()
		for _, task := range append(x.earlyRows(blocks), x.rows(blocks)...) {
			s.ok(s.run(task))
		}
		r := s.run(x.serve([]int32{0, 1, 2}, wants(x)...))
		s.failed(r, pb.Failure_FAILURE_RETRY)
		if !slices.Equal(r.GetAbsent(), []int32{0}) {
			t.Errorf("%v are absent", r.GetAbsent())
		}
		part := wants(x)[0]
		part.Size++
		s.failed(s.run(x.serve([]int32{1, 2}, part)), pb.Failure_FAILURE_INTERNAL)
		s.failed(s.run(x.serve([]int32{1, 2, 3}, wants(x)...)), pb.Failure_FAILURE_INTERNAL)
		if left := s.scratchNames(); len(left) != 8 {
			t.Errorf("%v is left", left)
		}
		s.ok(s.run(x.serve(nil)))
		if left := s.scratchNames(); !slices.Equal(left, []string{imageA + ".1.rows", imageA + ".1.rows.json", imageA + ".2.rows", imageA + ".2.rows.json"}) {
			t.Errorf("%v is left", left)
		}
	})
}

// TestEarlyDies has the agent die at every step on the way from rows to contents. What the next one says is believed, and the contents come.
func TestEarlyDies(t *testing.T) {
	x := share(t, 600, 0)
	stride := int64(3)
	if os.Getenv("ODARCHIVE_SLOW") != "" {
		stride = 1
	}
	for step := int64(1); ; step += stride {
		var died string
		inBubble(t, 3, 2, func(s *site) {
			d := recorded(x.data[0])
			d.bad = sectors(400)
			s.world.drives[1], s.world.home[1] = d, 1
			p := s.start()
			own := s.run(x.own())
			s.ok(own)
			p.end()
			s.others(x)
			p = s.startDoomed(step)
			again := 0
			for _, task := range append(x.earlyRows(inWholeBlocks(own.GetLacking())), x.serve([]int32{0, 1, 2}, wants(x)...)) {
				for {
					id := s.lease(task)
					for s.waitOrDeath(p, id) {
						died = p.died
						<-p.done
						p = s.start()
					}
					r := s.result(id)
					if r.GetError() == "" {
						break
					}
					// It died behind its last deed: what was wanted has come, and the rows are gone.
					if len(r.GetAbsent()) == 3 && died != "" && task.GetServe() != nil && again == 0 {
						again++
						task = x.serve(nil)
					} else if r.GetFailure() != pb.Failure_FAILURE_INTERRUPTED {
						t.Errorf("%v: %s", r.GetFailure(), r.GetError())
						break
					}
				}
			}
			p.end()
			s.came(x.data[0], wants(x)...)
			if left := s.scratchNames(); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
		})
		if died == "" {
			if step < 5 {
				t.Errorf("there are only %d steps", step)
			}
			return
		}
		if t.Failed() {
			t.Fatalf("with death at step %d, %s", step, died)
		}
	}
}

// A disc that gives nothing of what is wanted is asked a few dozen times at most, and one with a scratch for what lies behind that.
func TestCopyReadable(t *testing.T) {
	const want = 100_000
	for _, c := range []struct {
		name    string
		bad     func(int64) bool
		asked   int // most
		lacking int64
	}{
		{"nothing", func(int64) bool { return true }, 60, want},
		{"a scratch", func(s int64) bool { return s >= 1000 && s < 1010 }, 500, leap},
		{"a sector in every thousand", func(s int64) bool { return s%1000 == 999 }, 2000, 99 * leap},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &mended{ctx: t.Context(), drive: &attentive{Drive: &faulty{bad: c.bad}}, sectors: want + 10, mender: &mender{}}
			drive := d.drive.Drive.(*faulty)
			out := &counter{}
			lacking, err := copyReadable(d, []discset.Run{{First: 5, Count: want}}, io.NewOffsetWriter(out, 0), &work{})
			if err != nil {
				t.Fatal(err)
			}
			if drive.asked > c.asked || lacking.sectors < c.lacking || lacking.sectors > 2*c.lacking {
				t.Errorf("asked %d times, %d sectors are lacking", drive.asked, lacking.sectors)
			}
			if out.written+lacking.sectors*archive.SectorSize != want*archive.SectorSize {
				t.Errorf("%d bytes are written, %d sectors lacking", out.written, lacking.sectors)
			}
		})
	}
}

// faulty is a drive whose disc has bad sectors.
type faulty struct {
	robot.Drive
	bad   func(int64) bool
	asked int
}

func (f *faulty) Name() string { return "faulty" }

func (f *faulty) ReadAt(p []byte, off int64) (n int, err error) {
	f.asked++
	for ; n < len(p); n += archive.SectorSize {
		if sector := (off + int64(n)) / archive.SectorSize; f.bad(sector) {
			return n, &robot.Error{Op: "read", Kind: robot.ErrMedium, Sector: sector}
		}
	}
	return n, nil
}

// counter counts what is written.
type counter struct{ written int64 }

func (c *counter) WriteAt(p []byte, _ int64) (int, error) {
	c.written += int64(len(p))
	return len(p), nil
}
