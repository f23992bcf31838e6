package project

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/archive/catalogue"
)

// opens counts how often files of a folder are opened, as Linux sees it.
func opens(t *testing.T, dir string) func(most int) int {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_OPEN); err != nil {
		t.Skip(err)
	}
	seen := map[string]bool{}
	b := make([]byte, 1<<16)
	return func(most int) int {
		deadline := time.Now().Add(30 * time.Second)
		for len(seen) < most && time.Now().Before(deadline) {
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 1000); err != nil && err != unix.EINTR {
				t.Fatal(err)
			}
			n, _ := unix.Read(fd, b)
			for at := 0; at+unix.SizeofInotifyEvent <= n; {
				length := int(binary.NativeEndian.Uint32(b[at+12:]))
				if name := string(b[at+unix.SizeofInotifyEvent : at+unix.SizeofInotifyEvent+length]); length > 0 { // else the folder itself
					seen[name] = true
				}
				at += unix.SizeofInotifyEvent + length
			}
		}
		return len(seen)
	}
}

// held is a writer that takes nothing before somebody lets it.
type held struct {
	once  sync.Once
	first func()
	n     int
}

func (h *held) Write(p []byte) (int, error) {
	h.once.Do(h.first)
	h.n += len(p)
	return len(p), nil
}

// TestReadsAhead: while nothing of an image is written yet, a score of its small files has been opened: far more than the buffers of
// what is written hold.
func TestReadsAhead(t *testing.T) {
	source := filepath.Join(t.TempDir(), "source")
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	const files, size = 100, 200 << 10
	for i := range files {
		b := make([]byte, size)
		b[0] = byte(i)
		if err := os.WriteFile(filepath.Join(source, fmt.Sprint("file", i)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := begin(t, source)
	if err := p.Plan(20_000, "test"); err != nil {
		t.Fatal(err)
	}
	d, err := p.Disc(p.Numbers(catalogue.Planned)[0])
	if err != nil {
		t.Fatal(err)
	}
	c, sources, err := p.compose(d)
	if err != nil {
		t.Fatal(err)
	}
	count := opens(t, source)
	ahead := 0
	out := &held{first: func() { ahead = count(20) }}
	if err := p.write(t.Context(), d, c, sources, out); err != nil {
		t.Fatal(err)
	}
	if ahead < 20 || out.n < files*size {
		t.Errorf("%d files were opened before the first byte of %d was written", ahead, out.n)
	}
}
