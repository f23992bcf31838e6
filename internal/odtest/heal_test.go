package odtest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/odarchive/odarchive/internal/cli"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot/drive/file"
)

// A scratched disc is replaced by a new one with the same bytes, though the agent is killed in the middle of the copy.
func TestHeal(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Speed: 60, ReadRate: 1 << 20, WriteRate: 10 << 20, Sectors: 4000, Blanks: 3})
	label, image := s.archived(5 << 20)
	before, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	faults, err := json.Marshal(file.Faults{Unreadable: []file.SectorRun{{First: 2000, Count: 50}}})
	if err == nil {
		err = os.WriteFile(filepath.Join(filepath.Dir(image), "faults.json"), faults, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Stop(Agent)
	s.Start(Agent)
	u := terminal{s, t}
	mark := s.Mark(Agent)
	u.must(cli.ExitOK, "discs", "heal", label)
	s.Await(Agent, mark, `task started.*kind=copy`)
	s.Kill(Agent)
	s.Start(Agent)
	s.Eventually("the disc is replaced", func() bool { return s.health(label).GetDisc().GetState() == pb.DiscState_DISC_STATE_RETIRED })
	burned, err := filepath.Glob(s.path("jukebox", "discs", "*", "image.iso"))
	if err != nil || len(burned) != 2 {
		t.Fatalf("burned images: %v %v", burned, err)
	}
	for _, name := range burned {
		if after, err := os.ReadFile(name); err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s has other bytes: %v", name, err)
		}
	}
}
