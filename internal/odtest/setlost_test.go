package odtest

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/internal/cli"
	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot/drive/file"
)

// Two discs of a set that bears the loss of one die. What was wanted of them ends with an error that says which set and which discs, nothing goes on
// behind it, what lies on the third is restored all the same; and when one of the two can be read after all, so is everything.
func TestSetLosesTooMany(t *testing.T) {
	long(t)
	t.Parallel()
	s := New(t, Options{Sectors: 4000, Blanks: 9})
	u := terminal{s, t}
	dir := u.film(17, "--heal", "operator")
	a, err := s.Client.Put(t.Context(), client.Put{Dir: dir, Vault: "film", Flush: true})
	if err == nil {
		_, err = s.Client.Wait(t.Context(), a.GetJobId(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	set := u.sealed()
	var dead []string
	for _, m := range set.GetMembers()[:2] {
		label := m.GetDiscs()[0]
		dead = append(dead, label)
		faults, err := json.Marshal(file.Faults{Unreadable: []file.SectorRun{{First: 300, Count: 4000}}})
		if err == nil {
			err = os.WriteFile(s.path("jukebox", "discs", label, "faults.json"), faults, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s.Stop(Agent)
	s.Start(Agent)
	err = s.Client.Get(t.Context(), client.Get{Archive: a, Target: s.path("target")})
	if err == nil {
		t.Fatal("what two dead discs had came back")
	}
	for _, want := range []string{set.GetId(), dead[0], dead[1], "lacking"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q doesn't say %q", err, want)
		}
	}
	s.Eventually("nothing goes on", func() bool {
		jobs, err := s.Client.Jobs.ListJobs(t.Context(), &pb.ListJobsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range jobs.GetJobs() {
			if j.GetState() == pb.JobState_JOB_STATE_RUNNING {
				return false
			}
		}
		return s.rests() && s.health(dead[0]).GetDisc().GetGradeConfirmed()
	})
	if alerts, _ := u.must(cli.ExitPartial, "library", "alerts"); !strings.Contains(alerts, "given up") || !strings.Contains(alerts, set.GetId()) {
		t.Error(alerts)
	}

	// Somebody says that nothing will come of them: what would be lost is told before, nobody is asked for it any more, and what is on the third comes.
	lost := append([]string{"discs", "lost", "--reason", "the vault room burned"}, dead...)
	if would, _ := u.must(cli.ExitOK, append(lost, "--dry-run", "--json")...); strings.Count(would, "FATE_GONE") != 2 || !strings.Contains(would, a.GetId()) {
		t.Error(would)
	}
	u.must(cli.ExitFailure, lost...) // nobody answers
	if said, _ := u.must(cli.ExitOK, append(lost, "--yes")...); !strings.Contains(said, "that are nowhere else are LOST, of 1 archives") {
		t.Error(said)
	}
	if alerts, _ := u.must(cli.ExitOK, "library", "alerts"); strings.Contains(alerts, dead[0]) {
		t.Error(alerts)
	}
	if list, _ := u.must(cli.ExitOK, "archives"); !strings.Contains(list, "gone") {
		t.Error(list)
	}
	part := s.path("target-part")
	if err = s.Client.Get(t.Context(), client.Get{Archive: a, Target: part}); err == nil || !strings.Contains(err.Error(), "are gone") || !strings.Contains(err.Error(), "the vault room burned") {
		t.Error(err)
	}
	if came, err := os.ReadDir(part); err != nil || len(came) == 0 {
		t.Errorf("nothing came of the third: %v", err)
	}
	u.must(cli.ExitOK, append([]string{"discs", "found", "--reason", "it was another room"}, dead...)...)

	if err := os.Remove(s.path("jukebox", "discs", dead[1], "faults.json")); err != nil {
		t.Fatal(err)
	}
	s.Stop(Agent)
	s.Start(Agent)
	u.must(cli.ExitOK, "discs", "clear", dead[1], "--reason", "it was dirty")
	u.must(cli.ExitOK, "discs", "heal", dead[0])
	s.Eventually("the other one is replaced", func() bool { return s.health(dead[0]).GetDisc().GetState() == pb.DiscState_DISC_STATE_RETIRED })
	target := s.path("target2")
	if err := s.Client.Get(t.Context(), client.Get{Archive: a, Target: target}); err != nil {
		t.Fatal(err)
	}
	s.same(dir, target)
}
