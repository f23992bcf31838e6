// Package rescue brings the archives of a vault, of a disc set that was made without a library, and of odarchive 0.1 back from discs alone,
// with everything that they say of them. It finds contents by their hashes, on whichever discs it is given in whatever order, and names
// what is on none of them. It knows of no catalogue but those on the discs.
package rescue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/disc"
)

// Errors that callers decide by.
var (
	// ErrNoVault says that none of the discs is one that archives are restored from.
	ErrNoVault = errors.New("none of them is a disc that archives are restored from")
	// ErrNoArchive says that no disc speaks of the archive that is wanted.
	ErrNoArchive = errors.New("none of the discs speaks of it")
	// ErrAmbiguous says that several archives go by that name.
	ErrAmbiguous = errors.New("several archives are called that")
	// ErrNoMore is what Ask returns when there are no more discs: what could be restored stays.
	ErrNoMore = errors.New("there are no more discs")
)

// Restore brings archives back.
type Restore struct {
	Target string
	// Archive is the one that is wanted: its id or the beginning of that, its root hash, or its name. It goes into Target itself. Without,
	// every archive that a disc of a vault speaks of goes into a folder below Target that is called after it, and of a disc set that was
	// made without a library the newest of each folder, into Target itself when there is one only.
	Archive string
	// Paths are what is wanted of each archive; everything when there are none.
	Paths     []string
	Overwrite bool
	// Resume goes on with a restore into the same Target that ended early: files that are there whole stay.
	Resume bool
	Owners bool
	Side   disc.Side // that is read of each disc
	// Ask is asked for another disc when something is on none of those that were read, and returns where it is, which may be where
	// another one was before. ErrNoMore ends the restore with what there is, any other error without. Without it nobody is asked.
	Ask func(*Need) (where string, err error)
	// Progress is told how much has been written. Totals grow when further discs speak of further archives.
	Progress func(files, totalFiles, bytes, totalBytes int64)

	discs      []*reading
	kind       kind                 // of all of them; 0 as long as there is none
	set        *catalogue.Catalogue // of a set that was made without a library
	parities   []*parity
	seen       []catalogue.Disc
	jobs       []*job
	unlisted   map[string]*job // of which no manifest was whole so far
	taken      map[string]bool // folders below Target
	wanted     map[archive.Content]*content
	order      []*content
	generation int
	report     Report
	bytes      int64
	totalFiles int64
	totalBytes int64
	files      int64
	left       int64 // contents
	stale      bool  // a content that came from several discs was wrong
	again      bool  // and may come right when other discs are asked first
}

// Need is what is still missing when a disc is asked for.
type Need struct {
	Archive      string           // that no disc has spoken of yet; empty when contents are missing
	Files, Bytes int64            // contents, and what of them is missing
	Example      string           // a path of one of them
	Seen         []catalogue.Disc // that were read, in ascending order of numbers
	// Discs are those that something missing is on, in the order in which to ask for them: only catalogues of sets, and odarchive 0.1's,
	// know. Of the latter's discs there is only a number.
	Discs []catalogue.SetDisc
}

// Report says what became of a restore.
type Report struct {
	Archives []Archive
	Discs    []catalogue.Disc // that were read, in ascending order of numbers
	// Repaired are sectors that came from the discs' own error correction, Rebuilt those that came from other discs of a set.
	Repaired, Rebuilt int64
	// Doubts are what was wrong with discs, whether it did harm or not.
	Doubts []Doubt
}

// Whole says that everything that was wanted is there.
func (r *Report) Whole() bool {
	return !slices.ContainsFunc(r.Archives, func(a Archive) bool { return !a.Whole() })
}

// Archive says what became of an archive.
type Archive struct {
	catalogue.Archive
	Vault  string // its name
	Folder string // where it is
	// Listed says that a disc had its manifest whole. Without one nothing of it could be restored.
	Listed       bool
	Files, Bytes int64 // that were restored
	// Absent are the files that are not there, in ascending order of their paths.
	Absent []Absent
}

// Whole says that everything of the archive that was wanted is there.
func (a *Archive) Whole() bool { return a.Listed && len(a.Absent) == 0 }

// Absent is a file that was not restored because the discs don't have it whole.
type Absent struct {
	Path    string
	Content archive.Content
	Gaps    []Gap
	// Privileged says that it is a device, which may be made by root alone.
	Privileged bool
}

// Gap is a run of a content that was on none of the discs, in bytes.
type Gap struct{ Offset, Length int64 }

// Doubt is something that was wrong with a disc.
type Doubt struct {
	Disc string // where it was read from
	Err  error
}

func (d Doubt) Error() string { return fmt.Sprintf("%s: %v", d.Disc, d.Err) }
func (d Doubt) Unwrap() error { return d.Err }

// Run restores from the discs at the given places: images, devices or folders, of data and of parity. What can't be had is in the report
// and no error; nothing of a file is left that is not whole.
func (r *Restore) Run(ctx context.Context, places []string) (report *Report, err error) {
	r.unlisted, r.taken, r.wanted = map[string]*job{}, map[string]bool{}, map[archive.Content]*content{}
	defer func() { err = errors.Join(err, r.close()) }()
	for _, where := range places {
		if err := r.open(ctx, where); err != nil {
			return nil, err
		}
	}
	if len(r.discs)+len(r.parities) == 0 {
		return nil, errors.Join(fmt.Errorf("restore: %w", ErrNoVault), r.doubts())
	}
	for {
		more, err := r.round(ctx)
		if err != nil {
			return nil, err
		}
		if !more {
			return r.finish(ctx)
		}
	}
}

// round restores what the open discs have, and then sees to another disc. It says whether there is one.
func (r *Restore) round(ctx context.Context) (more bool, err error) {
	if err := r.list(); err != nil {
		return false, err
	}
	slices.SortStableFunc(r.discs, func(a, b *reading) int {
		if a.troubled != b.troubled {
			return boolInt(a.troubled) - boolInt(b.troubled)
		}
		return int(a.Info.Number - b.Info.Number)
	})
	for _, d := range r.discs {
		if err := r.from(ctx, d); err != nil {
			return false, err
		}
	}
	if r.stale { // parts are wanted again, whoever gave them
		r.stale = false
		r.generation++
	}
	if r.again {
		r.again = false
		return true, nil
	}
	if r.Ask != nil && r.set != nil && r.left+int64(len(r.unlisted)) > 0 && len(r.lacking()) == 0 {
		return false, nil // no disc of the set has it
	}
	enough := r.left == 0 && len(r.jobs) > 0 && len(r.unlisted) == 0
	// A disc that is lost may have been the only one that spoke of an archive.
	rebuilt := (!enough || r.Archive == "") && r.rebuild(ctx, !enough)
	if rebuilt || enough || r.Ask == nil {
		return rebuilt, nil
	}
	where, err := r.Ask(r.need())
	if errors.Is(err, ErrNoMore) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("restore: ask for a disc: %w", err)
	}
	// A drive holds one disc at a time: what was read there before is not there any more.
	r.discs = slices.DeleteFunc(r.discs, func(d *reading) bool { return d.Where == where && d.drop(&r.report) })
	r.parities = slices.DeleteFunc(r.parities, func(p *parity) bool { return p.Where == where && p.Close() == nil })
	if err := r.open(ctx, where); err != nil {
		if ctx.Err() != nil {
			return false, err
		}
		r.doubt(where, err) // it is asked for again
	}
	return true, nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// reading is a disc that is open.
type reading struct {
	*disc.Disc
	listed     bool
	generation int                  // of what is wanted, when it was read last
	troubled   bool                 // something of it could not be had
	of         string               // the set that it is rebuilt from; empty for a real disc
	set        *catalogue.Catalogue // of odarchive 0.1
	sizes      map[int64][]string   // its files
}

// drop closes the disc.
func (d *reading) drop(report *Report) bool {
	report.Repaired += d.Repaired()
	d.Close() // it was only read
	return true
}

// open opens what is at a place. One that can't be read counts as lost.
func (r *Restore) open(ctx context.Context, where string) error {
	d, err := disc.Open(ctx, where, r.Side)
	switch {
	case err != nil && (errors.Is(err, errNotThere) || errors.Is(err, disc.ErrFolder) || ctx.Err() != nil):
		return fmt.Errorf("restore: %w", err)
	case err != nil:
		r.doubt(where, err)
	case d.Info == nil || len(d.Info.Archives) == 0 && d.Info.ImageID != "":
		// A parity disc, or a data disc with nothing on it.
		err := r.parity(d)
		if errors.Is(err, errForeign) && d.Info != nil && d.Info.LibraryID != "" {
			r.add(d)
		} else if err != nil {
			r.doubt(where, errors.Join(err, d.Close()))
		}
	case d.Info.ImageID != "" && d.Info.LibraryID == "" && d.Info.SetID == "":
		r.doubt(where, errors.Join(errForeign, d.Close()))
	case r.kind != 0 && r.kind != kindOf(d.Info):
		return errors.Join(fmt.Errorf("restore from %s: %w", where, errKind), d.Close())
	default:
		r.add(d)
	}
	return nil
}

var errForeign = errors.New("it is no disc of a vault")

func (r *Restore) add(d *disc.Disc) {
	r.kind = kindOf(d.Info)
	r.discs = append(r.discs, &reading{Disc: d, generation: -1})
	if !slices.ContainsFunc(r.seen, func(s catalogue.Disc) bool { return s.ImageID == d.Info.ImageID && s.Number == d.Info.Number }) {
		r.seen = append(r.seen, *d.Info)
		slices.SortStableFunc(r.seen, func(a, b catalogue.Disc) int { return int(a.Number - b.Number) })
	}
}

// mostDoubts is how many doubts about one disc are kept: one that falls apart is bad for each of a million files.
const mostDoubts = 20

func (r *Restore) doubt(where string, err error) {
	n := 0
	for _, d := range r.report.Doubts {
		if d.Disc == where {
			n++
		}
	}
	if n == mostDoubts-1 {
		err = errors.New("more of it is bad")
	}
	if n < mostDoubts {
		r.report.Doubts = append(r.report.Doubts, Doubt{where, err})
	}
}

func (r *Restore) doubts() (err error) {
	for _, d := range r.report.Doubts {
		err = errors.Join(err, d)
	}
	return err
}

func (r *Restore) need() *Need {
	n := &Need{Seen: r.seen}
	if r.set != nil {
		n.Discs = r.lacking()
	}
	for _, number := range r.numbers() {
		n.Discs = append(n.Discs, catalogue.SetDisc{Number: number})
	}
	if len(r.jobs) == 0 || len(r.unlisted) > 0 {
		n.Archive = r.Archive
		for _, j := range r.unlisted {
			n.Archive = j.archive.Name
		}
	}
	for _, c := range r.order {
		if c.done {
			continue
		}
		if n.Files++; n.Example == "" {
			n.Example = c.targets[0].entry.Path
		}
		for _, g := range c.gaps() {
			n.Bytes += g.Length
		}
	}
	return n
}

// finish gives what is there its attributes and says what isn't.
func (r *Restore) finish(ctx context.Context) (*Report, error) {
	if len(r.jobs)+len(r.unlisted) == 0 {
		return nil, errors.Join(fmt.Errorf("restore archive %s: %w", r.Archive, ErrNoArchive), r.doubts())
	}
	for _, c := range r.order {
		if c.done {
			continue
		}
		for _, t := range c.targets {
			for _, path := range t.job.restore.Omit(t.entry) {
				t.job.absent = append(t.job.absent, Absent{Path: path, Content: c.Content, Gaps: c.gaps()})
			}
		}
		c.abort()
	}
	for _, j := range r.jobs {
		if err := j.restore.Finish(ctx); err != nil {
			return nil, err
		}
		for _, path := range j.restore.Unmade() {
			j.absent = append(j.absent, Absent{Path: path, Privileged: true})
		}
		r.report.Archives = append(r.report.Archives, j.result())
	}
	for _, j := range r.unlisted {
		r.report.Archives = append(r.report.Archives, j.result())
	}
	slices.SortFunc(r.report.Archives, byAge)
	r.report.Discs = r.seen
	return &r.report, nil
}

// close lets everything go.
func (r *Restore) close() (err error) {
	for _, c := range r.order {
		c.abort()
	}
	for _, j := range r.jobs {
		err = errors.Join(err, j.restore.Close())
	}
	for _, d := range r.discs {
		d.drop(&r.report)
	}
	for _, p := range r.parities {
		p.Close()
	}
	return err
}

// interruptible is a reader that ends with its context.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i *interruptible) Read(p []byte) (int, error) {
	if i.ctx.Err() != nil {
		return 0, context.Cause(i.ctx)
	}
	return i.r.Read(p)
}
