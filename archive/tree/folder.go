package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/archive"
)

// Folder is a folder that was scanned, whose files are opened by the hundred thousand: one system call opens a file however deep
// it lies, none tells the runtime's poller of it, and holes aren't read. Several goroutines may use it at once.
type Folder struct {
	root *os.Root
	dir  *os.File
	// slow is set where the kernel has no openat2 (before Linux 5.6) or forbids it.
	slow atomic.Bool
}

// OpenFolder opens the folder at path.
func OpenFolder(path string) (*Folder, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	dir, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return &Folder{root: root, dir: dir}, nil
}

// Close closes the folder. Files that were opened stay open.
func (f *Folder) Close() error { return errors.Join(f.dir.Close(), f.root.Close()) }

// Changed says whether the file of e looks different from when it was scanned, or is gone.
func (f *Folder) Changed(e *archive.Entry) bool { return Changed(f.root, e) }

// Open opens the file of e. One that has another size, or in whose place something else is, is ErrChanging; a symlink that took the
// place of a directory on the way is not followed.
func (f *Folder) Open(e *archive.Entry) (*Source, error) {
	fd, err := f.open(e.Path)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: e.Path, Err: err}
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && (st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size != e.Content.Size) {
		err = ErrChanging
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open %s: %w", e.Path, err)
	}
	return &Source{fd: fd, size: st.Size, holes: st.Blocks*512 < st.Size}, nil
}

// open returns a descriptor of the file at path.
func (f *Folder) open(path string) (int, error) {
	const flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOFOLLOW | unix.O_CLOEXEC
	for !f.slow.Load() {
		fd, err := unix.Openat2(int(f.dir.Fd()), path, &unix.OpenHow{Flags: flags, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS})
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM):
			f.slow.Store(true)
		default:
			return fd, err
		}
	}
	slow, err := open(f.root, path)
	if err != nil {
		return -1, err
	}
	defer slow.Close()
	return unix.FcntlInt(slow.Fd(), unix.F_DUPFD_CLOEXEC, 0)
}

// Source is an open file. It is used by one goroutine, and must be closed: nothing else does.
type Source struct {
	fd    int
	size  int64 // bytes, when it was opened
	holes bool
	// From byte from on there is nothing up to hole, then data up to data, as far as was looked last.
	from, hole, data int64
}

// Close closes the file.
func (s *Source) Close() error { return unix.Close(s.fd) }

// ReadAt implements io.ReaderAt for one goroutine at a time. What lies in a hole is made, not read.
func (s *Source) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		part := p[n:]
		if s.holes && at < s.size {
			if err := s.look(at); err != nil {
				return n, err
			}
			if at < s.hole {
				part = part[:min(int64(len(part)), s.hole-at)]
				clear(part)
				n += len(part)
				continue
			}
			part = part[:min(int64(len(part)), s.data-at)]
		}
		k, err := unix.Pread(s.fd, part, at)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return n, os.NewSyscallError("pread", err)
		case k == 0:
			return n, io.EOF
		default:
			if n += k; k < len(part) && at+int64(k) == s.size {
				return n, io.EOF // a regular file gives less only at its end: it need not be asked once more
			}
		}
	}
	return n, nil
}

// look finds the hole or run of data that byte at lies in. A file system that knows of none has data only (lseek(2)).
func (s *Source) look(at int64) error {
	if at >= s.from && at < s.data {
		return nil
	}
	s.from = at
	data, err := unix.Seek(s.fd, at, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) { // a hole to its end
		s.hole, s.data = s.size, s.size
		return nil
	} else if err != nil {
		s.holes = false
		return nil
	}
	hole, err := unix.Seek(s.fd, data, unix.SEEK_HOLE)
	if err != nil {
		return os.NewSyscallError("lseek", err)
	}
	s.hole, s.data = min(data, s.size), min(hole, s.size)
	return nil
}

// Reader returns a reader of n bytes from byte off on.
func (s *Source) Reader(off, n int64) *io.SectionReader { return io.NewSectionReader(s, off, n) }
