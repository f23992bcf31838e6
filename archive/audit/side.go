package audit

import (
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/image/extent"
	"github.com/odarchive/odarchive/archive/image/iso9660"
	"github.com/odarchive/odarchive/archive/image/udf"
)

// sums holds SHA256SUMS against what should be in it.
func (a *audit) sums() {
	f, err := a.fsys.Open(catalogue.SumsName)
	if err != nil {
		a.find(catalogue.SumsName, "%v", err)
		return
	}
	defer f.Close()
	index := a.index(a.udf)
	for s, err := range catalogue.ReadSums(f) {
		if err != nil {
			a.find("", "%v", err)
			return
		}
		w := index[s.Path]
		switch {
		case w == nil:
			a.find(catalogue.SumsName, "%q is in it and should not be on the disc", s.Path)
		case w.hash == nil:
			a.find(catalogue.SumsName, "%q is in it, of which nobody knows a hash", s.Path)
		case w.summed:
			a.find(catalogue.SumsName, "%q is in it twice", s.Path)
		case s.Hash != *w.hash:
			a.find(s.Path, "its SHA-256 is %v in %s and %v in the lists", s.Hash, catalogue.SumsName, *w.hash)
		}
		if w != nil {
			w.summed = true
		}
	}
	for p, w := range a.wants {
		if w.hash != nil && !w.summed {
			a.find(p, "%s lacks it", catalogue.SumsName)
		}
	}
}

// index returns what should be on a side by its names there.
func (a *audit) index(names map[string]string) map[string]*want {
	if len(names) == 0 {
		return a.wants
	}
	all := make(map[string]*want, len(a.wants))
	for p, w := range a.wants {
		on := catalogue.Renamed(names, p)
		if all[on] != nil {
			a.find(p, "%s gives it the name of another file", catalogue.NamesName)
		}
		all[on] = w
	}
	return all
}

// side holds the files of a side against those that should be there.
func (a *audit) side(fsys fs.FS, udf bool) {
	if fsys == nil {
		return
	}
	s := &side{audit: a, fsys: fsys, index: a.index(a.names(udf)), dirs: map[string]bool{".": true}, name: "ISO 9660", places: map[int64]*content{}}
	if udf {
		s.name = "UDF"
	} else {
		s.n = 1
	}
	for p := range s.index {
		for p = path.Dir(p); !s.dirs[p]; p = path.Dir(p) {
			s.dirs[p] = true
		}
	}
	s.walk(".")
	for p, w := range s.index {
		if !w.seen[s.n] {
			a.find(p, "it is not on the %s side", s.name)
		}
	}
}

// side is one that is walked.
type side struct {
	*audit
	fsys   fs.FS
	n      int // 0: UDF, 1: ISO 9660
	name   string
	index  map[string]*want
	dirs   map[string]bool
	places map[int64]*content // by first sector
}

func (s *side) walk(dir string) {
	entries, err := fs.ReadDir(s.fsys, dir)
	if err != nil {
		s.find(dir, "%v", err)
	}
	for _, e := range entries {
		if s.ctx.Err() != nil {
			return
		}
		p := path.Join(dir, e.Name())
		switch {
		case e.IsDir() && s.dirs[p]:
			s.walk(p)
		case e.IsDir():
			s.find(p, "a folder on the %s side that nothing on the disc speaks of", s.name)
		case s.index[p] == nil:
			s.find(p, "a file on the %s side that nothing on the disc speaks of", s.name)
		default:
			s.file(p, e, s.index[p])
		}
	}
}

// file holds a file against what should be there.
func (s *side) file(p string, e fs.DirEntry, w *want) {
	w.seen[s.n] = true
	info, err := e.Info()
	if err != nil {
		s.find(p, "%v", err)
		return
	}
	if !info.Mode().IsRegular() {
		s.find(p, "it is no file on the %s side", s.name)
		return
	}
	if w.size >= 0 && info.Size() != w.size {
		s.find(p, "it has %d bytes on the %s side, the lists say %d", info.Size(), s.name, w.size)
	}
	if w.content != nil {
		s.place(p, info, w.content)
		s.time(p, info.ModTime(), w.content)
	}
}

// place verifies that a content lies in one place whatever its names, and another content in another.
func (s *side) place(p string, info fs.FileInfo, x *content) {
	at, ok := sector(info)
	if !ok || info.Size() == 0 {
		return
	}
	if had := x.place[s.n]; had < 0 {
		x.place[s.n] = at
	} else if had != at {
		s.find(p, "its content lies at sector %d and, as %q, at sector %d", at, x.first, had)
	}
	if other := s.places[at]; other == nil {
		s.places[at] = x
	} else if other != x {
		s.find(p, "it lies at sector %d as %q does, which is another content", at, other.first)
	}
}

// sector says where a file begins.
func sector(info fs.FileInfo) (int64, bool) {
	var extents []extent.Extent
	switch n := info.Sys().(type) {
	case *udf.Node:
		extents = n.Extents
	case *iso9660.Entry:
		extents = n.Extents
	}
	if len(extents) == 0 || extents[0].Sector < 0 {
		return 0, false
	}
	return extents[0].Sector, true
}

// time verifies when a file was modified, as far as its side holds that: UDF has microseconds, and one time for all names of a content;
// ISO 9660 whole seconds of 1900 to 2155 (ECMA-119 §9.1.5).
func (s *side) time(p string, has time.Time, x *content) {
	if len(x.times) == 0 || x.names != len(x.times) {
		return
	}
	resolution := time.Second
	if s.n == 0 {
		resolution = time.Microsecond
	}
	if !slices.ContainsFunc(x.times, func(t time.Time) bool {
		return t.Truncate(resolution).Equal(has) || s.n == 1 && (t.Year() < 1901 || t.Year() > 2154) || t.Year() < 1 || t.Year() > 9998
	}) {
		s.find(p, "it was modified at %v by the %s side, at %v by the manifest", has.UTC(), s.name, x.times[0])
	}
}

// contents reads every content, and compares it with its hash.
func (a *audit) contents(here map[archive.Hash]*content) {
	all := make([]*content, 0, len(here))
	var total int64
	for _, x := range here {
		if x.names > 0 {
			all = append(all, x)
			total += x.length
		}
	}
	k := 0
	if a.disc.UDF == nil {
		k = 1
	}
	slices.SortFunc(all, func(x, y *content) int { return int(x.place[k] - y.place[k]) })
	r := &reader{audit: a, total: total}
	for _, x := range all {
		if a.ctx.Err() != nil {
			return
		}
		hash := &x.hash
		if x.parts > 0 {
			hash = nil
		}
		r.file(x.first, x.length, hash)
	}
}
