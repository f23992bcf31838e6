package odtest

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/internal/agent"
	"github.com/odarchive/odarchive/internal/cli"
	"github.com/odarchive/odarchive/internal/client"
	"github.com/odarchive/odarchive/internal/rebuild/database"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot/drive/file"
)

// rebuild runs `odarchive rebuild` on the data folder of the site's controller.
func (s *Site) rebuild(code int, args ...string) string {
	s.Helper()
	var out, complaints bytes.Buffer
	args = append([]string{"rebuild", "--data", s.path("controller")}, args...)
	if got := (cli.Program{Rebuild: database.Open}).Run(s.Context(), args, &out, &complaints); got != code {
		s.Fatalf("odarchive %q ended with %d, want %d\nstdout: %s\nstderr: %s", args, got, code, out.String(), complaints.String())
	}
	return out.String() + complaints.String()
}

// images are the discs of the jukebox that were burned.
func (s *Site) images() []string {
	s.Helper()
	images, err := filepath.Glob(s.path("jukebox", "discs", "*", "image.iso"))
	if err != nil {
		s.Fatal(err)
	}
	return images
}

// lose takes the controller's database away, and staging with it.
func (s *Site) lose() {
	s.Helper()
	s.Stop(Agent)
	s.Stop(Controller)
	for _, lost := range []string{"postgres", "staging"} {
		if err := os.RemoveAll(s.path("controller", lost)); err != nil {
			s.Fatal(err)
		}
	}
}

// emptySlots says of the slots behind the last blank that they are empty: the robot can't tell, and would look into each.
func (s *Site) emptySlots() {
	s.Helper()
	s.Eventually("the agent has shown the library", func() bool {
		resp, err := s.Client.Library.ListElements(s.Context(), &pb.ListElementsRequest{Library: "site"})
		return err == nil && len(resp.GetElements()) >= shape.Units*shape.SlotsPerUnit
	})
	for n := shape.Units * shape.SlotsPerUnit; n > s.options.Blanks; n-- {
		if _, err := s.Client.Library.SetElement(s.Context(), &pb.SetElementRequest{
			Library: "site", Address: &pb.Address{Kind: pb.ElementKind_ELEMENT_KIND_SLOT, Number: int32(n)}, Fill: pb.Fill_FILL_EMPTY,
		}); err != nil {
			s.Fatal(err)
		}
	}
}

// survey has the jukebox's discs read for a rebuild, and returns where what was copied of them is.
func (s *Site) survey() (dir string) {
	s.Helper()
	v := &agent.Survey{
		Config: s.config(Agent).(agent.Config), Dir: s.path("survey"), Slots: func(n int) bool { return n <= s.options.Blanks },
		Log: slog.New(slog.DiscardHandler),
	}
	r, err := v.Run(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	if len(r.Unknown)+len(r.Troubles)+len(r.Unreadable)+len(r.Doubtful) > 0 {
		s.Fatalf("the survey has come to %+v", r)
	}
	return v.Dir
}

// The database is lost. The agent has the jukebox read its discs, the database is made again from what it copied, the controller starts on it and
// knows where each disc is, and what was archived comes back byte for byte. Then the library goes on: what is archived after that does not collide
// with what was.
func TestRebuild(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Sectors: 3000, Blanks: 12})
	source := s.path("source")
	s.fill(source, 1)
	a := s.put(source)
	s.CheckTruth(0)
	images := s.images()
	if len(images) < 2 {
		t.Fatalf("the archive is on %d discs, want several", len(images))
	}
	// A drill beside the running controller finds that the discs say what the database does, and without one of them what is lacking.
	s.rebuild(cli.ExitOK, "--drill", s.path("jukebox", "discs"))
	if said := s.rebuild(cli.ExitPartial, append([]string{"--drill"}, images[1:]...)...); !strings.Contains(said, ": only in the database") {
		t.Errorf("without %s a drill says\n%s", images[0], said)
	}
	s.CheckTruth(0)
	s.lose()
	excerpts := s.survey()
	u := terminal{s, t}
	if all := u.document(cli.ExitOK, []string{"discs", "archives", "doubts"}, "survey", excerpts)[0]; len(all["discs"].([]any)) != len(images) || len(all["doubts"].([]any)) > 0 ||
		all["archives"].([]any)[0].(map[string]any)["whole"] != true {
		t.Errorf("what was copied of the discs says %v", all)
	}
	s.rebuild(cli.ExitOK, excerpts)
	s.Start(Controller)
	places := 0
	for _, d := range s.Discs() {
		if d.GetPlace() != nil {
			places++
		}
	}
	if places != s.options.Blanks {
		t.Errorf("before the agent has said a word, the places of %d discs are known, want those of all %d", places, s.options.Blanks)
	}
	s.Start(Agent)
	s.emptySlots()

	target := s.path("back")
	if err := s.Client.Get(t.Context(), client.Get{Archive: a, Target: target}); err != nil {
		t.Fatal(err)
	}
	s.same(source, target)
	s.Eventually("every disc has its place", func() bool {
		n := 0
		for _, d := range s.Discs() {
			if d.GetState() == pb.DiscState_DISC_STATE_GOOD && d.GetPlace() != nil {
				n++
			}
		}
		return n == len(images)
	})

	more := s.path("more")
	s.fill(more, 2)
	s.put(more)
	s.CheckTruth(0)
}

// With the database a disc is lost. What it held is known from the others of its set, and comes back through them.
func TestRebuildWithoutADisc(t *testing.T) {
	long(t)
	t.Parallel()
	s := New(t, Options{Sectors: 4000, Blanks: 10})
	u := terminal{s, t}
	dir := u.film(9, "--roots", "32")
	a, err := s.Client.Put(t.Context(), client.Put{Dir: dir, Vault: "film", Flush: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Client.Wait(t.Context(), a.GetJobId(), nil); err != nil {
		t.Fatal(err)
	}
	dead := u.sealed().GetMembers()[1].GetDiscs()[0]
	before, err := os.ReadFile(s.path("jukebox", "discs", dead, "image.iso"))
	if err != nil {
		t.Fatal(err)
	}
	s.lose()
	faults, err := json.Marshal(file.Faults{Unreadable: []file.SectorRun{{Count: int64(len(before) / 2048)}}})
	if err == nil {
		err = os.WriteFile(s.path("jukebox", "discs", dead, "faults.json"), faults, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	var rest []string
	for _, image := range s.images() {
		if filepath.Base(filepath.Dir(image)) != dead {
			rest = append(rest, image)
		}
	}
	said := s.rebuild(cli.ExitPartial, rest...)
	if !strings.Contains(said, "1 snapshots of the old catalogue read") {
		t.Errorf("the parity disc's snapshot is not in what rebuild says:\n%s", said)
	}
	if !strings.Contains(said, "whole with the parity of its sets") || !strings.Contains(said, "1 that were not there are known from their sets") {
		t.Errorf("rebuild says\n%s", said)
	}
	s.Start(Controller)
	s.Start(Agent)
	s.emptySlots()
	target := s.path("back")
	if err := s.Client.Get(t.Context(), client.Get{Archive: a, Target: target}); err != nil {
		t.Fatal(err)
	}
	s.same(dir, target)
	s.Eventually("a new disc takes its place", func() bool {
		members := s.set().GetMembers()
		return len(members) == 4 && len(members[1].GetDiscs()) == 1
	})
	if after, err := os.ReadFile(s.path("jukebox", "discs", s.set().GetMembers()[1].GetDiscs()[0], "image.iso")); err == nil && !bytes.Equal(before, after) {
		t.Error("the new disc differs from the dead one")
	}
}

// A set has not come together when the database is lost. Its discs are read again then, and it is closed with those: they don't stay without parity.
func TestRebuildOfAnOpenSet(t *testing.T) {
	long(t)
	t.Parallel()
	s := New(t, Options{Sectors: 4000, Blanks: 10})
	u := terminal{s, t}
	dir := u.film(9, "--set", "6+1")
	a, err := s.Client.Put(t.Context(), client.Put{Dir: dir, Vault: "film", Flush: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Client.Wait(t.Context(), a.GetJobId(), nil); err != nil {
		t.Fatal(err)
	}
	if set := s.set(); set.GetState() != pb.DiscSet_STATE_OPEN {
		t.Fatalf("%v", set)
	}
	s.lose()
	if said := s.rebuild(cli.ExitOK, s.path("jukebox", "discs")); !strings.Contains(said, "1 set was without parity") {
		t.Errorf("rebuild says\n%s", said)
	}
	s.Start(Controller)
	s.Start(Agent)
	s.emptySlots()
	u.Eventually("the set has its parity disc", func() bool { return s.set().GetState() == pb.DiscSet_STATE_SEALED && s.set().GetSpare() == 1 })
}
