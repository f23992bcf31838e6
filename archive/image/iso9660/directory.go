package iso9660

import (
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/image/extent"
)

// Entry is a file or directory with all its sections.
type Entry struct {
	Record
	// Extents hold the bytes of a file; Bytes is their sum.
	Extents []extent.Extent
	Bytes   int64
}

// listing is a directory that was read.
type listing struct {
	self, parent Record
	entries      []Entry
	names        map[string]int // indices of entries
	err          error          // what is wrong with it beside the entries
	faults       []error        // what is wrong and keeps nobody from reading on
}

const (
	maxDirectory = 1 << 29 // bytes
	maxDepth     = 2048    // more than a path of 4,095 bytes has
	cached       = 16      // directories
)

// list reads the directory at a sector, and keeps the last few. What can't be read or makes no sense is the listing's err, and the
// rest is there.
func (v *Volume) list(sector int64) (*listing, error) {
	v.mu.Lock()
	l := v.cache[sector]
	v.mu.Unlock()
	if l != nil {
		return l, nil
	}
	l = &listing{names: map[string]int{}}
	// A directory says in its own first record how long it is.
	first, err := extent.Sector(v.r, sector)
	if err != nil {
		return nil, err
	}
	f := &faults{}
	if n := int(first[0]); n < 34 {
		return nil, damaged(sector, "no directory begins here")
	} else if l.self, err = v.record(first[:n], sector, f); err != nil {
		return nil, err
	}
	if l.self.ID != "\x00" || !l.self.Dir || l.self.Sector != sector {
		return nil, damaged(sector, "no directory begins here")
	}
	if l.self.Size > maxDirectory || sector+archive.Sectors(l.self.Size) > v.size {
		return nil, damaged(sector, "a directory of %d bytes", l.self.Size)
	}
	f.list = nil // they come again
	l.err = v.parse(l, sector, f)
	l.faults = f.list
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.cache[sector]; !ok {
		v.cache[sector] = l
		if v.order = append(v.order, sector); len(v.order) > cached {
			delete(v.cache, v.order[0])
			v.order = v.order[1:]
		}
	}
	return l, nil
}

// parse reads the records of a directory.
func (v *Volume) parse(l *listing, sector int64, f *faults) error {
	b := make([]byte, l.self.Size)
	n, failed := extent.NewReader(v.r, []extent.Extent{{Sector: sector, Length: int64(len(b))}}).ReadAt(b, 0)
	if errors.Is(failed, io.EOF) && n == len(b) {
		failed = nil
	}
	if len(b)%archive.SectorSize != 0 {
		f.add(sector, "a directory of %d bytes", len(b))
	}
	b = b[:n]
	dirs := map[int64]bool{v.root.Sector: true}
	previous, records := "", 0
	open := false // the last record has more sections
	for at := 0; at < len(b); {
		here := sector + int64(at)/archive.SectorSize
		n := int(b[at])
		if n == 0 { // the rest of the sector is unused (ECMA-119 §6.8.1.1)
			end := min((at/archive.SectorSize+1)*archive.SectorSize, len(b))
			if strings.Trim(string(b[at:end]), "\x00") != "" {
				f.add(here, "unused bytes of a directory are not zero")
			}
			at = end
			continue
		}
		if n < 34 || at%archive.SectorSize+n > archive.SectorSize || at+n > len(b) {
			return errors.Join(failed, damaged(here, "a record of %d bytes", n))
		}
		data := b[at : at+n]
		at += n
		r, err := v.record(data, here, f)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		if used := 33 + len(r.ID) + (1 - len(r.ID)&1) + max(v.skip, 0); v.skip >= 0 && used < n {
			if err := v.systemUse(&r, data[used:], f); err != nil {
				failed = errors.Join(failed, err)
			}
		}
		switch records++; {
		case records == 1:
			l.self = r
			continue
		case records == 2:
			l.parent = r
			continue
		case r.ID == "\x00" || r.ID == "\x01":
			f.add(here, "a directory has itself or its parent among its files")
			continue
		}
		if !v.Joliet && compareID(previous, r.ID) > 0 {
			f.add(here, "%q comes after %q", r.ID, previous)
		} else if previous == r.ID && !open {
			f.add(here, "two files are called %q", r.ID)
		}
		previous = r.ID
		if r.relocated {
			continue
		}
		if last := len(l.entries) - 1; open && l.entries[last].ID == r.ID {
			e := &l.entries[last]
			e.Extents = append(e.Extents, extent.Extent{Sector: r.Sector, Length: r.Size})
			e.Bytes += r.Size
			open = r.More
			continue
		}
		if open {
			failed = errors.Join(failed, damaged(here, "the last section of %q is missing", l.entries[len(l.entries)-1].Name))
		}
		open = r.More
		if r.child {
			r.Dir, r.Sector = true, r.childSector
			r.Mode = r.Mode.Perm() | fs.ModeDir
		}
		_, twice := l.names[r.Name]
		switch {
		case r.Name == "" || r.Name == "." || r.Name == ".." || strings.ContainsAny(r.Name, "/\x00"):
			failed = errors.Join(failed, damaged(here, "a file is called %q", r.Name))
			open = false
			continue
		case twice:
			failed = errors.Join(failed, damaged(here, "two files are called %q", r.Name))
			open = false
			continue
		case r.Dir && dirs[r.Sector]:
			failed = errors.Join(failed, damaged(here, "directory %q is elsewhere too", r.Name))
			continue
		}
		if r.Dir {
			dirs[r.Sector] = true
		}
		l.names[r.Name] = len(l.entries)
		l.entries = append(l.entries, Entry{Record: r, Extents: []extent.Extent{{Sector: r.Sector, Length: r.Size}}, Bytes: r.Size})
	}
	if open {
		failed = errors.Join(failed, damaged(sector, "the last section of %q is missing", l.entries[len(l.entries)-1].Name))
	}
	if records < 2 || l.parent.ID != "\x01" {
		failed = errors.Join(failed, damaged(sector, "a directory without a parent"))
	}
	return failed
}

// compareID compares identifiers in the order of ECMA-119 §10.3: names, then extensions, each as if filled with spaces.
func compareID(a, b string) int {
	aName, aExt, _ := strings.Cut(strings.TrimSuffix(a, ";1"), ".")
	bName, bExt, _ := strings.Cut(strings.TrimSuffix(b, ";1"), ".")
	if c := compareFilled(aName, bName); c != 0 {
		return c
	}
	return compareFilled(aExt, bExt)
}

func compareFilled(a, b string) int {
	n := max(len(a), len(b))
	return strings.Compare(a+strings.Repeat(" ", n-len(a)), b+strings.Repeat(" ", n-len(b)))
}

// enter lists the directory of an entry of parent, which must say that parent is its parent: else it could be an ancestor.
func (v *Volume) enter(parent *listing, e *Entry) (*listing, error) {
	l, err := v.list(e.Sector)
	if err != nil {
		return nil, err
	}
	above := l.parent.Sector
	if l.parent.parent {
		above = l.parent.parentSector
	}
	if v.Joliet && above == e.Sector {
		// In xorriso's Joliet trees every directory is its own parent: whoever comes first has it.
		v.mu.Lock()
		first, ok := v.owner[e.Sector]
		if !ok {
			first = parent.self.Sector
			v.owner[e.Sector] = first
		}
		v.mu.Unlock()
		above = first
	}
	if above != parent.self.Sector && l.err != nil {
		return nil, l.err
	} else if above != parent.self.Sector {
		return nil, damaged(e.Sector, "directory %q has another parent", e.Name)
	}
	return l, nil
}
