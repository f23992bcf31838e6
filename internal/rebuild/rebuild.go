// Package rebuild puts the catalogue of a library together again when only its discs are left: it reads what each of them says of itself, disc
// by disc, and what the parity of sets gives back of discs that are lost. It keeps nothing of a disc, and knows nothing of how the
// catalogue is stored.
package rebuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/excerpt"
	"github.com/odarchive/odarchive/archive/survey"
	"github.com/odarchive/odarchive/library"
)

// Catalogue is what is put together. What it was told already changes nothing. Has, HasArchive, Archive, Image, Parity and Fatal are called for several
// discs at the same time, but not for the same image or archive; the rest is used by one goroutine.
type Catalogue interface {
	// Has says whether an image has been taken in from its own disc.
	Has(ctx context.Context, image string) (bool, error)
	// HasArchive says whether an archive has been taken in whole. Another archive of that id is an error.
	HasArchive(ctx context.Context, a *catalogue.Archive) (bool, error)
	// Archive takes in an archive of a disc by its manifest, if that is what the disc says. It reads the manifest to its end.
	Archive(ctx context.Context, d *survey.Disc, a *catalogue.Archive, m *catalogue.ManifestReader) error
	// Image takes in what a disc of a vault carries. With lost the disc was not there, and others of its set have said it.
	Image(ctx context.Context, d *survey.Disc, place string, lost bool) error
	// Parity takes in what a parity disc says of its set.
	Parity(ctx context.Context, d *survey.Disc, place string) error
	// Absent returns the data images of sets that have not been taken in. Places returns where those of a set were read, by their
	// index, and set.json.
	Absent(ctx context.Context) ([]survey.Member, error)
	Places(ctx context.Context, set string) (places map[int]string, description []byte, err error)
	// Finish draws the conclusions of all that was taken in.
	Finish(ctx context.Context) error
	// Unsealed counts the sets with discs of which no parity is known: it is made when a controller runs on the catalogue.
	Unsealed(ctx context.Context) (int, error)
	// Report calls yield for every archive that a disc speaks of.
	Report(ctx context.Context, yield func(v survey.Verdict, files iter.Seq2[survey.Lack, error]) error) error
	// Fatal says that after an error it makes no sense to go on with other discs.
	Fatal(ctx context.Context, err error) bool
}

// Opener opens the catalogue at the address of a database or, where that is empty, in a controller's data folder. For a drill it is an empty
// one beside that, which goes when it is closed; the controller may run, and the catalogue is a Drill. Whoever calls it closes it.
type Opener func(ctx context.Context, address, data string, drill bool) (Catalogue, io.Closer, error)

// Drill is a catalogue beside that of a running library.
type Drill interface {
	Catalogue
	// Compare calls yield for each way in which the two differ, until it returns an error.
	Compare(ctx context.Context, yield func(library.Difference) error) error
}

// Progress is how far a rebuild is.
type Progress struct {
	Discs, Total int   // read, of those that are to be
	Entries      int64 // of archives taken in
	Place        string
}

// Disc is a disc that was read, or an image that its set gives back.
type Disc struct {
	Place  string
	Image  string // UUID
	Label  string
	Vault  string // name; empty for a parity disc
	Parity bool
	Lost   bool // no disc had it
	Known  bool // it had been read before
}

// Result is what was read.
type Result struct {
	Discs  []Disc
	Doubts []survey.Doubt // what was not believed, or could not be read; the rest was
	// Missing are images of which nothing was to be had: neither a disc nor enough of their sets.
	Missing []survey.Member
	// Unsealed is how many sets had not come together yet, or have lost all their parity discs: it is made anew.
	Unsealed int
	// Told is what the snapshots on parity discs gave; nil when there were none.
	Told    *survey.Told
	Settled int // slots of which it is known now what they hold
	Entries int64
	Took    time.Duration
}

// Rebuild is one run. Catalogue is needed.
type Rebuild struct {
	Catalogue Catalogue
	// Progress, when not nil, is told of each disc before it is read, and at the end. It is called by one goroutine at a time.
	Progress func(Progress)
	// Machines are what surveys of robots have found, as Machines returns them.
	Machines []Machine

	result Result
	parity []string
	claims claims

	mu       sync.Mutex
	reading  Progress
	taken    int // discs that were of use
	unlisted []unlisted
}

// outcome is what became of one disc.
type outcome struct {
	disc   *Disc // nil when it is of no use
	doubts []error
}

// Run reads the discs at places, as Places returns them, several at a time. What it returns is in their order. An error says that the catalogue is not finished: another Run goes on.
func (r *Rebuild) Run(ctx context.Context, places []string) (*Result, error) {
	start := time.Now()
	r.reading.Total = len(places)
	outcomes := make([]outcome, len(places))
	// The first disc of use says which library it is.
	if err := each(ctx, len(places), func() bool { return r.taken == 0 }, func(ctx context.Context, i int) error {
		r.tell(places[i])
		o := &outcomes[i]
		if err := r.disc(ctx, places[i], o); err != nil {
			if r.Catalogue.Fatal(ctx, err) {
				return fmt.Errorf("%s: %w", places[i], err)
			}
			o.doubts = append(o.doubts, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.reading.Discs++
		if o.disc != nil {
			r.taken++
		}
		return nil
	}); err != nil {
		return nil, err
	}
	for i, o := range outcomes {
		for _, err := range o.doubts {
			r.doubt(places[i], err)
		}
		if o.disc == nil {
			continue
		}
		r.result.Discs = append(r.result.Discs, *o.disc)
		if o.disc.Parity {
			r.parity = append(r.parity, places[i])
		}
	}
	r.tell("")
	if len(r.result.Discs) == 0 {
		return &r.result, nil
	}
	if err := r.elsewhere(ctx); err != nil {
		return nil, err
	}
	if err := r.lost(ctx); err != nil {
		return nil, err
	}
	if err := r.Catalogue.Finish(ctx); err != nil {
		return nil, err
	}
	if err := r.snapshots(ctx); err != nil {
		return nil, err
	}
	if err := r.place(ctx); err != nil {
		return nil, err
	}
	var err error
	if r.result.Unsealed, err = r.Catalogue.Unsealed(ctx); err != nil {
		return nil, err
	}
	missing, err := r.Catalogue.Absent(ctx)
	r.result.Missing, r.result.Entries, r.result.Took = missing, r.reading.Entries, time.Since(start)
	return &r.result, err
}

func (r *Rebuild) tell(place string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reading.Place = place
	if r.Progress != nil {
		r.Progress(r.reading)
	}
}

func (r *Rebuild) doubt(place string, err error) {
	r.result.Doubts = append(r.result.Doubts, survey.Doubt{Disc: place, Err: err})
}

// disc reads one disc.
func (r *Rebuild) disc(ctx context.Context, place string, o *outcome) error {
	f, err := open(place)
	if err != nil {
		return err
	}
	defer f.Close()
	d, err := survey.Open(ctx, f, f.sectors)
	if err != nil {
		return err
	}
	release, err := r.claims.claim(ctx, "image "+d.ImageID)
	if err != nil {
		return err
	}
	defer release()
	known, err := r.Catalogue.Has(ctx, d.ImageID)
	if err != nil {
		return err
	}
	switch {
	case known:
	case d.Set != nil:
		err = r.Catalogue.Parity(ctx, d, place)
	default:
		err = r.take(ctx, d, place, false, func(err error) { o.doubts = append(o.doubts, err) })
	}
	if err != nil {
		return err
	}
	o.disc = &Disc{Place: place, Image: d.ImageID, Label: d.Label, Vault: d.Vault, Parity: d.Set != nil, Known: known}
	return nil
}

// take takes in the archives that a disc has manifests of, and what it carries. It calls doubt for what it doesn't believe.
func (r *Rebuild) take(ctx context.Context, d *survey.Disc, place string, lost bool, doubt func(error)) error {
	for i := range d.Archives {
		if err := r.archive(ctx, d, &d.Archives[i]); err != nil {
			if r.Catalogue.Fatal(ctx, err) {
				return err
			}
			if _, ok := errors.AsType[*excerpt.AbsentError](err); ok {
				r.mu.Lock()
				r.unlisted = append(r.unlisted, unlisted{d.Archives[i], place, err})
				r.mu.Unlock()
				continue
			}
			doubt(err)
		}
	}
	err := r.Catalogue.Image(ctx, d, place, lost)
	if errors.Is(err, survey.ErrOrder) {
		err = r.Catalogue.Image(ctx, d, place, lost)
	}
	return err
}

func (r *Rebuild) archive(ctx context.Context, d *survey.Disc, a *catalogue.Archive) error {
	release, err := r.claims.claim(ctx, "archive "+a.ID)
	if err != nil {
		return err
	}
	defer release()
	known, err := r.Catalogue.HasArchive(ctx, a)
	if err != nil || known {
		return err
	}
	f, err := d.Manifest(a.ID)
	if err != nil {
		return fmt.Errorf("archive %s: %w", a.ID, err)
	}
	defer f.Close()
	if at, ok := f.(io.ReaderAt); ok { // before the catalogue does anything
		if _, err := at.ReadAt(make([]byte, 1), 0); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("archive %s: %w", a.ID, err)
		}
	}
	m := catalogue.NewManifestReader(f)
	if err := r.Catalogue.Archive(ctx, d, a, m); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reading.Entries += m.Count()
	return nil
}

// unlisted is an archive of which an excerpt has not the list.
type unlisted struct {
	archive catalogue.Archive
	place   string
	err     error
}

// elsewhere doubts the excerpts without a list that no other disc had: a survey copies each list once.
func (r *Rebuild) elsewhere(ctx context.Context) error {
	for _, a := range r.unlisted {
		known, err := r.Catalogue.HasArchive(ctx, &a.archive)
		if err != nil && r.Catalogue.Fatal(ctx, err) {
			return err
		}
		if err != nil || !known {
			r.doubt(a.place, errors.Join(a.err, err))
		}
	}
	return nil
}

// Lost says how many of the discs were given back by their sets, and how many were read before.
func (r *Result) Lost() (lost, known int) {
	for _, d := range r.Discs {
		if d.Lost {
			lost++
		}
		if d.Known {
			known++
		}
	}
	return lost, known
}

// Images returns the images that were read or given back, in ascending order of labels.
func (r *Result) Images() []Disc {
	all := slices.Clone(r.Discs)
	slices.SortFunc(all, func(a, b Disc) int {
		if len(a.Label) != len(b.Label) {
			return len(a.Label) - len(b.Label)
		}
		if a.Label < b.Label {
			return -1
		}
		return 1
	})
	return all
}
