package project

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"path/filepath"
	"slices"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/disc"
	"github.com/odarchive/odarchive/archive/tree"
)

// Restore brings the archives of a disc set back.
type Restore struct {
	Target string
	// Archive restores this one only, by its id; otherwise the newest of each folder.
	Archive string
	// Paths are what is wanted of each archive; everything when there are none.
	Paths     []string
	Overwrite bool
	Owners    bool
	Side      disc.Side // that is read of each disc
	// Ask is asked for a disc that none of those given is, and returns where it is. Its error ends the restore.
	Ask func(d *catalogue.SetDisc) (where string, err error)
	// Progress is told how much has been written.
	Progress func(files, totalFiles, bytes, totalBytes int64)

	discs []*disc.Disc
	set   *catalogue.Catalogue
	jobs  []*job
	// wanted are the files by their content, and open those that are half-way: their content goes on on the next disc.
	wanted map[catalogue.Digest][]target
	open   map[catalogue.Digest][]*tree.File

	files, totalFiles, bytes, totalBytes int64
}

// job is one archive that is brought back.
type job struct {
	archive catalogue.SetArchive
	restore *tree.Restore
}

type target struct {
	job   *job
	entry *archive.Entry
}

// ErrMissing says that a disc is needed and nobody gave it.
var ErrMissing = errors.New("a disc is missing")

// Run restores from the discs at the given places: images, devices or folders.
func (r *Restore) Run(ctx context.Context, places []string) (err error) {
	defer func() {
		for _, files := range r.open {
			for _, f := range files {
				f.Abort()
			}
		}
		for _, j := range r.jobs {
			err = errors.Join(err, j.restore.Close())
		}
		for _, d := range r.discs {
			err = errors.Join(err, d.Close())
		}
	}()
	for _, where := range places {
		d, err := r.openDisc(ctx, where)
		if err != nil {
			return err
		}
		r.discs = append(r.discs, d)
	}
	if err := r.choose(); err != nil {
		return err
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	if err := r.empty(); err != nil {
		return err
	}
	needed, err := r.needed()
	if err != nil {
		return err
	}
	for _, number := range needed {
		d, err := r.disc(ctx, number)
		if err != nil {
			return err
		}
		if err := r.from(ctx, d, number); err != nil {
			return fmt.Errorf("restore from disc %d (%s): %w", number, d.Where, err)
		}
	}
	for _, j := range r.jobs {
		if err := j.restore.Finish(ctx); err != nil {
			return err
		}
	}
	return nil
}

// empty makes files that have no bytes: no disc is needed for them.
func (r *Restore) empty() error {
	for _, targets := range r.wanted {
		for _, t := range targets {
			if t.entry.Content.Size > 0 {
				continue
			}
			f, err := t.job.restore.Create(t.entry)
			if err == nil {
				err = f.Commit()
			}
			if err != nil {
				return err
			}
			r.files++
		}
	}
	return nil
}

// openDisc opens a disc of a set that was made without a library.
func (r *Restore) openDisc(ctx context.Context, where string) (*disc.Disc, error) {
	d, err := disc.Open(ctx, where, r.Side)
	if err == nil && (d.Info == nil || d.Info.SetID == "") {
		err = errors.Join(fmt.Errorf("open disc %s: it belongs to no disc set that was made without a library", where), d.Close())
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// choose takes the newest catalogue of the set that the first disc belongs to.
func (r *Restore) choose() error {
	if len(r.discs) == 0 {
		return fmt.Errorf("restore: %w: at least one is needed to begin", ErrMissing)
	}
	newest := r.discs[0]
	for _, d := range r.discs {
		// Later plans have later numbers, and times of whole seconds only.
		if c := d.Info.Created.Compare(newest.Info.Created); c > 0 || c == 0 && d.Info.Number > newest.Info.Number {
			newest = d
		}
	}
	var err error
	if r.set, err = newest.Catalogue(); err != nil {
		return fmt.Errorf("restore from %s: %w", newest.Where, err)
	}
	for _, d := range r.discs {
		if !slices.ContainsFunc(r.set.Discs, func(s catalogue.SetDisc) bool { return s.ID == d.Info.ImageID }) {
			return fmt.Errorf("restore: %s is not of the set of %s", d.Where, newest.Where)
		}
	}
	return nil
}

// prepare reads the manifests and makes the folders.
func (r *Restore) prepare(ctx context.Context) error {
	r.wanted, r.open = map[catalogue.Digest][]target{}, map[catalogue.Digest][]*tree.File{}
	all := current(r.set.Archives)
	if r.Archive != "" {
		all = slices.DeleteFunc(slices.Clone(r.set.Archives), func(a catalogue.SetArchive) bool { return a.ID != r.Archive })
	}
	if len(all) == 0 {
		return fmt.Errorf("restore: the set has no archive %s", r.Archive)
	}
	for _, a := range all {
		entries, err := r.manifest(ctx, &a)
		if err != nil {
			return err
		}
		to := r.Target
		if len(all) > 1 {
			to = filepath.Join(to, filepath.FromSlash(a.Directory))
		}
		entries = tree.Below(entries, r.Paths)
		restore, err := tree.NewRestore(to, entries)
		if err != nil {
			return err
		}
		restore.Overwrite, restore.Owners = r.Overwrite, r.Owners
		j := &job{a, restore}
		r.jobs = append(r.jobs, j)
		if err := restore.Begin(); err != nil {
			return err
		}
		for _, e := range restore.Files() {
			d := catalogue.SHA256(e.Content.Hash)
			r.wanted[d] = append(r.wanted[d], target{j, e})
			r.totalFiles++
			r.totalBytes += e.Content.Size
		}
	}
	return nil
}

// manifest reads an archive's manifest from whichever disc has it, asking for one where none of those given does.
func (r *Restore) manifest(ctx context.Context, a *catalogue.SetArchive) ([]archive.Entry, error) {
	var failed error
	for _, d := range r.discs {
		if _, ok := d.Directory(a.ID); !ok {
			continue
		}
		entries, err := d.Manifest(a.ID, a.RootHash)
		if err == nil {
			return entries, nil
		}
		failed = errors.Join(failed, fmt.Errorf("%s: %w", d.Where, err))
	}
	for i := range r.set.Discs {
		if d := &r.set.Discs[i]; failed == nil && slices.Contains(d.Archives, a.ID) {
			if _, err := r.disc(ctx, d.Number); err != nil {
				return nil, err
			}
			return r.manifest(ctx, a)
		}
	}
	return nil, fmt.Errorf("restore archive %s: no disc has its list of files: %w", a.ID, failed)
}

// needed returns the numbers of the discs that something wanted is on, in ascending order, which is that of the parts of files.
func (r *Restore) needed() ([]int64, error) {
	numbers := map[int64]bool{}
	found := map[catalogue.Digest]bool{}
	for i := range r.set.Entries {
		e := &r.set.Entries[i]
		if _, ok := r.wanted[e.Digest]; !ok || e.Size == 0 {
			continue
		}
		for _, run := range e.Runs {
			numbers[run.Disc], found[e.Digest] = true, true
		}
	}
	for d, targets := range r.wanted {
		if e := targets[0].entry; !found[d] && e.Content.Size > 0 {
			return nil, fmt.Errorf("restore %q: the catalogue knows no disc that it is on", e.Path)
		}
	}
	return slices.Sorted(maps.Keys(numbers)), nil
}

// disc returns the disc with that number.
func (r *Restore) disc(ctx context.Context, number int64) (*disc.Disc, error) {
	i := slices.IndexFunc(r.set.Discs, func(d catalogue.SetDisc) bool { return d.Number == number })
	if i < 0 {
		return nil, fmt.Errorf("restore: disc %d is not in the catalogue", number)
	}
	want := &r.set.Discs[i]
	if want.ID == "" {
		return nil, fmt.Errorf("restore: disc %d was made by odarchive 0.1, which gave it no identity: restore that set for itself", number)
	}
	for {
		for _, d := range r.discs {
			if d.Info.ImageID == want.ID {
				return d, nil
			}
		}
		if r.Ask == nil {
			return nil, fmt.Errorf("restore: disc %d (%s, %s): %w", number, want.Label, want.ID, ErrMissing)
		}
		where, err := r.Ask(want)
		if err != nil {
			return nil, fmt.Errorf("restore: disc %d (%s): %w", number, want.Label, err)
		}
		d, err := r.openDisc(ctx, where)
		if err != nil {
			continue // not a disc, or not of a set: it is asked for again
		}
		// A drive holds one disc at a time: what was read there before is not there any more.
		for k, old := range r.discs {
			if old.Where == where {
				old.Close()
				r.discs = slices.Delete(r.discs, k, k+1)
				break
			}
		}
		r.discs = append(r.discs, d)
	}
}

// from writes everything that is wanted and on disc d.
func (r *Restore) from(ctx context.Context, d *disc.Disc, number int64) error {
	for i := range r.set.Entries {
		e := &r.set.Entries[i]
		targets := r.wanted[e.Digest]
		if len(targets) == 0 || e.Size == 0 {
			continue
		}
		for k, run := range e.Runs {
			if run.Disc != number {
				continue
			}
			if err := r.run(ctx, d, e, k, targets); err != nil {
				return err
			}
		}
	}
	return nil
}

// run copies one run of a content into all files that want it.
func (r *Restore) run(ctx context.Context, d *disc.Disc, e *catalogue.Entry, k int, targets []target) error {
	files := r.open[e.Digest]
	if k == 0 {
		for _, t := range targets {
			f, err := t.job.restore.Create(t.entry)
			if err != nil {
				return err
			}
			files = append(files, f)
			r.open[e.Digest] = files
		}
	}
	in, err := r.find(d, e, k, targets)
	if err != nil {
		return err
	}
	defer in.Close()
	var writers []io.Writer
	for _, f := range files {
		writers = append(writers, f)
	}
	writers = append(writers, told{r, int64(len(files))})
	n, err := io.CopyBuffer(io.MultiWriter(writers...), &interruptible{ctx, io.LimitReader(in, e.Runs[k].Length)}, make([]byte, 1<<20))
	if err == nil && n != e.Runs[k].Length {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("%q: %w", targets[0].entry.Path, err)
	}
	if k < len(e.Runs)-1 {
		return nil
	}
	delete(r.open, e.Digest)
	for i, f := range files {
		if err := f.Commit(); err != nil {
			for _, rest := range files[i+1:] {
				rest.Abort()
			}
			return err
		}
		r.files++
	}
	return nil
}

// told counts what is written.
type told struct {
	r     *Restore
	files int64
}

func (t told) Write(p []byte) (int, error) {
	t.r.bytes += int64(len(p)) * t.files
	if t.r.Progress != nil {
		t.r.Progress(t.r.files, t.r.totalFiles, t.r.bytes, t.r.totalBytes)
	}
	return len(p), nil
}

// find opens a run of a content on a disc: under a name that one of the archives gives it there.
func (r *Restore) find(d *disc.Disc, e *catalogue.Entry, k int, targets []target) (io.ReadCloser, error) {
	part, parts := 0, 0
	if len(e.Runs) > 1 {
		part, parts = k+1, len(e.Runs)
	}
	var failed error
	try := func(name string) (io.ReadCloser, bool) {
		f := catalogue.File{Path: name, Part: part, Parts: parts}
		all, err := d.Files(f.DiscPath(), e.Runs[k].Length)
		if err != nil {
			failed = errors.Join(failed, err)
			return nil, false
		}
		return all[0], true
	}
	for _, t := range targets {
		if dir, ok := d.Directory(t.job.archive.ID); ok {
			if in, ok := try(path.Join(dir, t.entry.Path)); ok {
				return in, nil
			}
		}
	}
	for _, name := range e.Names { // an older archive's
		if in, ok := try(name); ok {
			return in, nil
		}
	}
	return nil, failed
}
