package rescue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
)

// Discs of a set that was made without a library each have the catalogue of the whole set, as far as it was planned then. The newest
// of those that are given first says what is restored, and which disc what is missing is on.

// kind says how the discs of a restore say what they hold: discs of several kinds are not restored in one go.
type kind int

const (
	ofVaults kind = iota + 1 // each its own files; odarchive 0.1's too
	ofSeries                 // each those of its whole set
)

func kindOf(d *catalogue.Disc) kind {
	if d.ImageID != "" && d.SetID != "" {
		return ofSeries
	}
	return ofVaults
}

// errKind says that a disc can't be restored from together with those before.
var errKind = errors.New("a disc set that was made without a controller is restored for itself: this is a disc of another kind")

// series takes up what is to be restored of a set: the newest archive of each folder that is in its newest catalogue, or the one that
// is wanted.
func (r *Restore) series() error {
	if r.set == nil {
		if err := r.newest(); err != nil {
			return err
		}
		all := r.set.Current()
		jobs := seriesJobs(all)
		if r.Archive != "" {
			var err error
			if jobs, err = r.choose(jobs); err == nil && len(jobs) == 0 {
				jobs, err = r.choose(seriesJobs(r.set.Archives))
			}
			if err != nil {
				return err
			}
		}
		for _, j := range jobs {
			j.folder = r.Target
			if len(jobs) > 1 {
				j.folder = filepath.Join(r.Target, filepath.FromSlash(j.archive.Directory))
			}
			r.unlisted[j.key] = j
		}
	}
	for _, key := range slices.Sorted(maps.Keys(r.unlisted)) {
		if err := r.begin(r.unlisted[key]); err != nil {
			return err
		}
	}
	for _, d := range r.discs {
		d.listed = true
	}
	return nil
}

func seriesJobs(all []catalogue.SetArchive) (jobs []*job) {
	for _, a := range all {
		jobs = append(jobs, &job{key: a.ID + " " + a.RootHash.String(), archive: catalogue.Archive{
			ID: a.ID, Name: a.Name, Directory: a.Directory, RootHash: a.RootHash, ManifestSize: a.ManifestSize, Sealed: a.Sealed,
		}})
	}
	return jobs
}

// newest chooses the newest catalogue that can be read on one of the discs. All others must be of its set.
func (r *Restore) newest() error {
	byAge := slices.Clone(r.discs)
	slices.SortStableFunc(byAge, func(a, b *reading) int {
		// Later plans have later numbers, and times of whole seconds only.
		if c := b.Info.Created.Compare(a.Info.Created); c != 0 {
			return c
		}
		return int(b.Info.Number - a.Info.Number)
	})
	var from *reading
	for _, d := range byAge {
		c, err := d.whole()
		if err == nil {
			r.set, from = c, d
			break
		}
		d.troubled = true
		r.doubt(d.Where, err)
	}
	if from == nil {
		return errors.Join(errors.New("restore: none of the discs has a catalogue that can be read"), r.doubts())
	}
	for _, d := range byAge {
		if d.Info.SetID != from.Info.SetID && r.number(d) < 0 {
			return fmt.Errorf("restore: %s is not of the set of %s", d.Where, from.Where)
		}
	}
	return nil
}

// whole reads the disc's catalogue, twice where that may help.
func (d *reading) whole() (list *catalogue.Catalogue, err error) {
	if list, err = d.Catalogue(); err == nil {
		return list, nil
	}
	var again error
	if careful, _ := d.Carefully(func() error { list, again = d.Catalogue(); return again }); careful && again == nil {
		return list, nil
	}
	return nil, err
}

// number returns what number a disc has in the set's catalogue, or -1: where sets were merged that is not what the disc says.
func (r *Restore) number(d *reading) int64 {
	for i := range r.set.Discs {
		if r.set.Discs[i].ID == d.Info.ImageID {
			return r.set.Discs[i].Number
		}
	}
	return -1
}

// fromSeries restores what is wanted and on a disc of the set.
func (r *Restore) fromSeries(ctx context.Context, d *reading) error {
	list, number := r.set, r.number(d)
	switch {
	case number < 0 && d.Info.SetID != r.set.SetID:
		r.doubt(d.Where, errors.New("it is of another disc set"))
		return nil
	case number < 0: // planned later than the catalogue that is gone by
		var err error
		if list, err = d.whole(); err != nil {
			d.troubled = true
			r.doubt(d.Where, err)
			return nil
		}
		number = d.Info.Number
	}
	for i := range list.Entries {
		e := &list.Entries[i]
		h, ok := e.Digest.Hash()
		c := r.wanted[archive.Content{Hash: h, Size: e.Size}]
		if !ok || c == nil {
			continue
		}
		for k, run := range e.Runs {
			if run.Disc != number || c.done {
				continue
			}
			part, parts := 0, 0
			if len(e.Runs) > 1 {
				part, parts = k+1, len(e.Runs)
			}
			if err := r.attempt(ctx, d, c, span{run.Offset, run.Offset + run.Length}, d.names(c, e.Names, part, parts)); err != nil {
				return err
			}
		}
	}
	return nil
}

// names returns where a content, or a part of it, may lie on the disc: where the archives that are restored have it, as far as the disc
// speaks of them, and where any archive of the set has it.
func (d *reading) names(c *content, others []string, part, parts int) (names []string) {
	add := func(name string) { names = append(names, catalogue.DataDir+"/"+catalogue.PartName(name, part, parts)) }
	for _, t := range c.targets {
		if dir, ok := d.Directory(t.job.archive.ID); ok {
			add(path.Join(dir, t.entry.Path))
		}
	}
	for _, name := range others {
		add(name)
	}
	return names
}

// lacking returns the discs of the set that something missing is on, in ascending order of numbers, those first that were not read.
func (r *Restore) lacking() (all []catalogue.SetDisc) {
	wanted := map[int64]bool{}
	for i := range r.set.Entries {
		e := &r.set.Entries[i]
		h, ok := e.Digest.Hash()
		c := r.wanted[archive.Content{Hash: h, Size: e.Size}]
		if !ok || c == nil || c.done {
			continue
		}
		for _, run := range e.Runs {
			if c.lacks(span{run.Offset, run.Offset + run.Length}) {
				wanted[run.Disc] = true
			}
		}
	}
	var read []catalogue.SetDisc
	for i := range r.set.Discs {
		d := &r.set.Discs[i]
		speaks := slices.ContainsFunc(d.Archives, func(id string) bool {
			for _, j := range r.unlisted {
				if j.archive.ID == id {
					return true
				}
			}
			return false
		})
		switch {
		case !wanted[d.Number] && !speaks:
		case slices.ContainsFunc(r.seen, func(s catalogue.Disc) bool { return s.ImageID == d.ID }):
			read = append(read, *d)
		case wanted[d.Number] || len(r.unlisted) > 0:
			all = append(all, *d)
		}
	}
	return append(all, read...)
}
