package odtest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/archive/image"
	"github.com/odarchive/odarchive/internal/cli"
	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// burned returns the sectors of a site's discs by their images, as its jukebox has them.
func (s *Site) burned() map[string][]byte {
	s.Helper()
	names, err := filepath.Glob(s.path("jukebox", "discs", "*", "image.iso"))
	if err != nil {
		s.Fatal(err)
	}
	images := map[string][]byte{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			s.Fatal(err)
		}
		id, err := image.ReadIdentity(bytes.NewReader(data))
		if err != nil {
			s.Fatal(err)
		}
		images[uuid.UUID(id.ID).String()] = data
	}
	return images
}

// Two libraries, one controller, two copies: whoever is killed while images are built and burned, in the end each library has a disc of every image, the same
// to the last bit. When the robot of the one is out of order everything comes back from the other.
func TestTwoLibraries(t *testing.T) {
	long(t)
	t.Parallel()
	near := New(t, Options{Sectors: 3000, Blanks: 12})
	far := near.Beside("far", Options{Sectors: 3000, Blanks: 12})
	u := terminal{near, t}
	u.must(cli.ExitOK, "vault", "create", "two", "--copies", "2")
	source, second := near.path("source"), near.path("second")
	near.fill(source, 31)
	near.fill(second, 32)
	marks := [2]int{near.Mark(Agent), far.Mark(Agent)}
	a, err := near.Client.Put(t.Context(), client.Put{Dir: source, Vault: "two", Flush: true})
	if err != nil {
		t.Fatal(err)
	}
	b, err := near.Client.Put(t.Context(), client.Put{Dir: second, Vault: "two", Flush: true})
	if err != nil {
		t.Fatal(err)
	}
	// Which of them has most blanks is a matter of taste: both build, and both are killed at it; then one in the middle of a burn, and the controller.
	for i, s := range []*Site{near, far} {
		s.Await(Agent, marks[i], "task started.*kind=build")
		s.Kill(Agent)
		s.Start(Agent)
	}
	mark := far.Mark(Agent)
	far.Await(Agent, mark, "task started.*kind=burn")
	far.Kill(Agent)
	near.Kill(Controller)
	near.Start(Controller)
	far.Start(Agent)
	for _, x := range []*pb.Archive{a, b} {
		if _, err := near.Client.Wait(t.Context(), x.GetJobId(), nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []*Site{near, far} {
		s.Eventually("the catalogue says what is so", func() bool { return s.differs() == nil })
	}
	here, there := near.burned(), far.burned()
	if len(here) < 2 || len(here) != len(there) {
		t.Fatalf("%d images here, %d there", len(here), len(there))
	}
	for id, data := range here {
		if !bytes.Equal(data, there[id]) {
			t.Errorf("image %s has %d bytes here and %d there, or others", id, len(data), len(there[id]))
		}
	}
	stdout, _ := u.must(cli.ExitOK, "archives", "show", a.GetId())
	if !strings.Contains(stdout, "whole in: far, site") {
		t.Errorf("of the archive it is said: %s", stdout)
	}
	if stdout, _ := u.must(cli.ExitOK, "discs", "--together"); strings.Count(stdout, "\n") > 1 {
		t.Errorf("discs that should be carried: %s", stdout)
	}

	// The robot of each in turn is out of order, which is found out when a disc is wanted.
	for _, c := range []struct {
		broken *Site
		want   *pb.Archive
		source string
	}{{near, a, source}, {far, b, second}} {
		c.broken.Hand("door", "open", "1")
		near.same(c.source, near.get(c.want))
		c.broken.Hand("door", "close", "1")
		for _, drive := range []string{"1", "2"} { // into which nothing could be moved
			u.must(cli.ExitOK, "drives", "up", drive, "--library", c.broken.library)
		}
	}
}
