package image

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/image/extent"
	"github.com/odarchive/odarchive/archive/image/iso9660"
	"github.com/odarchive/odarchive/archive/image/udf"
)

// isoTree verifies the ISO 9660 side.
func (v *verifier) isoTree(iso *iso9660.Volume) {
	for _, err := range iso.Faults {
		v.wrong("", err)
	}
	if iso.Space > v.sectors {
		v.find(iso.Descriptor, "", "the volume has %d sectors, the image %d", iso.Space, v.sectors)
	}
	v.occupy(isoPVD, int64(iso.Descriptors), "ISO 9660 volume descriptors")
	dirs := map[int64]int64{}
	var files []span
	for x := range iso.Walk {
		if x.Err != nil {
			v.wrong(x.Path, x.Err)
		}
		for _, err := range x.Faults {
			v.wrong(x.Path, err)
		}
		if x.Entry == nil {
			continue
		}
		if x.Entry.Dir {
			dirs[x.Entry.Sector] = x.Parent
			if x.Err == nil {
				v.occupy(x.Entry.Sector, archive.Sectors(x.Entry.Bytes), x.Path+" (ISO 9660)")
			}
			if !v.UDF {
				v.Dirs++
			}
			continue
		}
		if !v.UDF {
			v.Bytes += x.Entry.Bytes
			for _, e := range joined(x.Entry.Extents) {
				files = append(files, span{e.Sector, archive.Sectors(e.Length), x.Path})
			}
			v.Files++
		}
	}
	// Names of one file share its extents.
	slices.SortFunc(files, func(a, b span) int { return int(a.start - b.start) })
	v.spans = append(v.spans, slices.CompactFunc(files, func(a, b span) bool { return a.start == b.start && a.n == b.n })...)
	v.table(iso, dirs)
	for p, err := range iso.Second {
		v.find(-1, p, "%v", err)
	}
}

// joliet verifies Joliet's tree, where there is one: it leads to the same files as the other.
func (v *verifier) joliet(iso *iso9660.Volume) {
	j, err := iso9660.OpenJoliet(v.r, v.sectors)
	if errors.Is(err, iso9660.ErrNone) {
		return
	} else if err != nil {
		v.wrong("", err)
		return
	}
	for _, err := range j.Faults {
		v.wrong("", err)
	}
	type place struct{ sector, size int64 }
	left := map[place]int{}
	for x := range iso.Walk {
		if x.Entry != nil && x.Entry.Mode.IsRegular() {
			left[place{x.Entry.Sector, x.Entry.Bytes}]++
		}
	}
	dirs := map[int64]int64{}
	for x := range j.Walk {
		if x.Err != nil {
			v.wrong(x.Path, x.Err)
		}
		for _, err := range x.Faults {
			v.wrong(x.Path, err)
		}
		switch e := x.Entry; {
		case e == nil:
		case e.Dir:
			dirs[e.Sector] = x.Parent
			v.occupy(e.Sector, archive.Sectors(e.Bytes), x.Path+" (Joliet)")
		case left[place{e.Sector, e.Bytes}] > 0:
			left[place{e.Sector, e.Bytes}]--
		case e.Bytes > 0:
			v.find(e.At, x.Path, "it is on Joliet's side only, with %d bytes at %d", e.Bytes, e.Sector)
		}
	}
	for p, n := range left {
		if n > 0 && p.size > 0 {
			v.find(p.sector, "", "Joliet's side leads %d times less to the %d bytes here", n, p.size)
		}
	}
	v.table(j, dirs)
}

// joined returns extents with those that follow one another made one, and without empty ones.
func joined(extents []extent.Extent) (out []extent.Extent) {
	for _, e := range extents {
		if e.Length == 0 {
			continue
		}
		if n := len(out); n > 0 && out[n-1].Sector >= 0 && out[n-1].Length%sectorSize == 0 && out[n-1].Sector+out[n-1].Length/sectorSize == e.Sector {
			out[n-1].Length += e.Length
			continue
		}
		out = append(out, e)
	}
	return out
}

// compare holds a directory of one side against the other's. What can't be read was found before.
func (v *verifier) compare(u *udf.Volume, iso *iso9660.Volume, uPath, iPath string) {
	left, errU := u.ReadDir(uPath)
	right, errI := iso.ReadDir(iPath)
	if errU != nil || errI != nil {
		return
	}
	// Symbolic links and devices are on the ISO side only.
	right = slices.DeleteFunc(right, func(e fs.DirEntry) bool { return !e.IsDir() && !e.Type().IsRegular() })
	left = slices.DeleteFunc(left, func(e fs.DirEntry) bool { return !e.IsDir() && !e.Type().IsRegular() })
	byName := make(map[string]fs.DirEntry, len(right))
	for _, e := range right {
		byName[e.Name()] = e
	}
	var alone []fs.DirEntry
	for _, a := range left {
		b, ok := byName[a.Name()]
		if !ok {
			alone = append(alone, a)
			continue
		}
		delete(byName, a.Name())
		v.pair(u, iso, uPath, iPath, a, b)
	}
	for _, a := range alone {
		var match fs.DirEntry
		for name, b := range byName {
			if sameName(a.Name(), name) && (match == nil || name < match.Name()) {
				match = b
			}
		}
		if match == nil {
			v.find(-1, path.Join(uPath, a.Name()), "it is on the UDF side only")
			continue
		}
		delete(byName, match.Name())
		v.pair(u, iso, uPath, iPath, a, match)
	}
	for name := range byName {
		v.find(-1, path.Join(iPath, name), "it is on the ISO 9660 side only")
	}
}

// sameName says whether names that differ are those of one file whose own name at least one side can't hold: such a name begins as
// the file's own and ends with a part of the hash of that name.
func sameName(u, rock string) bool {
	i := strings.LastIndexByte(u, '~')
	if i < 0 || len(u)-i-1 < 8 {
		return false
	}
	stem, hash := u[:i], u[i+1:]
	own, mapped := strings.CutSuffix(rock, u[i:])
	sum := sha256.Sum256([]byte(rock))
	if !mapped && !strings.HasPrefix(hex.EncodeToString(sum[:]), hash) {
		return false
	}
	// Either may be cut, this one within a character.
	own = holdable(own)
	n := min(len(stem), len(own))
	return stem[:n] == own[:n] || mapped && n > utf8.UTFMax && stem[:n-utf8.UTFMax] == own[:n-utf8.UTFMax]
}

// pair holds the two sides of one file against each other.
func (v *verifier) pair(u *udf.Volume, iso *iso9660.Volume, uPath, iPath string, a, b fs.DirEntry) {
	p := path.Join(uPath, a.Name())
	if a.IsDir() != b.IsDir() {
		v.find(-1, p, "it is a directory on one side only")
		return
	}
	if a.IsDir() {
		v.compare(u, iso, p, path.Join(iPath, b.Name()))
		return
	}
	i, err := a.Info()
	if err != nil {
		return
	}
	j, err := b.Info()
	if err != nil {
		return
	}
	n, e := i.Sys().(*udf.Node), j.Sys().(*iso9660.Entry)
	switch {
	case n.Size != e.Bytes:
		v.find(n.Sector, p, "it has %d bytes on the UDF side and %d on the other", n.Size, e.Bytes)
	case !slices.Equal(joined(n.Extents), joined(e.Extents)):
		v.find(n.Sector, p, "it lies elsewhere on the UDF side (%v) than on the other (%v)", joined(n.Extents), joined(e.Extents))
	case n.Links == 1 && !sameTime(n.ModTime, e.ModTime):
		v.find(n.Sector, p, "it is of %v on the UDF side and of %v on the other", n.ModTime, e.ModTime)
	}
}

// sameTime compares times as far as ISO 9660 holds them: whole seconds of the years 1900 to 2155.
func sameTime(u, iso time.Time) bool {
	if y := u.Year(); y < 1900 || y > 2155 {
		return iso.Year() == min(max(y, 1900), 2155)
	}
	return u.Truncate(time.Second).Equal(iso)
}
