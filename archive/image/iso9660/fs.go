package iso9660

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/odarchive/odarchive/archive/image/extent"
)

var (
	_ fs.ReadDirFS  = (*Volume)(nil)
	_ fs.StatFS     = (*Volume)(nil)
	_ fs.ReadLinkFS = (*Volume)(nil)
)

// find returns the entry of a path and, when it is a directory, what is in it. Names may be in any bytes: io/fs's rule of UTF-8 is not
// kept.
func (v *Volume) find(name string) (*Entry, *listing, error) {
	l, err := v.list(v.root.Sector)
	if err != nil {
		return nil, nil, err
	}
	if name == "." {
		return &Entry{Record: l.self, Bytes: l.self.Size}, l, nil
	}
	for range maxDepth {
		element, rest, more := strings.Cut(name, "/")
		i, ok := l.names[element]
		if !ok {
			// It may be in the part of the directory that can't be read.
			return nil, nil, errors.Join(fs.ErrNotExist, l.err)
		}
		e := &l.entries[i]
		if !e.Dir {
			if more {
				return nil, nil, fs.ErrNotExist
			}
			return e, nil, nil
		}
		if l, err = v.enter(l, e); err != nil {
			return nil, nil, err
		}
		if !more {
			return e, l, nil
		}
		name = rest
	}
	return nil, nil, damaged(l.self.Sector, "directories deeper than %d", maxDepth)
}

func info(name string, e *Entry) *extent.Info {
	return &extent.Info{Base: name, Bytes: e.Bytes, Bits: e.Mode, Modified: e.ModTime, Node: e}
}

// Open opens a file or directory; a file is an *extent.File, which reads at any place and says where it lies.
func (v *Volume) Open(name string) (fs.File, error) {
	e, l, err := v.find(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if l != nil {
		return extent.NewDir(info(path.Base(name), e), entries(l), l.err), nil
	}
	return extent.NewFile(info(path.Base(name), e), extent.NewReader(v.r, e.Extents)), nil
}

// ReadDir lists a directory. Where a part of it can't be read or is damaged, the rest comes with the error.
func (v *Volume) ReadDir(name string) ([]fs.DirEntry, error) {
	_, l, err := v.find(name)
	if err == nil && l == nil {
		err = errors.New("not a directory")
	}
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	if l.err != nil {
		err = &fs.PathError{Op: "readdir", Path: name, Err: l.err}
	}
	return entries(l), err
}

func entries(l *listing) []fs.DirEntry {
	all := make([]fs.DirEntry, len(l.entries))
	for i := range l.entries {
		all[i] = info(l.entries[i].Name, &l.entries[i])
	}
	slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return all
}

// Stat describes a file; its Sys is an *Entry.
func (v *Volume) Stat(name string) (fs.FileInfo, error) {
	e, _, err := v.find(name)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return info(path.Base(name), e), nil
}

// Lstat is Stat: nothing here follows symbolic links.
func (v *Volume) Lstat(name string) (fs.FileInfo, error) { return v.Stat(name) }

// ReadLink returns where a symbolic link of Rock Ridge points.
func (v *Volume) ReadLink(name string) (string, error) {
	e, _, err := v.find(name)
	if err == nil && e.Mode&fs.ModeSymlink == 0 {
		err = fs.ErrInvalid
	}
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return e.Target, nil
}

// Visit is a file or directory of a walk.
type Visit struct {
	Path string // elements separated by '/'; "." is the root
	// Entry is the file's; nil where Err says why there is none.
	Entry *Entry
	// Parent is the sector of the directory that it is in.
	Parent int64
	// Err is what is wrong with a directory beside what it lists; Faults are wrong and kept nobody from reading on.
	Err    error
	Faults []error
}

// Walk yields every file and directory, a directory before what is in it, until yield returns false.
func (v *Volume) Walk(yield func(Visit) bool) {
	l, err := v.list(v.root.Sector)
	if err != nil {
		yield(Visit{Path: ".", Err: err})
		return
	}
	v.walk(l, Visit{Path: ".", Entry: &Entry{Record: l.self, Bytes: l.self.Size}, Parent: v.root.Sector}, 0, yield)
}

func (v *Volume) walk(l *listing, at Visit, depth int, yield func(Visit) bool) bool {
	at.Err, at.Faults = l.err, l.faults
	if !yield(at) {
		return false
	}
	for i := range l.entries {
		e := &l.entries[i]
		child := Visit{Path: path.Join(at.Path, e.Name), Entry: e, Parent: l.self.Sector}
		if !e.Dir {
			if !yield(child) {
				return false
			}
			continue
		}
		sub, err := v.enter(l, e)
		if err == nil && depth > maxDepth {
			err = damaged(e.Sector, "directories deeper than %d", maxDepth)
		}
		if err != nil {
			child.Err = err
			if !yield(child) {
				return false
			}
			continue
		}
		if sub.self.Size != e.Size && !e.child {
			sub.faults = append(sub.faults[:len(sub.faults):len(sub.faults)], damaged(e.At, "directory %q has %d bytes, says its parent, or %d", e.Name, e.Size, sub.self.Size))
		}
		if !v.walk(sub, child, depth+1, yield) {
			return false
		}
	}
	return true
}
