package tree

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHashesOnAllCores: several files are open at a time, as Linux sees it, and no more than there are processors.
func TestHashesOnAllCores(t *testing.T) {
	cores := runtime.GOMAXPROCS(0)
	if cores < 2 {
		t.Skip("one processor")
	}
	dir := t.TempDir()
	for i := range 3 * cores {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(16 << 20); err != nil { // a hole is hashed as fast as anything
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Skip(err)
	}
	defer unix.Close(fd)
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_OPEN|unix.IN_CLOSE); err != nil {
		t.Skip(err)
	}
	if _, err := Scan(t.Context(), dir, Options{}); err != nil {
		t.Fatal(err)
	}
	open, most := 0, 0
	b := make([]byte, 1<<20)
	for n, _ := unix.Read(fd, b); n > 0; n, _ = unix.Read(fd, b) {
		for at := 0; at+unix.SizeofInotifyEvent <= n; {
			mask, length := binary.NativeEndian.Uint32(b[at+4:]), int(binary.NativeEndian.Uint32(b[at+12:]))
			switch {
			case mask&unix.IN_ISDIR != 0:
			case mask&unix.IN_OPEN != 0:
				open++
			default:
				open--
			}
			most = max(most, open)
			at += unix.SizeofInotifyEvent + length
		}
	}
	if most < 2 || most > cores || open != 0 {
		t.Errorf("%d files were open at a time with %d processors, %d still are", most, cores, open)
	}
}
