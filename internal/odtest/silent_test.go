package odtest

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/internal/cli"
	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// flip changes a byte of each of some sectors on whichever discs carry them; the drives notice nothing. It returns how many it changed, by
// label.
func (s *Site) flip(sectors ...[]byte) map[string]int64 {
	s.Helper()
	changed := map[string]int64{}
	images, err := filepath.Glob(s.path("jukebox", "discs", "*", "image.iso"))
	if err != nil {
		s.Fatal(err)
	}
	for _, name := range images {
		data, err := os.ReadFile(name)
		if err != nil {
			s.Fatal(err)
		}
		for _, sector := range sectors {
			at := bytes.Index(data, sector)
			if at < 0 {
				continue
			}
			f, err := os.OpenFile(name, os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteAt([]byte{data[at+77] ^ 1}, int64(at)+77)
				f.Close()
			}
			if err != nil {
				s.Fatal(err)
			}
			changed[filepath.Base(filepath.Dir(name))]++
		}
	}
	return changed
}

// Discs give other bytes than were burned, and no drive says a word: of a content that lies on one of them and of one that is split over
// several. Everything comes back as it was, by the error correction on the discs, and the record of the right ones says so.
func TestSilentCorruption(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Sectors: 4000, Blanks: 4})
	dir := s.path("source")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	random := rand.NewChaCha8([32]byte{19})
	split, small := make([]byte, 9<<20), make([]byte, 300_000)
	random.Read(split)
	random.Read(small)
	for name, data := range map[string][]byte{"split": split, "small": small} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	a := s.put(dir)
	sector := func(data []byte, n int64) []byte { return data[n*archive.SectorSize:][:archive.SectorSize] }
	changed := s.flip(sector(split, 10), sector(split, 11), sector(split, 4000), sector(small, 3))
	if len(changed) != 2 {
		t.Fatalf("%v", changed)
	}
	// And each has a place that can only be read slowly.
	for label := range changed {
		faults := []byte(`{"strained": [{"first": 1500, "count": 2}]}`)
		if err := os.WriteFile(s.path("jukebox", "discs", label, "faults.json"), faults, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.Stop(Agent) // what is loaded has been looked at before
	s.Start(Agent)
	target := s.path("target")
	if err := s.Client.Get(t.Context(), client.Get{Archive: a, Target: target}); err != nil {
		t.Fatal(err)
	}
	s.same(dir, target)
	for label, n := range changed {
		s.Eventually("the record says what was wrong", func() bool {
			for _, r := range s.health(label).GetReadings() {
				if !r.GetWhole() && r.GetWrong() == n && r.GetRepaired() == n {
					return true
				}
			}
			return false
		})
		said := map[string]bool{}
		for _, step := range s.health(label).GetSteps() {
			said[step.GetStep()] = true
		}
		if !said["silent"] || !said["slower"] || !said["repair"] || said["suspected"] {
			t.Errorf("disc %s: %v", label, s.health(label).GetSteps())
		}
	}
}

// Without error correction a wrong content is sought on the other copy of its image, and the disc that gave it is suspect and read as a whole.
func TestSilentCorruptionWithoutErrorCorrection(t *testing.T) {
	long(t)
	t.Parallel()
	s := New(t, Options{Sectors: 4000, Blanks: 4})
	u := terminal{s, t}
	u.must(cli.ExitOK, "vault", "create", "bare", "--roots", "0", "--copies", "2", "--heal", "operator")
	dir := s.path("source")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{20}).Read(data)
	if err := os.WriteFile(filepath.Join(dir, "data"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	a, err := s.Client.Put(t.Context(), client.Put{Dir: dir, Vault: "bare", Flush: true})
	if err == nil {
		_, err = s.Client.Wait(t.Context(), a.GetJobId(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	discs, err := s.Client.Library.ListDiscs(t.Context(), &pb.ListDiscsRequest{State: pb.DiscState_DISC_STATE_GOOD})
	if err != nil || len(discs.GetDiscs()) != 2 {
		t.Fatalf("%v %v", discs, err)
	}
	// One of the two, and whichever is asked first: the other one is taken away meanwhile.
	whole := s.path("jukebox", "discs", discs.GetDiscs()[0].GetLabel(), "image.iso")
	kept, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	if changed := s.flip(data[5*archive.SectorSize : 6*archive.SectorSize]); len(changed) != 2 {
		t.Fatalf("%v", changed)
	}
	if err := os.WriteFile(whole, kept, 0); err != nil {
		t.Fatal(err)
	}
	bad := discs.GetDiscs()[1].GetLabel()
	u.must(cli.ExitOK, "discs", "condemn", discs.GetDiscs()[0].GetLabel(), "--soon", "--reason", "so that the other one is read first")
	target := s.path("target")
	if err := s.Client.Get(t.Context(), client.Get{Archive: a, Target: target}); err != nil {
		t.Fatal(err)
	}
	s.same(dir, target)
	s.Eventually("two drives agree", func() bool { return s.health(bad).GetDisc().GetGradeConfirmed() })
	if d := s.health(bad).GetDisc(); d.GetState() != pb.DiscState_DISC_STATE_SUSPECT || d.GetGrade() != pb.Grade_GRADE_MIGRATE_NOW {
		t.Errorf("%v", d)
	}
}
