package odtest

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/internal/cli"
	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot/drive/file"
)

// archived archives a folder of so many random bytes and returns the label and the image file of the only disc that it fills.
func (s *Site) archived(bytes int) (label, image string) {
	s.Helper()
	dir := s.path("source")
	data := make([]byte, bytes)
	rand.NewChaCha8([32]byte{9}).Read(data)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data"), data, 0o644); err != nil {
		s.Fatal(err)
	}
	a, err := s.Client.Put(s.Context(), client.Put{Dir: dir, Flush: true})
	if err != nil {
		s.Fatal(err)
	}
	if _, err := s.Client.Wait(s.Context(), a.GetJobId(), nil); err != nil {
		s.Fatal(err)
	}
	discs, err := s.Client.Library.ListDiscs(s.Context(), &pb.ListDiscsRequest{State: pb.DiscState_DISC_STATE_GOOD})
	if err != nil || len(discs.GetDiscs()) != 1 {
		s.Fatalf("good discs: %v %v", discs, err)
	}
	burned, err := filepath.Glob(s.path("jukebox", "discs", "*", "image.iso"))
	if err != nil || len(burned) != 1 {
		s.Fatalf("burned images: %v %v", burned, err)
	}
	return discs.GetDiscs()[0].GetLabel(), burned[0]
}

func (s *Site) health(label string) *pb.DiscHealth {
	s.Helper()
	h, err := s.Client.Health.GetDiscHealth(s.Context(), &pb.GetDiscHealthRequest{Disc: label})
	if err != nil {
		s.Fatal(err)
	}
	return h
}

func (s *Site) startScrub(label string) *pb.Job {
	s.Helper()
	j, err := s.Client.Library.StartScrub(s.Context(), &pb.StartScrubRequest{Discs: []string{label}})
	if err != nil {
		s.Fatal(err)
	}
	return j
}

// A scrub whose agent and whose controller are killed in its middle goes on where it was: in the end the disc was read once, and its record
// has one reading of 64 regions.
func TestScrubGoesOn(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Speed: 60, ReadRate: 1 << 20, WriteRate: 10 << 20, Sectors: 4000, Blanks: 3})
	label, image := s.archived(5 << 20)
	before := len(s.health(label).GetReadings())
	job := s.startScrub(label)
	mark := s.Mark(Agent)
	done := func() int64 {
		if r := s.health(label).GetReadings(); len(r) > before && r[0].GetFinished() == nil {
			return r[0].GetDone()
		}
		return 0
	}
	s.Eventually("the scrub is on its way", func() bool { return done() > 0 })
	s.Kill(Agent)
	first := done()
	s.Start(Agent)
	s.Eventually("the scrub goes on", func() bool { return done() > first })
	s.Kill(Controller)
	s.Start(Controller)
	if j, err := s.Client.Wait(t.Context(), job.GetId(), nil); err != nil {
		t.Fatalf("%v %v", j, err)
	}
	h := s.health(label)
	if n := len(h.GetReadings()); n != before+1 || !h.GetReadings()[0].GetGood() || len(h.GetRegions()) != 64 {
		t.Fatalf("%d readings, %d before; %v, %d regions", n, before, h.GetReadings()[0], len(h.GetRegions()))
	}
	line := s.Await(Agent, mark, "task finished.*kind=verify")
	read, err := strconv.ParseInt(regexp.MustCompile(`bytes=(\d+)`).FindStringSubmatch(line)[1], 10, 64)
	info, err2 := os.Stat(image)
	if err != nil || err2 != nil || read >= info.Size()-first*archive.SectorSize+1 {
		t.Errorf("the agent that ended the scrub read %d bytes of %d, of which %d were done: %v %v", read, info.Size(), first*archive.SectorSize, err, err2)
	}
}

// scratch makes sectors of a disc unreadable.
func (s *Site) scratch(image string, first, count int64) {
	s.Helper()
	faults, err := json.Marshal(file.Faults{Unreadable: []file.SectorRun{{First: first, Count: count}}})
	if err == nil {
		err = os.WriteFile(filepath.Join(filepath.Dir(image), "faults.json"), faults, 0o600)
	}
	if err != nil {
		s.Fatal(err)
	}
	s.Stop(Agent) // what is loaded has been looked at before it was scratched
	s.Start(Agent)
}

// A disc that is damaged beyond repair: one drive alone, though it reads it twice, doesn't condemn it and says so; a second one does.
func TestOneDriveDoesNotCondemn(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Sectors: 4000, Blanks: 3})
	label, image := s.archived(5 << 20)
	u := terminal{s, t}
	u.must(cli.ExitOK, "vaults", "set", "default", "--heal", "operator")
	for _, n := range []string{"2", "3", "4"} {
		u.must(cli.ExitOK, "drives", "down", n)
	}
	s.scratch(image, 500, 2000)
	mark := s.Mark(Agent)
	j, err := s.Client.Wait(t.Context(), s.startScrub(label).GetId(), nil)
	if err == nil || !strings.Contains(err.Error(), "not good") {
		t.Errorf("the scrub ended with %v %v", j, err)
	}
	h := s.health(label)
	if d := h.GetDisc(); d.GetState() != pb.DiscState_DISC_STATE_SUSPECT || d.GetGradeConfirmed() || !strings.Contains(d.GetReason(), "no other drive can be asked") {
		t.Errorf("%v", d)
	}
	s.Await(Agent, mark, "task finished.*kind=move") // it was loaded anew in between
	if shown, _ := u.must(cli.ExitOK, "discs", "show", label); !strings.Contains(shown, "not confirmed: only drive site/1 says so") {
		t.Error(shown)
	}
	u.must(cli.ExitOK, "drives", "up", "2")
	u.must(cli.ExitOK, "drives", "down", "1")
	if _, err := s.Client.Wait(t.Context(), s.startScrub(label).GetId(), nil); err == nil {
		t.Error("a scrub of a dead disc went well")
	}
	h = s.health(label)
	if d := h.GetDisc(); d.GetState() != pb.DiscState_DISC_STATE_SUSPECT || d.GetGrade() != pb.Grade_GRADE_MIGRATE_NOW || !d.GetGradeConfirmed() || h.GetSteps()[0].GetStep() != "condemned" {
		t.Errorf("%v %v", d, h.GetSteps())
	}
	seen, err := s.Client.Health.ObservedFailures(t.Context(), &pb.ObservedFailuresRequest{})
	if err != nil || seen.GetFailures() != 1 {
		t.Errorf("%v %v", seen, err)
	}
}

// A scratch that the error correction bears: two drives see it, the disc stays good, its grade says what to do, and people can see
// where it is.
func TestScratchIsGraded(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Sectors: 4000, Blanks: 3})
	label, image := s.archived(5 << 20)
	u := terminal{s, t}
	u.must(cli.ExitOK, "vaults", "set", "default", "--heal", "operator")
	u.must(cli.ExitOK, "library", "alerts")
	s.scratch(image, 2000, 50)
	if j, err := s.Client.Wait(t.Context(), s.startScrub(label).GetId(), nil); err != nil {
		t.Fatalf("%v %v", j, err)
	}
	s.Eventually("a second drive agrees", func() bool { return s.health(label).GetDisc().GetGradeConfirmed() })
	h := s.health(label)
	d := h.GetDisc()
	if d.GetState() != pb.DiscState_DISC_STATE_GOOD || d.GetGrade() != pb.Grade_GRADE_MIGRATE_NOW || len(h.GetBadIn()) != 2 {
		t.Errorf("%v, bad in %v", d, h.GetBadIn())
	}
	if r := h.GetReadings()[0]; r.GetUnreadable() != 50 || r.GetRepaired() != 50 || r.GetWorstRow() < 2 || r.GetRoots() < 32 {
		t.Errorf("%v", r)
	}
	shown, _ := u.must(cli.ExitOK, "discs", "show", label)
	if !strings.Contains(shown, "█") || !strings.Contains(shown, "good, migrate now") || !strings.Contains(shown, "agree") {
		t.Error(shown)
	}
	u.document(cli.ExitOK, []string{"disc", "readings", "regions", "steps", "trends"}, "discs", "show", label)
	alerts, _ := u.must(cli.ExitPartial, "library", "alerts")
	if !strings.Contains(alerts, "disc "+label+" is to be migrated now") || !strings.Contains(alerts, "\n    next: 'odarchive discs heal "+label+"'") {
		t.Error(alerts)
	}
	if listed, _ := u.must(cli.ExitOK, "library"); !strings.Contains(listed, "0/0/0/1") || !strings.Contains(listed, "! library site: disc "+label) {
		t.Error(listed)
	}

	for grade, listed := range map[string]bool{"watch": true, "migrate-now": true} {
		if out, _ := u.must(cli.ExitOK, "discs", "--health", grade); strings.Contains(out, label+"  good   migrate now") != listed {
			t.Error(out)
		}
	}
	u.fails(cli.ExitUsage, "no grade", "discs", "--health", "splendid")

	// Somebody has looked, and says so.
	u.fails(cli.ExitUsage, "reason", "discs", "condemn", label)
	u.fails(cli.ExitNotFound, "there is no disc", "discs", "show", "nope")
	if shown, _ := u.must(cli.ExitOK, "discs", "clear", label, "--reason", "polished"); !strings.Contains(shown, "not read yet") {
		t.Error(shown)
	}
	if shown, _ := u.must(cli.ExitOK, "discs", "condemn", label, "--soon", "--reason", "an old lot"); !strings.Contains(shown, "migrate soon") || !strings.Contains(shown, "by an operator") {
		t.Error(shown)
	}
	u.must(cli.ExitOK, "discs", "condemn", label, "--take-back")

	// What is set is told.
	u.must(cli.ExitOK, "vaults", "set", "default", "--scrub-interval", "90d")
	if listed, _ := u.must(cli.ExitOK, "vaults"); !strings.Contains(listed, "90 days") {
		t.Error(listed)
	}
	u.fails(cli.ExitUsage, "not a time", "vaults", "set", "default", "--scrub-interval", "often")
	u.must(cli.ExitOK, "library", "limit", "--evacuation", "1ms")
	if alerts, _ := u.must(cli.ExitPartial, "library", "alerts"); !strings.Contains(alerts, "evacuation: library site: reading everything takes") {
		t.Error(alerts)
	}
	u.must(cli.ExitOK, "library", "limit", "--evacuation", "0")
	u.document(cli.ExitOK, []string{"failures", "disc_years", "results"}, "durability", "--observed", "--data", "1", "--parity", "0")
	u.fails(cli.ExitUsage, "either --observed or --rate", "durability", "--observed", "--rate", "0.1")
}
