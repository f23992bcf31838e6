package odtest

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/odarchive/odarchive/internal/cli"
	"github.com/odarchive/odarchive/internal/client"
	"github.com/odarchive/odarchive/internal/rebuild/database"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
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

// The database is lost. It is made again from the discs, the controller starts on it, has the jukebox's discs loaded to see which they are,
// and what was archived comes back byte for byte. Then the library goes on: what is archived after that does not collide with what was.
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
	s.Stop(Agent)
	s.Stop(Controller)
	for _, lost := range []string{"postgres", "staging"} {
		if err := os.RemoveAll(s.path("controller", lost)); err != nil {
			t.Fatal(err)
		}
	}
	s.rebuild(cli.ExitOK, s.path("jukebox", "discs"))
	s.Start(Controller)
	s.Start(Agent)

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
