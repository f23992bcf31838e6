package rescue

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/tree"
)

var errNotThere = fs.ErrNotExist

// job is an archive that is brought back.
type job struct {
	key     string
	archive catalogue.Archive
	vault   string
	folder  string
	restore *tree.Restore // nil as long as no disc had its manifest whole
	files   int64
	bytes   int64
	absent  []Absent
	set     *catalogue.Catalogue  // of odarchive 0.1
	long    map[archive.Hash]bool // that stand for a SHA-512
}

func (j *job) result() Archive {
	slices.SortFunc(j.absent, func(a, b Absent) int { return strings.Compare(a.Path, b.Path) })
	return Archive{Archive: j.archive, Vault: j.vault, Folder: j.folder, Listed: j.restore != nil, Files: j.files, Bytes: j.bytes, Absent: j.absent}
}

// byAge puts archives in an order that doesn't depend on that of discs.
func byAge(a, b Archive) int {
	return cmp.Or(a.Sealed.Compare(b.Sealed), strings.Compare(a.ID, b.ID), strings.Compare(a.RootHash.String(), b.RootHash.String()))
}

// list takes up the archives that discs speak of.
func (r *Restore) list() error {
	if r.kind == ofSeries {
		return r.series()
	}
	found := map[string]*job{} // by id and root hash: two discs may claim different things of one id
	for _, d := range r.discs {
		if d.ancestral() && !d.listed {
			j, err := r.ancestor(d)
			if err != nil {
				r.doubt(d.Where, err)
			} else if k := found[j.key]; k == nil || k.archive.Sealed.Before(j.archive.Sealed) {
				found[j.key] = j
			}
		}
		for _, a := range d.Info.Archives {
			key := a.ID + " " + a.RootHash.String()
			found[key] = &job{key: key, archive: a, vault: d.Info.Vault}
		}
	}
	all := slices.SortedFunc(maps.Values(found), func(a, b *job) int { return byAge(Archive{Archive: a.archive}, Archive{Archive: b.archive}) })
	if r.Archive != "" {
		var err error
		if all, err = r.choose(all); err != nil {
			return err
		}
	}
	for _, j := range all {
		if slices.ContainsFunc(r.jobs, func(k *job) bool { return k.key == j.key }) {
			continue
		}
		if err := r.begin(j); err != nil {
			return err
		}
	}
	for _, d := range r.discs {
		d.listed = true
	}
	return nil
}

// choose returns the archive that is wanted, if it is among all.
func (r *Restore) choose(all []*job) ([]*job, error) {
	if len(r.jobs) > 0 {
		return nil, nil
	}
	var best []*job
	for _, is := range []func(*job) bool{
		func(j *job) bool { return j.archive.RootHash.String() == r.Archive },
		func(j *job) bool { return j.archive.ID == r.Archive },
		func(j *job) bool { return j.archive.Name == r.Archive },
		func(j *job) bool { return j.set != nil && j.set.JobID == r.Archive },
		func(j *job) bool { return len(r.Archive) >= 4 && strings.HasPrefix(j.archive.ID, r.Archive) },
	} {
		for _, j := range all {
			if is(j) {
				best = append(best, j)
			}
		}
		if len(best) > 0 {
			break
		}
	}
	if len(best) > 1 {
		var text []string
		for _, j := range best {
			text = append(text, fmt.Sprintf("%s of %v (root hash %v)", j.archive.ID, j.archive.Sealed.Format("2006-01-02 15:04:05"), j.archive.RootHash))
		}
		return nil, fmt.Errorf("restore archive %s: %w: %s", r.Archive, ErrAmbiguous, strings.Join(text, ", "))
	}
	return best, nil
}

// begin reads an archive's manifest from whichever disc has it whole, makes its folders, and wants its contents.
func (r *Restore) begin(j *job) error {
	var entries []archive.Entry
	if j.set != nil {
		entries = j.tree()
	} else {
		var ok bool
		if entries, ok = r.manifest(j); !ok {
			r.unlisted[j.key] = j
			return nil
		}
	}
	delete(r.unlisted, j.key)
	if r.set == nil {
		j.folder = r.Target
	}
	if r.set == nil && r.Archive == "" {
		j.folder = filepath.Join(r.Target, catalogue.DirectoryName(j.archive.Name, r.taken))
	}
	var err error
	if j.restore, err = tree.NewRestore(j.folder, tree.Below(entries, r.Paths)); err != nil {
		return err
	}
	r.jobs = append(r.jobs, j)
	j.restore.Overwrite, j.restore.Resume, j.restore.Owners = r.Overwrite, r.Resume, r.Owners && j.set == nil
	if j.set != nil {
		j.restore.Hash = j.sum
	}
	if err := j.restore.Begin(); err != nil {
		return err
	}
	r.generation++
	for _, e := range j.restore.Files() {
		r.totalFiles++
		r.totalBytes += e.Content.Size
		if err := r.want(&target{j, e}); err != nil {
			return err
		}
	}
	return nil
}

// manifest reads a manifest. Discs that were asked before and could not give it are not asked again.
func (r *Restore) manifest(j *job) (entries []archive.Entry, ok bool) {
	_, again := r.unlisted[j.key]
	for _, d := range r.discs {
		if _, speaks := d.Directory(j.archive.ID); !speaks || again && d.listed {
			continue
		}
		read := func() (err error) {
			entries, err = d.Manifest(j.archive.ID, j.archive.RootHash)
			return err
		}
		err := read()
		if err != nil {
			if careful, again := d.Carefully(read); careful {
				err = again
			}
		}
		if err == nil {
			return entries, true
		}
		if d.claims(j) {
			d.troubled = true
			r.doubt(d.Where, fmt.Errorf("archive %s: %w", j.archive.ID, err))
		}
	}
	return nil, false
}

// claims says whether the disc says that its manifest of an archive is the one that is wanted.
func (d *reading) claims(j *job) bool {
	return slices.ContainsFunc(d.Info.Archives, func(a catalogue.Archive) bool {
		return a.ID == j.archive.ID && a.RootHash == j.archive.RootHash
	})
}

// want adds a file to what is wanted.
func (r *Restore) want(t *target) error {
	c := r.wanted[t.entry.Content]
	switch {
	case t.job.restore.Had(t.entry):
		return r.had(c, t)
	case t.entry.Content.Size == 0: // no disc is needed for it
		f, err := t.job.restore.Create(t.entry)
		if err == nil {
			err = f.Commit()
		}
		if err != nil {
			return err
		}
		r.restored(t)
		return nil
	case c == nil:
		c = &content{Content: t.entry.Content}
		r.wanted[c.Content] = c
		r.order = append(r.order, c)
		r.left++
	case c.done:
		if err := r.duplicate(c, t); err != nil {
			return err
		}
	}
	c.targets = append(c.targets, t)
	return nil
}

// had takes up a file that an earlier restore has made, from which others of its content can be made, without any disc.
func (r *Restore) had(c *content, t *target) error {
	r.bytes += t.entry.Content.Size
	r.restored(t)
	switch {
	case c == nil:
		c = &content{Content: t.entry.Content, done: true}
		r.wanted[c.Content] = c
		r.order = append(r.order, c)
	case !c.done:
		c.abort()
		c.done = true
		r.left--
		others := c.targets
		c.targets = append([]*target{t}, others...)
		for _, o := range others {
			if err := r.duplicate(c, o); err != nil {
				return err
			}
		}
		return nil
	}
	c.targets = append(c.targets, t)
	return nil
}

// restored counts a file that is whole.
func (r *Restore) restored(t *target) {
	r.files++
	t.job.files++
	t.job.bytes += t.entry.Content.Size
	r.tell()
}

func (r *Restore) tell() {
	if r.Progress != nil {
		r.Progress(r.files, r.totalFiles, r.bytes, r.totalBytes)
	}
}

// duplicate writes a further file of a content that is restored.
func (r *Restore) duplicate(c *content, t *target) (err error) {
	from := c.targets[0]
	in, err := from.job.restore.Open(from.entry)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	f, err := t.job.restore.Create(t.entry)
	if err != nil {
		return err
	}
	if err := r.copy(f, in, c.Size); err != nil {
		f.Abort()
		if t, ok := errors.AsType[*trouble](err); ok {
			err = fmt.Errorf("read %q again: %w", from.entry.Path, t.err)
		}
		return err
	}
	if err := f.Commit(); err != nil {
		return err
	}
	r.restored(t)
	return nil
}
