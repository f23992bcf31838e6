package iso9660

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/diskfs/go-diskfs/filesystem/iso9660"

	"github.com/odarchive/odarchive/archive"
)

// Second reads every directory that this package can read with go-diskfs too, which somebody else wrote, and yields what one sees and
// the other doesn't: names, sizes and sectors of files, until yield returns false. A nil path is about the whole volume.
//
// go-diskfs is a judge and not how discs are read, because names lose their first and last dots there and what is beyond some 250 bytes,
// and a file of several sections is several files. It is not made for hostile images, so it is only shown directories that were found
// sound, and is held back as for Diskfs.
func (v *Volume) Second(yield func(path string, err error) bool) {
	s := &storage{r: v.r, size: v.size * archive.SectorSize}
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

// second compares the directory l, which is called theirs in go-diskfs and has directories of above bytes over it.
func (v *Volume) second(s *storage, other *iso9660.FileSystem, l *listing, name, theirs string, above int64, yield func(string, error) bool) bool {
	if l.err != nil || !fs.ValidPath(theirs) { // go-diskfs opens no folder whose path is not UTF-8
		return true
	}
	above += l.self.Size
	s.allow(above)
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
		if err := enterable(found, cutName(e.Record), s.size); err != nil {
			if !yield(path.Join(name, e.Name), err) {
				return false
			}
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
