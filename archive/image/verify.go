package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/image/extent"
	"github.com/odarchive/odarchive/archive/image/iso9660"
	"github.com/odarchive/odarchive/archive/image/udf"
)

// Finding is something wrong with an image.
type Finding struct {
	Sector int64  // negative when it is about no one sector
	Path   string // of the file or directory, if it is about one
	Text   string
}

func (f Finding) String() string {
	var s strings.Builder
	if f.Sector >= 0 {
		fmt.Fprintf(&s, "sector %d: ", f.Sector)
	}
	if f.Path != "" {
		fmt.Fprintf(&s, "%q: ", f.Path)
	}
	return s.String() + f.Text
}

// Report is what Verify found.
type Report struct {
	// Label and ID are the image's; ID is zero for an image that is not ours.
	Label string
	ID    [16]byte
	// UDF and ISO say which sides the image has.
	UDF, ISO bool
	// Files are files that have bytes or could have, however many names they have; Dirs counts the root too.
	Files, Dirs int64
	Bytes       int64 // of all files
	// Sectors is what was looked at; Space is where ISO 9660 says that the volume ends.
	Sectors, Space int64
	// Findings are the first thousand things that are wrong; More is how many there are beyond them.
	Findings []Finding
	More     int64
}

const maxFindings = 1000

// Verify reads all that both sides of the image in the first sectors sectors of r say, and the last sector of each file. It finds what
// readers of this world don't look for: identifiers that aren't unique, extents that overlap or hit metadata, counts and link counts
// that are wrong, descriptor sequences that differ, numbers that differ in the two byte orders, records out of order, path tables
// that don't lead to the tree, bytes behind a file's end, and any file that is not the same on both sides. An image with one side
// is held to the rules of that side. The error is of a reader that gives nothing at all.
//
// It takes memory for some 200 bytes a file, and two looks at every File Entry.
func Verify(r io.ReaderAt, sectors int64) (*Report, error) {
	if _, err := extent.Sector(r, isoPVD); err != nil {
		return nil, fmt.Errorf("verify image: %w", err)
	}
	v := &verifier{r: r, sectors: sectors, Report: &Report{Sectors: sectors}}
	iso, err := iso9660.Open(r, sectors)
	if errors.Is(err, iso9660.ErrNone) {
		v.find(isoPVD, "", "%v", err)
	} else if err != nil {
		v.wrong("", err)
	} else {
		v.ISO, v.Label, v.Space = true, iso.Label, iso.Space
	}
	u, err := udf.Open(r, sectors)
	if errors.Is(err, udf.ErrNone) {
		v.find(anchor, "", "%v", err)
	} else if err != nil {
		v.wrong("", err)
	} else {
		v.UDF, v.Label = true, u.Label
	}
	if v.UDF {
		v.volume(u)
		v.udfTree(u)
	}
	if v.ISO {
		v.isoTree(iso)
		v.joliet(iso)
	}
	if v.UDF && v.ISO {
		v.compare(u, iso, ".", ".")
	}
	v.overlaps()
	return v.Report, nil
}

// Verify compares every sector of r that is not a content's with what the layout makes it.
func (l *Layout) Verify(r io.ReaderAt) []Finding {
	v := &verifier{r: r, Report: &Report{}}
	m := meta{l: l}
	want := make([]byte, sectorSize)
	for lba := int64(0); lba < l.sectors; lba++ {
		if lba == l.dataStart {
			lba = l.dataEnd
		}
		m.sector(want, lba)
		if got, err := extent.Sector(r, lba); err != nil {
			v.wrong("", err)
		} else if !bytes.Equal(got, want) {
			v.find(lba, "", "it is not what the layout says")
		}
	}
	return v.Findings
}

// verifier gathers findings and where everything lies.
type verifier struct {
	*Report
	r       io.ReaderAt
	sectors int64
	spans   []span
}

// span is a run of sectors that something occupies.
type span struct {
	start, n int64
	what     string
}

func (v *verifier) find(sector int64, path, format string, args ...any) {
	if len(v.Findings) >= maxFindings {
		v.More++
		return
	}
	v.Findings = append(v.Findings, Finding{sector, path, fmt.Sprintf(format, args...)})
}

// wrong turns an error into a finding.
func (v *verifier) wrong(path string, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			v.wrong(path, err)
		}
		return
	}
	if e, ok := err.(*extent.Error); ok {
		v.find(e.Sector, path, "%v", e.Err)
		return
	}
	v.find(-1, path, "%v", err)
}

func (v *verifier) occupy(start, n int64, what string) {
	if n > 0 {
		v.spans = append(v.spans, span{start, n, what})
	}
}

// overlaps finds sectors that two things lie on.
func (v *verifier) overlaps() {
	slices.SortFunc(v.spans, func(a, b span) int { return int(a.start - b.start) })
	last := span{}
	for _, s := range v.spans {
		if s.start < last.start+last.n {
			v.find(s.start, s.what, "it overlaps %q, sectors %d to %d", last.what, last.start, last.start+last.n-1)
		}
		if s.start+s.n > v.sectors {
			v.find(s.start, s.what, "%d sectors of it go beyond the image's %d", s.start+s.n-v.sectors, v.sectors)
		}
		if s.start+s.n > last.start+last.n {
			last = s
		}
	}
}

// padding finds bytes behind the end of size bytes from start.
func (v *verifier) padding(path string, start, size int64) {
	used := size % sectorSize
	if used == 0 {
		return
	}
	lba := start + size/sectorSize
	b, err := extent.Sector(v.r, lba)
	if err != nil {
		v.wrong(path, err)
	} else if !zero(b[used:]) {
		v.find(lba, path, "bytes behind its end are not zero")
	}
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// Ours says whether the image was made by this program.
func (r *Report) Ours() bool { return r.ID != [16]byte{} }

// Name returns a UUID as people write it.
func (r *Report) Name() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", r.ID[:4], r.ID[4:6], r.ID[6:8], r.ID[8:10], r.ID[10:])
}

// table holds the path tables against each other and against the tree: directories by sector, with the sector of what they are in.
func (v *verifier) table(iso *iso9660.Volume, dirs map[int64]int64) {
	l, err := iso.PathTable(false)
	if err != nil {
		v.wrong("", err)
	}
	m, err := iso.PathTable(true)
	if err != nil {
		v.wrong("", err)
	}
	if !slices.Equal(l, m) {
		v.find(iso.TableM, "", "the path tables differ")
	}
	n := archive.Sectors(iso.TableBytes)
	side := ""
	if iso.Joliet {
		side = " (Joliet)"
	}
	v.occupy(iso.TableL, n, "path table L"+side)
	v.occupy(iso.TableM, n, "path table M"+side)
	if len(l) != len(dirs) {
		v.find(iso.TableL, "", "the path tables have %d directories, the tree has %d", len(l), len(dirs))
	}
	for i, t := range l {
		above, ok := dirs[t.Sector]
		switch {
		case !ok:
			v.find(iso.TableL, t.ID, "the path tables have a directory at sector %d, the tree has none", t.Sector)
		case t.Parent < 1 || t.Parent > len(l):
			v.find(iso.TableL, t.ID, "its parent in the path tables is %d of %d", t.Parent, len(l))
		case t.Parent < 1<<16-1 && l[t.Parent-1].Sector != above:
			v.find(iso.TableL, t.ID, "the path tables have another parent for directory %d", i+1)
		}
	}
}
