// Package audit holds what a disc says about itself - its lists, its catalogue, its names, its archives' manifests - against the files
// that are on it. It sees a disc as files in folders: how those lie on sectors is verified by archive/image.
package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/discset"
)

// Disc is a disc to be audited.
type Disc struct {
	// UDF and ISO are its sides; nil where there is none. What Sys returns of a file there is a *udf.Node or *iso9660.Entry, or it isn't
	// known where the file lies.
	UDF, ISO fs.FS
	// ID and Label are what its volume says: a UUID in lower case, empty for a disc that this program didn't make.
	ID, Label string
}

// Options say how much is looked at.
type Options struct {
	// Contents reads every byte of every file once and compares it with its hash. Otherwise only what a disc has of its own is read.
	Contents bool
	// Progress is told how many bytes of contents have been read of how many; nil for nobody.
	Progress func(done, total int64)
}

// Kind is what a disc says it is.
type Kind string

// The kinds of discs. A foreign disc says nothing: it is not held to anything.
const (
	Foreign Kind = "foreign"
	Data    Kind = "data"
	Parity  Kind = "parity"
)

// Report is what an audit found.
type Report struct {
	Kind Kind
	// Archives are those that the disc has something of, Names the files that it should have, and Contents how many distinct runs of
	// bytes these are.
	Archives, Names, Contents int64
	// Read is how many bytes of contents were compared with a hash, and Unhashed how many were only read: of parts, whose hash nobody
	// knows. Both are 0 without Options.Contents.
	Read, Unhashed int64
	// Findings are the first thousand disagreements; More is how many there are beyond them.
	Findings []Finding
	More     int64
}

// Finding is something that disagrees.
type Finding struct {
	Path string // on the disc, or of what it should have there; empty when it is about no one file
	Text string
}

func (f Finding) String() string {
	if f.Path == "" {
		return f.Text
	}
	return fmt.Sprintf("%q: %s", f.Path, f.Text)
}

const (
	maxFindings = 1000
	// maxSmall bounds a file that is read into memory, in bytes: a disc_info.json of 64 Ki archives.
	maxSmall = 64 << 20
)

// Audit looks at a disc. What is wrong with it is in the report; the error is of the context, or says that there is no side to look at.
// It takes memory for all that the lists say, some hundreds of bytes a file. A hostile disc's claims are bounded by what it holds.
func Audit(ctx context.Context, d Disc, o Options) (*Report, error) {
	a := &audit{ctx: ctx, disc: d, o: o, fsys: d.UDF, Report: &Report{Kind: Foreign}}
	if a.fsys == nil {
		a.fsys = d.ISO
	}
	if a.fsys == nil {
		return nil, errors.New("audit: the disc has no files")
	}
	switch info, set := a.has(catalogue.InfoName), a.has(discset.SetName); {
	case set:
		a.parity()
	case info:
		a.data()
	case d.ID != "":
		a.find("", "it was made by odarchive and has neither %s nor %s", catalogue.InfoName, discset.SetName)
	}
	// Maps have no order, reports have.
	slices.SortStableFunc(a.Findings, func(x, y Finding) int {
		return cmp.Or(strings.Compare(x.Path, y.Path), strings.Compare(x.Text, y.Text))
	})
	return a.Report, context.Cause(ctx)
}

// audit is the state of one.
type audit struct {
	*Report
	ctx  context.Context
	disc Disc
	o    Options
	fsys fs.FS // the side that is read: UDF where there is one

	info  *catalogue.Disc
	udf   map[string]string // names on the UDF side that are others, by paths in the archive
	iso   map[string]string
	wants map[string]*want // by path in the archive, from the root of the disc
}

// want is a file that should be on the disc.
type want struct {
	size int64 // bytes; negative where nobody says
	// content is that of an archived file; nil for the disc's own.
	content *content
	// hash is what SHA256SUMS should say; nil where it should say nothing.
	hash     *archive.Hash
	summed   bool // it does
	named    bool // catalogue.json names it
	manifest bool // a manifest lists it
	seen     [2]bool
}

func (a *audit) find(path, format string, args ...any) {
	if len(a.Findings) >= maxFindings {
		a.More++
		return
	}
	a.Findings = append(a.Findings, Finding{path, fmt.Sprintf(format, args...)})
}

func (a *audit) has(name string) bool {
	f, err := a.fsys.Open(name)
	if err != nil {
		return false
	}
	f.Close()
	return true
}

// open opens a file by its path in the archive on the side that is read.
func (a *audit) open(path string) (fs.File, error) {
	return a.fsys.Open(catalogue.Renamed(a.names(a.disc.UDF != nil), path))
}

func (a *audit) names(udf bool) map[string]string {
	if udf {
		return a.udf
	}
	return a.iso
}

// small reads a file of the disc's own, or says what is wrong with it.
func (a *audit) small(name string) ([]byte, bool) {
	f, err := a.fsys.Open(name)
	if err == nil {
		defer f.Close()
		var b []byte
		if b, err = io.ReadAll(io.LimitReader(f, maxSmall+1)); err == nil && len(b) <= maxSmall {
			return b, true
		} else if err == nil {
			err = fmt.Errorf("it has more than %d bytes", maxSmall)
		}
	}
	a.find(name, "%v", err)
	return nil, false
}

// mentions verifies that the README names what the finder of the disc needs.
func (a *audit) mentions(names ...string) {
	b, ok := a.small(catalogue.ReadmeName)
	if !ok {
		return
	}
	text := string(b)
	for _, n := range names {
		if !strings.Contains(text, n) {
			a.find(catalogue.ReadmeName, "it doesn't mention %.100q", n)
		}
	}
}

// identity compares what a file says of the disc with what its volume says.
func (a *audit) identity(name, id, label string) {
	if a.disc.ID != "" && !strings.EqualFold(id, a.disc.ID) {
		a.find(name, "it is of the disc %.60q, the volume is %s", id, a.disc.ID)
	}
	if label != a.disc.Label {
		a.find(name, "it calls the disc %.60q, the volume is called %q", label, a.disc.Label)
	}
}
