package odtest

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/internal/cli"
)

// What a controller and its agents burned comes back without them: from the discs alone, all of it, and without one of them all but what is
// on that one.
func TestRestoreWithoutController(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Sectors: 3000})
	source := s.path("source")
	s.fill(source, 1)
	a := s.put(source)
	s.CheckTruth(0)
	u := terminal{s, t}
	images := s.images()
	if len(images) < 2 {
		t.Fatalf("the archive is on %d discs, want several", len(images))
	}
	s.Stop(Agent)
	s.Stop(Controller)
	keys := []string{"archives", "discs", "doubts", "rebuilt_sectors", "repaired_sectors", "sets"}
	target := s.path("back")
	got := u.document(cli.ExitOK, keys, append([]string{"restore", "--to", target, "--archive", a.GetId()}, images...)...)[0]
	if archives := got["archives"].([]any); len(archives) != 1 || archives[0].(map[string]any)["files"] == float64(0) {
		t.Errorf("it says %v", got)
	}
	s.same(source, target)
	for i := range images {
		rest := append(append([]string{"iso", "restore", "--to", s.path("without", filepath.Base(filepath.Dir(images[i])))}, images[:i]...), images[i+1:]...)
		got := u.document(cli.ExitPartial, keys, rest...)[0]["archives"].([]any)[0].(map[string]any)
		if got["whole"] != false || len(got["absent"].([]any)) == 0 {
			t.Errorf("without %s it says %v", images[i], got)
		}
	}
	if out, _ := u.must(cli.ExitPartial, "restore", images[0], "--to", s.path("one")); !strings.Contains(out, "files are absent:") {
		t.Errorf("restore printed %q", out)
	}
}
