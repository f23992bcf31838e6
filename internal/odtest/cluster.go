package odtest

import (
	"os"
	"os/exec"
	"sync"
	"testing"
)

// cluster is a PostgreSQL's folder as a controller leaves it that was started once: every site begins with a copy, because making and migrating one costs
// more processor time than most tests do.
var cluster struct {
	once sync.Once
	dir  string // "" until it is made, and when it can't be
}

// seed gives a site's controller its PostgreSQL.
func (s *Site) seed() {
	s.Helper()
	cluster.once.Do(func() {
		first := &Site{T: s.T, Dir: folder(s.T), processes: map[Role]*process{}}
		first.Start(Controller)
		first.Stop(Controller)
		dir, err := os.MkdirTemp("", "odtest")
		if err != nil {
			s.Fatal(err)
		}
		copyAll(s.T, first.path("controller", "postgres", "data"), dir)
		cluster.dir = dir
	})
	if cluster.dir == "" {
		s.Fatal("no PostgreSQL could be made for an earlier test")
	}
	if err := os.MkdirAll(s.path("controller", "postgres"), 0o700); err != nil {
		s.Fatal(err)
	}
	copyAll(s.T, cluster.dir+"/data", s.path("controller", "postgres"))
}

// copyAll copies a folder into another with its owners: PostgreSQL doesn't run as root, and refuses what isn't its own.
func copyAll(t *testing.T, from, into string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, into).CombinedOutput(); err != nil {
		t.Fatalf("copy %s: %v: %s", from, err, out)
	}
}
