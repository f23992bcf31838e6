package agent

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/ecc"
	"github.com/odarchive/odarchive/archive/image"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

const imageC = "0a1b2c3d-0000-4000-8000-00000000000c"

// shared is a set of two discs with error correction of their own, imageA and imageB, and a parity disc, imageC.
type shared struct {
	ref         *pb.SetRef
	description []byte
	g           ecc.Geometry // of the data images
	data        [2][]byte    // as they are burned
	parity      []byte
	parities    [][]byte
}

func share(t *testing.T, sectors int64, roots int) *shared {
	t.Helper()
	return shareAmong(t, sectors, roots, imageC)
}

// shareAmong is share with parity images of these ids.
func shareAmong(t *testing.T, sectors int64, roots int, parities ...string) *shared {
	t.Helper()
	x := &shared{ref: &pb.SetRef{Id: "0a1b2c3d-0000-4000-8000-000000000005", Data: 2, Parity: int32(len(parities))}}
	acc, err := discset.Open(filepath.Join(t.TempDir(), "set"), x.ref.GetId(), discset.Geometry{Data: 2, Parity: len(parities)})
	if err != nil {
		t.Fatal(err)
	}
	defer acc.Close()
	content := sectors
	for i, id := range []string{imageA, imageB} {
		protected := small(t, id, content-int64(i)*40) // they differ in length
		n := archive.Sectors(int64(len(protected)))
		if i == 0 {
			sectors = n
		}
		x.data[i] = protected
		if roots > 0 {
			if x.g, err = ecc.Shrink(n, roots); err != nil {
				t.Fatal(err)
			}
			whole := make(sectorsInMemory, image.Closed(x.g.Sectors())*archive.SectorSize)
			copy(whole, protected)
			if err := ecc.Augment(t.Context(), whole, whole, ecc.Plan{Geometry: x.g}, ecc.Options{}); err != nil {
				t.Fatal(err)
			}
			tail, err := image.ReadTail(whole, x.g.Sectors())
			if err != nil {
				t.Fatal(err)
			}
			copy(whole[x.g.Sectors()*archive.SectorSize:], tail)
			x.data[i] = whole
		}
		m := discset.Member{Index: i, ImageID: id, Label: fmt.Sprintf("OD_%06d", i), Sectors: n, SHA256: sha256.Sum256(protected)}
		if err := acc.Add(t.Context(), []discset.Source{{Member: m, Image: bytes.NewReader(protected)}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	var sealed []discset.Parity
	for i, id := range parities {
		sealed = append(sealed, discset.Parity{ImageID: id, Label: fmt.Sprintf("OD_%06d", i+3)})
	}
	set, err := acc.Seal(sealed, time.Unix(1e9, 0))
	if err != nil {
		t.Fatal(err)
	}
	if x.description, err = set.JSON(); err != nil {
		t.Fatal(err)
	}
	for i, id := range parities {
		disc, err := set.Compose(i, discset.Extras{})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := disc.Write(&out, func(name string) (io.ReadCloser, error) {
			if name == discset.ChecksName {
				return acc.OpenChecks()
			}
			return acc.OpenParity(i)
		}); err != nil {
			t.Fatal(err)
		}
		copy(out.Bytes(), id) // in the sectors before the volume descriptors, for firstBytes
		x.parities = append(x.parities, out.Bytes())
	}
	x.parity = x.parities[0]
	if x.g, err = ecc.Shrink(sectors, max(roots, 8)); err != nil {
		t.Fatal(err)
	}
	return x
}

// small is an image with one file of so many sectors.
func small(t *testing.T, id string, sectors int64) []byte {
	t.Helper()
	data := inSectors(id, int(sectors))
	l, err := image.New(image.Options{Label: "OD_000001", Time: time.Unix(1e9, 0)},
		[]image.Content{{Size: int64(len(data))}}, []image.File{{Path: "reel", Mode: 0o444, ModTime: time.Unix(1e9, 0)}})
	var out bytes.Buffer
	if err == nil {
		err = l.Write(&out, func(int) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
	}
	if err != nil {
		t.Fatal(err)
	}
	copy(out.Bytes(), id) // in the sectors before the volume descriptors, for firstBytes
	return out.Bytes()
}

func (x *shared) layer(i int) int64 {
	if int64(len(x.data[i])) <= x.g.Data*archive.SectorSize {
		return 0
	}
	g, err := ecc.Shrink(x.g.Data-int64(i)*40, x.g.Roots())
	if err != nil {
		panic(err)
	}
	return g.Layer
}

func (x *shared) copy(drive int32) *pb.Task {
	sum := sha256.Sum256(x.data[0])
	return &pb.Task{Work: &pb.Task_Copy{Copy: &pb.Copy{
		ImageId: imageA, Drive: drive, Sectors: int64(len(x.data[0])) / archive.SectorSize, LayerSectors: x.layer(0), Sha256: sum[:], ProtectedSectors: x.g.Data,
	}}}
}

// rows are the tasks that bring rows of the others: of image 1 from drive 1, and of the parity image from drive 2.
func (x *shared) rows(lacking []*pb.SectorRun) []*pb.Task {
	return []*pb.Task{
		{Work: &pb.Task_CopyRows{CopyRows: &pb.CopyRows{
			ImageId: imageB, Drive: 1, Sectors: int64(len(x.data[1])) / archive.SectorSize, LayerSectors: x.layer(1), Set: x.ref, Index: 1,
			ProtectedSectors: x.g.Data - 40, TornId: imageA, Rows: lacking,
		}}},
		{Work: &pb.Task_CopyRows{CopyRows: &pb.CopyRows{
			ImageId: imageC, Drive: 2, Sectors: int64(len(x.parity)) / archive.SectorSize, Set: x.ref, Index: 2, ProtectedSectors: int64(len(x.parity)) / archive.SectorSize,
			TornId: imageA, Rows: lacking,
		}}},
	}
}

func (x *shared) mend() *pb.Task {
	sum := sha256.Sum256(x.data[0])
	return &pb.Task{Work: &pb.Task_Rebuild{Rebuild: &pb.Rebuild{
		Set: x.ref, Index: 0, ImageId: imageA, Sectors: int64(len(x.data[0])) / archive.SectorSize, LayerSectors: x.layer(0), Sha256: sum[:],
		Description: x.description, Torn: true, RowsOf: []int32{1, 2},
	}}}
}

func (s *site) scratchNames() (names []string) {
	s.Helper()
	files, err := os.ReadDir(filepath.Join(s.dir, "scratch"))
	if err != nil {
		s.Fatal(err)
	}
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names
}

// others puts the other discs into the drives.
func (s *site) others(x *shared, bad ...int64) {
	s.watched(func() {
		b := recorded(x.data[1])
		b.bad = sectors(bad...)
		s.world.drives[1], s.world.home[1] = b, 2
		s.world.drives[2], s.world.home[2] = recorded(x.parity), 3
		s.readBytes = 0
	})
}

// A disc has lost more of some rows than its error correction bears. Its copy is kept, another drive is asked only for what is lacking, and of the
// other discs of its set only the rows are read in which something is lacking still.
func TestTorn(t *testing.T) {
	for _, roots := range []int{0, 32} {
		t.Run(fmt.Sprintf("%d roots", roots), func(t *testing.T) {
			x := share(t, 3000, roots)
			var bad []int64
			lost := int64(x.g.Roots() + 8)
			for i := range lost {
				bad = append(bad, 1000+i*x.g.Layer)
			}
			inBubble(t, 3, 2, func(s *site) {
				for n := range 2 {
					d := recorded(x.data[0])
					d.bad = sectors(bad...)
					s.world.drives[n+1], s.world.home[n+1] = d, n+1
				}
				s.world.drives[2].bad = sectors(bad[3:]...)
				p := s.start()
				r := s.run(x.copy(1))
				s.failed(r, pb.Failure_FAILURE_DISC)
				if !r.GetTorn() || r.GetLackingSectors() != lost || len(r.GetLacking()) != 1 || r.GetLacking()[0].GetFirst() != 1000 {
					t.Fatalf("torn %v, lacking %d in %v", r.GetTorn(), r.GetLackingSectors(), r.GetLacking())
				}
				s.watched(func() { s.readBytes = 0 })
				r = s.run(x.copy(2))
				s.failed(r, pb.Failure_FAILURE_DISC)
				if !r.GetTorn() || r.GetLackingSectors() != lost-3 || r.GetLacking()[0].GetFirst() != bad[3] {
					t.Fatalf("torn %v, lacking %d in %v", r.GetTorn(), r.GetLackingSectors(), r.GetLacking())
				}
				s.watched(func() {
					if s.readBytes > 20*archive.SectorSize {
						t.Errorf("%d bytes of the disc were read again for a few sectors", s.readBytes)
					}
				})
				p.end()
				s.others(x, bad[5], bad[6]) // which its own error correction gives, where it has some
				defer s.start().end()
				for _, task := range x.rows(r.GetLacking()) {
					r := s.run(task)
					s.ok(r)
					if want := int64(2); roots == 0 && task.GetCopyRows().GetIndex() == 1 && r.GetLackingSectors() != want || roots > 0 && r.GetLackingSectors() != 0 {
						t.Errorf("rows of image %d lack %v", task.GetCopyRows().GetIndex(), r.GetLacking())
					}
				}
				s.watched(func() {
					// The rows of two discs, what finds the parity in one, and what repairs two sectors: no more than half a disc.
					if rows := r.GetLacking()[0].GetCount(); int64(s.readBytes) > (4*rows+1000)*archive.SectorSize {
						t.Errorf("%d sectors of the others were read for %d rows", s.readBytes/archive.SectorSize, rows)
					}
					t.Logf("%d sectors of the others were read for %d bad ones in %d rows", s.readBytes/archive.SectorSize, r.GetLackingSectors(), r.GetLacking()[0].GetCount())
				})
				r = s.run(x.mend())
				if roots == 0 {
					// Two rows have lost two sectors, and there is one parity disc.
					s.failed(r, pb.Failure_FAILURE_DISC)
					if r.GetMissing() {
						t.Error("the copy is said to be gone")
					}
					s.ok(s.run(&pb.Task{Work: &pb.Task_Release{Release: &pb.Release{ImageId: imageA}}}))
					if left := s.scratchNames(); len(left) > 0 {
						t.Errorf("%v is left", left)
					}
					return
				}
				s.ok(r)
				got, err := os.ReadFile(filepath.Join(s.dir, "scratch", imageA+built))
				if sum := sha256.Sum256(x.data[0]); err != nil || !bytes.Equal(got, x.data[0]) || !bytes.Equal(r.GetSha256(), sum[:]) || r.GetRepaired() != lost-3 {
					t.Errorf("it differs: %v, %d sectors", err, r.GetRepaired())
				}
				if left := s.scratchNames(); !slices.Equal(left, []string{imageA + built, imageA + summed}) {
					t.Errorf("%v is left", left)
				}
			})
		})
	}
}

// A scratch disk without room for rows is no reason to give the disc up: there is room again some day.
func TestRowsWithoutRoom(t *testing.T) {
	x := share(t, 2000, 0)
	inBubble(t, 3, 2, func(s *site) {
		s.scratchLimit = 100 * archive.SectorSize
		s.others(x)
		defer s.start().end()
		r := s.run(x.rows([]*pb.SectorRun{{First: 1000, Count: 200}})[0])
		s.failed(r, pb.Failure_FAILURE_RETRY)
		if !strings.Contains(r.GetError(), "bytes are missing") {
			t.Error(r.GetError())
		}
	})
}

// What reads without an error and is wrong can't be told in rows of discs without error correction. The hash tells, and nothing is kept.
func TestTornFromWrongRows(t *testing.T) {
	x := share(t, 600, 0)
	inBubble(t, 3, 2, func(s *site) {
		s.world.drives[1], s.world.home[1] = recorded(x.data[0]), 1
		s.world.drives[1].bad = sectors(400)
		p := s.start()
		r := s.run(x.copy(1))
		s.failed(r, pb.Failure_FAILURE_DISC)
		p.end()
		s.others(x)
		s.watched(func() { s.world.drives[1].data[400*archive.SectorSize+7]++ })
		defer s.start().end()
		for _, task := range x.rows(r.GetLacking()) {
			s.ok(s.run(task))
		}
		again := s.run(x.rows(r.GetLacking())[0])
		s.ok(again)
		if again.GetBytes() != 0 {
			t.Errorf("%d bytes were read again", again.GetBytes())
		}
		r = s.run(x.mend())
		s.failed(r, pb.Failure_FAILURE_DISC)
		if left := s.scratchNames(); !r.GetMissing() || len(left) > 0 {
			t.Errorf("missing %v, left %v", r.GetMissing(), left)
		}
		r = s.run(x.mend())
		s.failed(r, pb.Failure_FAILURE_RETRY)
		if !r.GetMissing() {
			t.Error("nobody says that the copy is gone")
		}
	})
}

// What reads without an error and is wrong in rows of a disc with error correction is found before it is used: it is set right, or it is lacking where
// too much of its own row is wrong too. What is wrong elsewhere on the disc is nobody's business here.
func TestTornFromSilentRows(t *testing.T) {
	x := share(t, 3000, 32)
	var bad []int64
	for i := range int64(x.g.Roots() + 1) {
		bad = append(bad, 1000+i*x.g.Layer)
	}
	other, err := ecc.Shrink(x.g.Data-40, 32) // as share has made it
	if err != nil {
		t.Fatal(err)
	}
	row := []int64{1010}
	for s := int64(1010) % other.Layer; len(row) <= other.Roots(); s += other.Layer {
		if s > 32 && s < 1000 || s > 2000 && s < x.g.Data-40 {
			row = append(row, s)
		}
	}
	for _, c := range []struct {
		name           string
		change         []int64
		wrong, lacking int64
	}{
		{"set right", []int64{1005, 1100, 40}, 2, 0},
		{"beyond repair", append([]int64{1005}, row...), 2, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, 3, 2, func(s *site) {
				d := recorded(x.data[0])
				d.bad = sectors(bad...)
				s.world.drives[1], s.world.home[1] = d, 1
				p := s.start()
				r := s.run(x.copy(1))
				s.failed(r, pb.Failure_FAILURE_DISC)
				p.end()
				s.others(x)
				s.watched(func() {
					s.world.drives[1].data = bytes.Clone(s.world.drives[1].data)
					for _, sector := range c.change {
						s.world.drives[1].data[sector*archive.SectorSize+7]++
					}
				})
				defer s.start().end()
				rows := x.rows([]*pb.SectorRun{{First: 1000, Count: 200}})
				r = s.run(rows[0])
				s.ok(r)
				if r.GetWrong() != c.wrong || r.GetRepaired() != c.wrong-c.lacking || r.GetLackingSectors() != c.lacking || len(r.GetUnreadable()) > 0 {
					t.Errorf("%d wrong, %d repaired, %v lacking, %v unreadable", r.GetWrong(), r.GetRepaired(), r.GetLacking(), r.GetUnreadable())
				}
				if c.lacking > 0 && (len(r.GetLacking()) != 1 || r.GetLacking()[0].GetFirst() != row[0]) {
					t.Errorf("%v lacking", r.GetLacking())
				}
				got, err := os.ReadFile(filepath.Join(s.dir, "scratch", nameRows(imageA, 1, ".rows")))
				if err != nil {
					t.Fatal(err)
				}
				want := bytes.Clone(x.data[1][1000*archive.SectorSize:][:200*archive.SectorSize])
				if c.lacking > 0 {
					clear(want[10*archive.SectorSize:][:archive.SectorSize])
				}
				if !bytes.Equal(got, want) {
					t.Error("what was brought isn't what was burned")
				}
			})
		})
	}
}

// A disc that is nearly gone isn't worth a torn copy, nor one that no set gives.
func TestNotTorn(t *testing.T) {
	x := share(t, 600, 0)
	most := x.g.Data / mostTorn
	for _, c := range []struct {
		bad int64
		set bool
	}{{most + 1, true}, {most, true}, {1, false}} {
		inBubble(t, 3, 2, func(s *site) {
			d := recorded(x.data[0])
			d.bad = map[int64]bool{}
			for i := range c.bad {
				d.bad[300+i] = true
			}
			s.world.drives[1], s.world.home[1] = d, 1
			defer s.start().end()
			task := x.copy(1)
			if !c.set {
				task.GetCopy().ProtectedSectors = 0
			}
			r := s.run(task)
			s.failed(r, pb.Failure_FAILURE_DISC)
			left := s.scratchNames()
			if kept := c.set && c.bad <= most; r.GetTorn() != kept || (len(left) > 0) != kept {
				t.Errorf("%d bad sectors: torn %v, left %v", c.bad, r.GetTorn(), left)
			}
		})
	}
}

// TestTornAtEveryStep lets the process die at its first step, its second, and so on, between the reads of one disc and between the
// discs. Whoever comes after it is told to do again what has no result, and comes to the same.
func TestTornAtEveryStep(t *testing.T) {
	x := share(t, 300, 0)
	stride := int64(3)
	if os.Getenv("ODARCHIVE_SLOW") != "" {
		stride = 1
	}
	for step := int64(1); ; step += stride {
		died := ""
		inBubble(t, 3, 2, func(s *site) { died = s.mendUntil(x, step) })
		if died == "" {
			if step < 30 {
				t.Errorf("it has only %d steps", step)
			}
			return
		}
		if t.Failed() {
			t.Fatalf("with death at step %d, %s", step, died)
		}
	}
}

func (s *site) mendUntil(x *shared, step int64) (died string) {
	s.world.drives[1], s.world.home[1] = recorded(x.data[0]), 1
	s.world.drives[1].bad = sectors(300, 301, 450)
	p := s.startDoomed(step)
	var lacking []*pb.SectorRun
	for n := 0; n < 4; {
		var task *pb.Task
		switch n {
		case 0:
			task = x.copy(1)
		case 3:
			task = x.mend()
		default:
			task = x.rows(lacking)[n-1]
		}
		id := s.lease(task)
		for s.waitOrDeath(p, id) {
			died = p.died
			<-p.done
			p = s.start()
		}
		r := s.result(id)
		switch r.GetFailure() {
		case pb.Failure_FAILURE_INTERRUPTED:
			continue
		case pb.Failure_FAILURE_DRIVE: // it died while it read
			continue
		}
		if n == 0 {
			s.failed(r, pb.Failure_FAILURE_DISC)
			if lacking = r.GetLacking(); !r.GetTorn() || r.GetLackingSectors() != 3 {
				s.Fatalf("torn %v, lacking %v", r.GetTorn(), lacking)
			}
			p.end()
			if p.gone.Load() && died == "" {
				died = p.died
			}
			s.others(x)
			next := max(step-p.steps.Load(), 0)
			if died != "" {
				next = 0
			}
			p = s.startDoomed(next)
		} else {
			s.ok(r)
		}
		n++
	}
	p.end()
	if p.gone.Load() && died == "" {
		died = p.died
	}
	got, err := os.ReadFile(filepath.Join(s.dir, "scratch", imageA+built))
	if err != nil || !bytes.Equal(got, x.data[0]) {
		s.Errorf("the image differs: %v", err)
	}
	if left := s.scratchNames(); !slices.Equal(left, []string{imageA + built, imageA + summed}) {
		s.Errorf("%v is left", left)
	}
	return died
}

// What a kill leaves of files half made is gone or counts for nothing when the folder is opened again.
func TestTornFilesAfterKill(t *testing.T) {
	dir := t.TempDir()
	open := func() *scratch {
		s, err := openScratch(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.root.Close() })
		return s
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	there := func() bool {
		f, _, err := open().openTorn(imageA, 4096)
		if err != nil {
			t.Fatal(err)
		}
		if f != nil {
			f.Close()
		}
		return f != nil
	}
	image := string(make([]byte, 4096))
	write(imageA+torn+part, image)
	write(imageA+torn+note+part, `{"lack`)
	if there() {
		t.Error("a file without a note counts")
	}
	write(imageA+torn+part, image)
	write(imageA+torn+note, `{"lacking":[{"first":1,"count":1}]}`)
	if there() {
		t.Error("a note without its file counts")
	}
	write(imageA+torn, image)
	if !there() {
		t.Error("a file with its note doesn't count")
	}
	write(imageA+torn, image[1:])
	if there() {
		t.Error("a file of another size counts")
	}
	write(imageA+".1"+rows, image)
	write(imageB+torn, image)
	if err := open().discard(imageA); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 || left[0].Name() != imageB+torn {
		t.Errorf("%v %v is left", left, err)
	}
}
