package staging

import (
	"bytes"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// leastHole is the shortest piece of zeros that becomes a hole, in bytes: of shorter ones the file system gains little.
	leastHole = 64 << 10
	// block is that of most file systems.
	block = 4096
)

var zeros [leastHole]byte

// empty says whether p is worth a hole.
func empty(p []byte) bool {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), leastHole)
		if !bytes.Equal(rest[:n], zeros[:n]) {
			return false
		}
		rest = rest[n:]
	}
	return len(p) >= leastHole
}

// writeAt is f.WriteAt, but what is nothing but zeros takes next to no room: it is made a hole, where the file system has any, and only its last
// block is written. That gives the file its length, which says how much has arrived; truncating it could cut off what another writes at the time.
func writeAt(f *os.File, p []byte, off int64) (int, error) {
	if !empty(p) {
		return f.WriteAt(p, off)
	}
	hole := len(p) - block
	for {
		err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, int64(hole))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return f.WriteAt(p, off)
		}
		break
	}
	n, err := f.WriteAt(p[hole:], off+int64(hole))
	return hole + n, err
}
