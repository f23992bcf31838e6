package odtest

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/internal/cli"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// A disc that two drives find to be near its end is replaced by itself while it can still be read: nobody says a word. Under the other policy
// it is alerted, and waits for one.
func TestHealsByItself(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Sectors: 4000, Blanks: 3})
	label, image := s.archived(5 << 20)
	u := terminal{s, t}
	before, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	if out, _ := u.must(cli.ExitOK, "vaults", "set", "default", "--heal", "operator"); !strings.Contains(out, "heal: operator") {
		t.Error(out)
	}
	u.fails(cli.ExitUsage, "want operator, now or soon", "vaults", "set", "default", "--heal", "never")
	u.fails(cli.ExitUsage, "say what to set", "vaults", "set", "default")
	u.fails(cli.ExitUsage, "want operator, now or soon", "vault", "create", "other", "--heal", "later")
	s.scratch(image, 2000, 50)
	if j, err := s.Client.Wait(t.Context(), s.startScrub(label).GetId(), nil); err != nil {
		t.Fatalf("%v %v", j, err)
	}
	s.Eventually("a second drive agrees", func() bool { return s.health(label).GetDisc().GetGradeConfirmed() })
	if d := s.health(label).GetDisc(); d.GetState() != pb.DiscState_DISC_STATE_GOOD || d.GetGrade() != pb.Grade_GRADE_MIGRATE_NOW {
		t.Fatalf("%v", d)
	}
	alerts, _ := u.must(cli.ExitPartial, "library", "alerts")
	if !strings.Contains(alerts, "disc "+label+" is to be migrated now") || strings.Contains(alerts, "being replaced") {
		t.Error(alerts)
	}

	u.must(cli.ExitOK, "vaults", "set", "default", "--heal", "now")
	// Whoever reads it next finds the same, and then it begins; or whoever looks after the library, once a minute.
	s.startScrub(label)
	s.Eventually("the disc is replaced", func() bool { return s.health(label).GetDisc().GetState() == pb.DiscState_DISC_STATE_RETIRED })
	discs, err := s.Client.Library.ListDiscs(t.Context(), &pb.ListDiscsRequest{State: pb.DiscState_DISC_STATE_GOOD})
	if err != nil || len(discs.GetDiscs()) != 1 {
		t.Fatalf("%v %v", discs, err)
	}
	if after, err := os.ReadFile(s.path("jukebox", "discs", discs.GetDiscs()[0].GetLabel(), "image.iso")); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the new disc has other bytes: %v", err)
	}
	u.must(cli.ExitOK, "library", "alerts") // there is nothing left to do
	if out, _ := u.must(cli.ExitOK, "vaults"); !strings.Contains(out, "now") {
		t.Error(out)
	}
}
