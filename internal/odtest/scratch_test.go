package odtest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/tree"
	"github.com/odarchive/odarchive/internal/client"
	"github.com/odarchive/odarchive/robot/drive/file"
)

// TestScratches scratches every disc so that a tenth of it can't be read: a folder comes back whole from the only copy there is.
func TestScratches(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Speed: 60, ReadRate: 20 << 20, WriteRate: 10 << 20, Sectors: 3000})
	source, target := s.path("source"), s.path("restored")
	s.fill(source, 7)
	a, err := s.Client.Put(t.Context(), client.Put{Dir: source, Flush: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Client.Wait(t.Context(), a.GetJobId(), nil); err != nil {
		t.Fatal(err)
	}
	burned, err := filepath.Glob(s.path("jukebox", "discs", "*", "image.iso"))
	if err != nil || len(burned) < 2 {
		t.Fatalf("%d discs are burned, %v", len(burned), err)
	}
	for _, image := range burned {
		info, err := os.Stat(image)
		if err != nil {
			t.Fatal(err)
		}
		sectors := info.Size() / archive.SectorSize
		faults, err := json.Marshal(file.Faults{Unreadable: []file.SectorRun{{First: 40, Count: 2}, {First: sectors / 3, Count: sectors / 10}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(image), "faults.json"), faults, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Where the discs are loaded still, what is loaded has been looked at before it was scratched.
	s.Stop(Agent)
	s.Start(Agent)
	if err := s.Client.Get(t.Context(), client.Get{Archive: a, Target: target}); err != nil {
		t.Fatalf("%v\n%q", err, s.Lines(Agent, "task (failed|finished)"))
	}
	if differences, err := tree.Compare(t.Context(), source, target, false); err != nil || len(differences) > 0 {
		t.Errorf("the restored folder differs: %v %v", differences, err)
	}
}
