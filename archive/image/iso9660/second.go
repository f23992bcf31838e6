package iso9660

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"

	"github.com/odarchive/odarchive/archive"
)

// Second reads every directory that this package can read with go-diskfs too, which somebody else wrote, and yields what one sees and
// the other doesn't: names, sizes and sectors of files, until yield returns false. A nil path is about the whole volume.
//
// go-diskfs is a judge and not how discs are read, because names lose their first and last dots there and what is beyond some 250 bytes,
// and a file of several sections is several files. It is not made for hostile images, so it is only shown directories that were found
// sound, may read as often as they have records, and its panics are caught.
func (v *Volume) Second(yield func(path string, err error) bool) {
	s := &storage{r: v.r, size: v.size * archive.SectorSize, left: 1 << 16}
	if v.TableBytes > s.size {
		yield(".", damaged(v.Descriptor, "path tables of %d bytes", v.TableBytes))
		return
	}
	other, err := s.open()
	if err != nil {
		yield(".", err)
		return
	}
	if l, err := v.list(v.root.Sector); err == nil {
		v.second(s, other, l, ".", ".", 0, yield)
	}
}

// second compares the directory l, which is called theirs in go-diskfs and may cost that many reads to get to.
func (v *Volume) second(s *storage, other *iso9660.FileSystem, l *listing, name, theirs string, above int64, yield func(string, error) bool) bool {
	if l.err != nil || !fs.ValidPath(theirs) { // go-diskfs opens no folder whose path is not UTF-8
		return true
	}
	above += 2 + 4*l.self.Size/34
	s.left = above
	found, err := s.readDir(other, theirs)
	if err != nil {
		return yield(name, err)
	}
	var mine []Record
	for i := range l.entries {
		e := &l.entries[i]
		if e.Dir || len(e.Extents) == 1 {
			mine = append(mine, e.Record)
			continue
		}
		for _, x := range e.Extents {
			r := e.Record
			r.Sector, r.Size = x.Sector, x.Length
			mine = append(mine, r)
		}
	}
	if len(found) != len(mine) {
		return yield(name, fmt.Errorf("go-diskfs finds %d records here, there are %d", len(found), len(mine)))
	}
	for i, r := range mine {
		f := found[i]
		if f.dir != r.Dir || f.sector != r.Sector || f.size != r.Size || !alike(f.name, r) {
			if !yield(path.Join(name, r.Name), fmt.Errorf("go-diskfs finds %q of %d bytes at %d, it is %d bytes at %d", f.name, f.size, f.sector, r.Size, r.Sector)) {
				return false
			}
		}
	}
	for i := range l.entries {
		e := &l.entries[i]
		if !e.Dir || e.child {
			continue
		}
		if sub, err := v.enter(l, e); err == nil && len(name) < maxDepth*2 {
			if !v.second(s, other, sub, path.Join(name, e.Name), path.Join(theirs, cutName(e.Record)), above, yield) {
				return false
			}
		}
	}
	return true
}

// alike compares what go-diskfs leaves of a name.
func alike(theirs string, r Record) bool {
	name := cutName(r)
	if !r.Dir {
		name = strings.TrimPrefix(strings.TrimSuffix(strings.TrimSuffix(name, ";1"), "."), ".")
	}
	return theirs == name
}

// cutName is the part of a name that is in the record itself: go-diskfs doesn't join the rest to it.
func cutName(r Record) string {
	if r.head > 0 && r.head < len(r.Name) {
		return r.Name[:r.head]
	}
	return r.Name
}

type seen struct {
	name         string
	dir          bool
	sector, size int64
}

// open and readDir call go-diskfs and turn a panic into an error.
func (s *storage) open() (other *iso9660.FileSystem, err error) {
	defer caught(&err)
	return iso9660.Read(s, s.size, 0, archive.SectorSize)
}

func (s *storage) readDir(other *iso9660.FileSystem, name string) (all []seen, err error) {
	defer caught(&err)
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

func caught(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("go-diskfs: %v", p)
	} else if *err != nil {
		*err = fmt.Errorf("go-diskfs: %w", *err)
	}
}

// storage is what go-diskfs reads from. It ends a reader that goes in circles after left reads.
type storage struct {
	r    io.ReaderAt
	size int64
	at   int64
	left int64
}

var _ backend.Storage = (*storage)(nil)

var errTooMany = errors.New("it reads on and on")

func (s *storage) ReadAt(p []byte, off int64) (int, error) {
	if s.left--; s.left < 0 {
		return 0, errTooMany
	}
	if off < 0 || off > s.size-int64(len(p)) {
		return 0, io.ErrUnexpectedEOF
	}
	return s.r.ReadAt(p, off)
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
