package tree

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// directBlock is what positions, lengths and buffers of direct writes are multiples of, in bytes: no disk's block is larger.
	directBlock = 4096
	// directSize is from which size in bytes on a file that is to be durable is written around the page cache.
	directSize = 1 << 20
)

// Buffer returns a buffer of n bytes. Writes from its start, in multiples of 4,096 bytes, can go around the page cache.
func Buffer(n int) []byte {
	b := make([]byte, n+directBlock)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (directBlock - 1)
	return b[skip : skip+n : skip+n]
}

// directFile is a file that is written around the page cache while writes come from a Buffer and in whole blocks, and plainly from the
// first on that does not, or where the file system can't do otherwise (open(2), O_DIRECT). What must be on the disk before anybody goes
// on has no use for the cache, and copying it in costs more than the rest of a restore.
type directFile struct {
	*os.File
	direct bool
}

// goDirect asks for direct writes.
func (f *directFile) goDirect() { f.direct = f.setDirect(true) == nil }

func (f *directFile) setDirect(on bool) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	e := raw.Control(func(fd uintptr) {
		var flags int
		if flags, err = unix.FcntlInt(fd, unix.F_GETFL, 0); err != nil {
			return
		}
		if flags &^= unix.O_DIRECT; on {
			flags |= unix.O_DIRECT
		}
		_, err = unix.FcntlInt(fd, unix.F_SETFL, flags)
	})
	return errors.Join(e, err)
}

// goPlain ends direct writes.
func (f *directFile) goPlain() error {
	if !f.direct {
		return nil
	}
	f.direct = false
	return f.setDirect(false)
}

// WriteAt implements io.WriterAt.
func (f *directFile) WriteAt(p []byte, off int64) (int, error) {
	done := 0
	if whole := len(p) &^ (directBlock - 1); f.direct && whole > 0 && off%directBlock == 0 && uintptr(unsafe.Pointer(unsafe.SliceData(p)))%directBlock == 0 {
		n, err := f.File.WriteAt(p[:whole], off)
		if err == nil && whole == len(p) {
			return n, nil
		}
		if err == nil {
			done = n
		} else if !errors.Is(err, unix.EINVAL) {
			return n, err
		}
	}
	if err := f.goPlain(); err != nil {
		return done, err
	}
	n, err := f.File.WriteAt(p[done:], off+int64(done))
	return done + n, err
}
