package iso9660

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"

	"github.com/odarchive/odarchive/archive"
)

// open and readDir call go-diskfs and turn a panic into an error.
func (s *storage) open() (other *iso9660.FileSystem, err error) {
	defer caught(&err)
	s.listing, s.reads, s.bytes = false, 4*maxDescriptors, openBytes
	return iso9660.Read(s, s.size, 0, archive.SectorSize)
}

func (s *storage) readDir(other *iso9660.FileSystem, name string) (all []seen, err error) {
	defer caught(&err)
	s.listing = true
	entries, err := other.ReadDir(name)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		stat, ok := info.Sys().(*iso9660.StatT)
		if !ok {
			return nil, fmt.Errorf("go-diskfs says nothing of where %q is", e.Name())
		}
		all = append(all, seen{e.Name(), e.IsDir(), int64(stat.Location), info.Size()})
	}
	return all, nil
}

// enterable says whether go-diskfs can be asked for the directory called name, among all that it finds where that is: it takes the first
// record of that name, makes room for as many bytes as that says, be it of a file, and reads them.
func enterable(all []seen, name string, size int64) error {
	for _, x := range all {
		if x.name == name && x.size > min(mostListed, size) {
			return fmt.Errorf("go-diskfs: enter %q of %d bytes: %w", name, x.size, errTooLong)
		}
	}
	return nil
}

func caught(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("go-diskfs: %v", p)
	} else if *err != nil {
		*err = fmt.Errorf("go-diskfs: %w", *err)
	}
}

// storage is what go-diskfs reads from, and what holds it back: it believes any length that it reads, makes room for so many bytes, and goes
// from one continuation area to the next as long as there is one. What is too much is therefore an error where it is read.
type storage struct {
	r    io.ReaderAt
	size int64
	at   int64
	// listing says that directories are read, and not descriptors and path tables.
	listing bool
	root    int64 // bytes of the root directory, as descriptors say
	reads   int64 // that are left
	bytes   int64
}

var _ backend.Storage = (*storage)(nil)

// Errors of images that go-diskfs is kept from.
var (
	errTooMany = errors.New("it reads on and on")
	errTooLong = errors.New("it would have to read more than any directory has")
)

const (
	mostListed = maxDirectory // bytes of a directory or a path table
	mostArea   = 1 << 16      // bytes of a continuation area; SUSP's stay within a sector of 2,048
	openBytes  = 3 * mostListed
)

// allow lets go-diskfs read what listing directories of so many bytes takes: itself and those above it, and for each record a
// continuation area, which is at most some eight times as long.
func (s *storage) allow(directories int64) {
	s.reads = 64 + 4*directories/34
	s.bytes = min(mostArea+10*directories, 4*mostListed)
}

func (s *storage) ReadAt(p []byte, off int64) (int, error) {
	s.reads--
	if s.bytes -= int64(len(p)); s.reads < 0 || s.bytes < 0 {
		return 0, errTooMany
	}
	if off < 0 || off > s.size-int64(len(p)) {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := s.r.ReadAt(p, off)
	if n == len(p) && !s.sane(p, off) {
		return 0, errTooLong
	}
	return n, err
}

// sane says whether nothing in what was read at off has go-diskfs make room for more than there is. It reads the system area, descriptors,
// path tables, the length in the middle of a directory's first record, directories, and continuation areas. Of the lengths in directories see
// enterable.
func (s *storage) sane(p []byte, off int64) bool {
	const systemArea = 16 * archive.SectorSize
	fits := func(b []byte) bool { return int64(le.Uint32(b)) <= min(mostListed, s.size) }
	switch {
	case off < systemArea:
		return true
	case len(p) == 4:
		return fits(p)
	case !s.listing && len(p) == archive.SectorSize && string(p[1:6]) == "CD001" && (p[0] == 1 || p[0] == 2):
		s.root = max(s.root, int64(le.Uint32(p[156+10:])))
		return fits(p[132:]) && fits(p[156+10:])
	case s.listing && len(p) == archive.SectorSize && off%archive.SectorSize == 0 && !fits(p[10:]): // where a directory was relocated to
		return false
	}
	for b := p; ; b = b[4:] {
		i := bytes.Index(b, []byte("CE\x1c\x01"))
		if i < 0 || i+28 > len(b) {
			return true
		}
		if b = b[i:]; le.Uint32(b[20:]) > mostArea {
			return false
		}
	}
}

func (s *storage) Read(p []byte) (int, error) {
	n, err := s.ReadAt(p[:min(int64(len(p)), max(s.size-s.at, 0))], s.at)
	s.at += int64(n)
	return n, err
}

func (s *storage) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.at
	case io.SeekEnd:
		offset += s.size
	}
	s.at = max(offset, 0)
	return s.at, nil
}

func (s *storage) Close() error                            { return nil }
func (s *storage) Stat() (fs.FileInfo, error)              { return file(s.size), nil }
func (s *storage) Sys() (*os.File, error)                  { return nil, backend.ErrNotSuitable }
func (s *storage) Writable() (backend.WritableFile, error) { return nil, backend.ErrIncorrectOpenMode }
func (s *storage) Path() string                            { return "" }

// file describes the storage.
type file int64

func (f file) Name() string       { return "image" }
func (f file) Size() int64        { return int64(f) }
func (f file) Mode() fs.FileMode  { return 0o444 }
func (f file) ModTime() time.Time { return time.Time{} }
func (f file) IsDir() bool        { return false }
func (f file) Sys() any           { return nil }
