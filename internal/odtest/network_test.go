package odtest

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

// large fills a folder with contents that pass from process to process as files where all are on one host; one is split over discs.
func (s *Site) large(dir string) {
	s.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		s.Fatal(err)
	}
	for name, size := range map[string]int{"one": 9 << 20, "split": 23 << 20, "small": 100_000} {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(i>>12 + i*len(name))
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			s.Fatal(err)
		}
	}
}

// Over a network bytes travel through the connection.
func TestOverANetwork(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	s := New(t, Options{Port: port})
	s.large(s.path("source"))
	s.same(s.path("source"), s.get(s.put(s.path("source"))))
	s.CheckTruth(0)
}

// Where the socket for files is out of reach - in a container that was given the other one only - bytes travel all the same.
func TestWithoutPassing(t *testing.T) {
	long(t)
	t.Parallel()
	s := New(t, Options{})
	s.large(s.path("source"))
	a := s.put(s.path("source"))
	beside := s.path("controller", "controller.sock.files")
	if err := os.Remove(beside); err != nil {
		t.Fatal(err)
	}
	s.same(s.path("source"), s.get(a))
	// And with it, from the cache.
	s.Stop(Controller)
	s.Start(Controller)
	s.same(s.path("source"), s.get(a))
	s.CheckTruth(0)
}
