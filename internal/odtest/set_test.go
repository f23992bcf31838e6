package odtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/odarchive/odarchive/internal/cli"
	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot/drive/file"
)

func (s *Site) set() *pb.DiscSet {
	s.Helper()
	resp, err := s.Client.Library.ListSets(s.Context(), &pb.ListSetsRequest{})
	if err != nil || len(resp.GetSets()) == 0 {
		s.Fatalf("sets: %v %v", resp, err)
	}
	return resp.GetSets()[len(resp.GetSets())-1]
}

// film makes a vault whose discs share parity by 3+1, and a folder for it that fills two discs and a half.
func (u terminal) film(seed byte, policy ...string) (dir string) {
	u.Helper()
	u.must(cli.ExitOK, append([]string{"vault", "create", "film", "--set", "3+1"}, policy...)...)
	dir = u.path("source")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		u.Fatal(err)
	}
	data := make([]byte, 1<<20)
	random := rand.NewChaCha8([32]byte{seed})
	for i := range 14 {
		random.Read(data)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("reel%02d", i)), data, 0o644); err != nil {
			u.Fatal(err)
		}
	}
	return dir
}

// sealed closes the set where that hasn't come about, and waits for its parity disc.
func (u terminal) sealed() *pb.DiscSet {
	u.Helper()
	if set := u.set(); set.GetState() == pb.DiscSet_STATE_OPEN {
		u.must(cli.ExitOK, "library", "close-set", set.GetId())
	}
	u.Eventually("the parity disc is verified", func() bool { return u.set().GetSpare() == 1 })
	return u.set()
}

// Three discs share the parity of a fourth. One of the three loses more of some rows than its error correction bears: what is on it is restored
// from those rows of the others. Then another becomes unreadable from its first sector to its last: what is on it is restored all
// the same, because its image is rebuilt from the others and burned anew; and a file of it before any of them has been read whole. The agent is
// killed while parity is gathered, between the reads of rows, and while the image is rebuilt; in the long form the controller while what was wanted
// is computed, or read from the scratch disk.
func TestSet(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Sectors: 4000, Blanks: 8})
	u := terminal{s, t}
	dir := u.film(7, "--roots", "32")
	mark := s.Mark(Agent)
	a, err := s.Client.Put(t.Context(), client.Put{Dir: dir, Vault: "film", Flush: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Await(Agent, mark, "task started.*kind=gather")
	s.Kill(Agent)
	s.Start(Agent)
	if _, err := s.Client.Wait(t.Context(), a.GetJobId(), nil); err != nil {
		t.Fatal(err)
	}
	set := u.sealed()
	if len(set.GetMembers()) != 4 || set.GetState() != pb.DiscSet_STATE_SEALED {
		t.Fatalf("%v", set)
	}
	s.carries(set, set.GetMembers()[3].GetDiscs()[0], false)
	u.document(cli.ExitOK, []string{"id", "members", "spare", "state"}, "library", "sets")
	s.Eventually("nothing is left on the scratch disk", func() bool {
		left, err := filepath.Glob(s.path("agent", "scratch", "*"))
		return err == nil && len(left) == 0
	})

	s.region(set, client.Get{Archive: a, Paths: []string{"reel00", "reel01"}, Target: s.path("reels")})
	set = s.set()

	victim := set.GetMembers()[1]
	dead := victim.GetDiscs()[0]
	image := s.path("jukebox", "discs", dead, "image.iso")
	before, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	// All but the sectors that say which disc it is.
	faults, err := json.Marshal(file.Faults{Unreadable: []file.SectorRun{{First: 300, Count: int64(len(before)/2048) - 300}}})
	if err == nil {
		err = os.WriteFile(filepath.Join(filepath.Dir(image), "faults.json"), faults, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Stop(Agent) // what is loaded has been looked at before it was damaged
	s.Start(Agent)
	s.first(set, victim, client.Get{Archive: a, Paths: []string{"reel08"}, Target: s.path("reel")})
	if got, err := os.ReadFile(s.path("reel", "reel08")); err != nil {
		t.Error(err)
	} else if want, err := os.ReadFile(filepath.Join(dir, "reel08")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the reel differs: %v", err)
	}
	mark = s.Mark(Agent)
	target, got := s.path("target"), make(chan error, 1)
	go func() { got <- s.Client.Get(t.Context(), client.Get{Archive: a, Target: target}) }()
	s.Await(Agent, mark, "task started.*kind=rebuild")
	s.Kill(Agent)
	s.Start(Agent)
	if os.Getenv("ODARCHIVE_SLOW") != "" {
		s.Await(Agent, mark, "task started.*kind=serve")
		s.Kill(Controller)
		s.Start(Controller)
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	s.same(dir, target)
	s.Eventually("the dead disc is retired", func() bool { return s.health(dead).GetDisc().GetState() == pb.DiscState_DISC_STATE_RETIRED })
	set = s.set()
	if set.GetSpare() != 1 || len(set.GetMembers()[1].GetDiscs()) != 1 {
		t.Fatalf("%v", set)
	}
	s.early(victim.GetImageId(), set.GetMembers()[1].GetDiscs()[0])
	if after, err := os.ReadFile(s.path("jukebox", "discs", set.GetMembers()[1].GetDiscs()[0], "image.iso")); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the new disc differs from the dead one: %v", err)
	}

	// Without the controller too a lost disc comes back from the others.
	var rest []string
	for i, m := range set.GetMembers() {
		if i != 1 {
			rest = append(rest, s.path("jukebox", "discs", m.GetDiscs()[0], "image.iso"))
		}
	}
	back := s.path("back")
	u.must(cli.ExitOK, append([]string{"restore", "--archive", a.GetId(), "--to", back}, rest...)...)
	s.same(dir, back)
}

// The scratch disk of a set that is still open is lost. When the set is closed, its discs are read back and its parity is made of them;
// discs that were burned before the set was closed say which set they are in. A parity disc that dies is made anew.
func TestSetIsGatheredAgain(t *testing.T) {
	long(t)
	t.Parallel()
	s := New(t, Options{Sectors: 4000, Blanks: 6})
	u := terminal{s, t}
	u.must(cli.ExitOK, "vault", "create", "film", "--set", "4+1")
	dir := s.path("source")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 8<<20)
	rand.NewChaCha8([32]byte{8}).Read(data)
	if err := os.WriteFile(filepath.Join(dir, "reel"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	a, err := s.Client.Put(t.Context(), client.Put{Dir: dir, Vault: "film", Flush: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Client.Wait(t.Context(), a.GetJobId(), nil); err != nil {
		t.Fatal(err)
	}
	gathered := func() (n int) {
		for _, m := range s.set().GetMembers() {
			if m.GetGathered() {
				n++
			}
		}
		return n
	}
	s.Eventually("all images are gathered and gone from the scratch disk", func() bool {
		images, err := filepath.Glob(s.path("agent", "scratch", "*.iso"))
		return err == nil && len(images) == 0 && gathered() == len(s.set().GetMembers())
	})
	s.Stop(Agent)
	lost, err := filepath.Glob(s.path("agent", "scratch", "set-*"))
	if err != nil || len(lost) != 1 || os.RemoveAll(lost[0]) != nil {
		t.Fatalf("%v %v", lost, err)
	}
	s.Start(Agent)
	mark := s.Mark(Agent)
	set := s.set()
	u.must(cli.ExitOK, "library", "close-set", set.GetId())
	s.Await(Agent, mark, "task finished.*kind=seal.*lacks")
	s.Await(Agent, mark, "task started.*kind=copy")
	s.Eventually("the parity disc is verified", func() bool { return s.set().GetSpare() == 1 })

	// The parity disc dies too: it is made anew, as it was.
	dead := s.set().GetMembers()[len(set.GetMembers())].GetDiscs()[0]
	s.carries(s.set(), dead, true)
	one := set.GetMembers()[0].GetDiscs()[0]
	survey := u.document(cli.ExitPartial, []string{"missing"}, "survey", s.path("jukebox", "discs", one, "image.iso"), s.path("jukebox", "discs", dead, "image.iso"))
	if missing := survey[0]["missing"].(map[string]any)["discs"].([]any); len(missing) != len(set.GetMembers())-1 {
		t.Errorf("of %d discs, one and the parity disc miss %v", len(set.GetMembers()), missing)
	}
	before, err := os.ReadFile(s.path("jukebox", "discs", dead, "image.iso"))
	if err != nil {
		t.Fatal(err)
	}
	faults, err := json.Marshal(file.Faults{Unreadable: []file.SectorRun{{First: 300, Count: int64(len(before)/2048) - 300}}})
	if err == nil {
		err = os.WriteFile(s.path("jukebox", "discs", dead, "faults.json"), faults, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Stop(Agent)
	s.Start(Agent)
	u.must(cli.ExitOK, "discs", "heal", dead)
	s.Eventually("the parity disc is replaced", func() bool { return s.health(dead).GetDisc().GetState() == pb.DiscState_DISC_STATE_RETIRED })
	discs := s.set().GetMembers()[len(set.GetMembers())].GetDiscs()
	if after, err := os.ReadFile(s.path("jukebox", "discs", discs[0], "image.iso")); err != nil || len(discs) != 1 || !bytes.Equal(before, after) {
		t.Errorf("the new parity disc %v differs from the dead one: %v", discs, err)
	}

	u.fails(cli.ExitNotFound, "there is no set", "library", "close-set", set.GetMembers()[0].GetImageId())
	info, err := os.ReadFile(s.path("jukebox", "discs", set.GetMembers()[0].GetDiscs()[0], "image.iso"))
	if want := fmt.Appendf(nil, "\"parity_set\": {\n    \"set\": \"%s\"", set.GetId()); err != nil || !bytes.Contains(info, want) {
		t.Errorf("the disc doesn't say that it is in %s: %v", set.GetId(), err)
	}
}
