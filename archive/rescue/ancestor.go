package rescue

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
)

// Discs of odarchive 0.1 have no manifests and no identity: every disc of a set has the catalogue of all its files, by their SHA-512, and
// says its number. There are no permissions and owners to bring back, and times are those of a clock whose zone is not known.

// ancestral says whether the disc is one of odarchive 0.1.
func (d *reading) ancestral() bool { return d.Info.ImageID == "" }

// ancestor returns the archive that a disc of odarchive 0.1 is of.
func (r *Restore) ancestor(d *reading) (*job, error) {
	if d.set == nil {
		var err error
		if d.set, err = d.Catalogue(); err != nil {
			return nil, err
		}
	}
	c := d.set
	if c.Disc != "" || c.SetID != "" {
		return nil, errForeign
	}
	// What is saved again keeps its job; the first version knew none.
	return &job{
		key:     "0.1 " + cmp.Or(c.JobID, c.GUID),
		archive: catalogue.Archive{ID: c.GUID, Name: cmp.Or(c.JobName, "odarchive 0.1"), Sealed: c.Saved}, set: c,
	}, nil
}

// tree returns a catalogue's files as entries, and their directories, which are as old as the newest file below them.
func (j *job) tree() []archive.Entry {
	j.long = map[archive.Hash]bool{}
	files := map[string]*archive.Entry{}
	other := func(e *archive.Entry, d catalogue.Digest) { // a further version of a file
		e.Path += "~" + string(d[strings.IndexByte(string(d), ':')+1:][:16])
		files[e.Path] = e
	}
	digests := map[*archive.Entry]catalogue.Digest{}
	for i := range j.set.Entries {
		c := &j.set.Entries[i]
		key := keyOf(c.Digest)
		_, short := c.Digest.Hash()
		j.long[key] = !short
		for _, name := range c.Names {
			e := &archive.Entry{Path: name, Kind: archive.File, Mode: 0o644, ModTime: c.ModTime, Content: archive.Content{Hash: key, Size: c.Size}}
			digests[e] = c.Digest
			old := files[name]
			switch {
			case old == nil:
				files[name] = e
			case old.ModTime.Before(e.ModTime):
				files[name] = e
				other(old, digests[old])
			default:
				other(e, c.Digest)
			}
		}
	}
	dirs := map[string]*archive.Entry{}
	var all []archive.Entry
	for _, e := range files {
		all = append(all, *e)
		for dir := path.Dir(e.Path); ; dir = path.Dir(dir) {
			d := dirs[dir]
			if d == nil {
				d = &archive.Entry{Path: dir, Kind: archive.Dir, Mode: 0o755, ModTime: e.ModTime}
				dirs[dir] = d
			}
			if d.ModTime.Before(e.ModTime) {
				d.ModTime = e.ModTime
			}
			if dir == "." {
				break
			}
		}
	}
	for _, d := range dirs {
		all = append(all, *d)
	}
	slices.SortFunc(all, func(a, b archive.Entry) int { return strings.Compare(a.Path, b.Path) })
	return all
}

// keyOf returns what stands for a hash where there is only room for a SHA-256: of a SHA-512, its first half.
func keyOf(d catalogue.Digest) (key archive.Hash) {
	digits := string(d[strings.IndexByte(string(d), ':')+1:])
	hex.Decode(key[:], []byte(digits[:2*len(key)])) // the catalogue's reader has checked the digits
	return key
}

// sum returns the hash function of an entry.
func (j *job) sum(e *archive.Entry) hash.Hash {
	if j.long[e.Content.Hash] {
		return half{sha512.New()}
	}
	return sha256.New()
}

// half is the first half of a hash.
type half struct{ hash.Hash }

func (h half) Sum(b []byte) []byte {
	sum := h.Hash.Sum(nil)
	return append(b, sum[:len(sum)/2]...)
}

func (h half) Size() int { return h.Hash.Size() / 2 }

// fromAncestor restores what is wanted and on a disc of odarchive 0.1.
func (r *Restore) fromAncestor(ctx context.Context, d *reading) error {
	if d.set == nil {
		return nil // it was seen that its catalogue can't be read
	}
	root := strings.TrimPrefix(d.set.Root, "/")
	for i := range d.set.Entries {
		e := &d.set.Entries[i]
		c := r.wanted[archive.Content{Hash: keyOf(e.Digest), Size: e.Size}]
		if c == nil || c.done || len(e.Runs) != 1 || e.Runs[0].Disc != d.Info.Number {
			continue
		}
		var names []string
		for _, name := range e.Names {
			names = append(names, path.Join(root, name))
		}
		if err := r.anyOf(ctx, d, c, names); err != nil {
			return err
		}
	}
	return nil
}

// anyOf restores a content from the first file that has it: one of those names, or one of the same size, whatever it is called.
func (r *Restore) anyOf(ctx context.Context, d *reading, c *content, names []string) error {
	var failed error
	for _, next := range []func() []string{func() []string { return names }, func() []string { return d.sized(c.Size) }} {
		for _, name := range next() {
			err := r.run(ctx, d, c, span{0, c.Size}, []string{name})
			t, bad := errors.AsType[*trouble](err)
			if !bad || ctx.Err() != nil {
				return err
			}
			failed = cmp.Or(failed, error(fmt.Errorf("%q: %w", name, t.err)))
		}
	}
	d.troubled = true
	r.doubt(d.Where, failed)
	return nil
}

// sized returns the files of a disc that have so many bytes.
func (d *reading) sized(n int64) []string {
	if d.sizes == nil {
		d.sizes = map[int64][]string{}
		fs.WalkDir(d.FS(), ".", func(p string, e fs.DirEntry, err error) error { // what can't be listed has no files
			if err == nil && e.Type().IsRegular() {
				if info, err := e.Info(); err == nil {
					d.sizes[info.Size()] = append(d.sizes[info.Size()], p)
				}
			}
			return nil
		})
	}
	return d.sizes[n]
}

// numbers returns the discs of odarchive 0.1 that something missing is on, in ascending order.
func (r *Restore) numbers() (all []int64) {
	for _, j := range r.jobs {
		if j.set == nil {
			continue
		}
		for i := range j.set.Entries {
			e := &j.set.Entries[i]
			if c := r.wanted[archive.Content{Hash: keyOf(e.Digest), Size: e.Size}]; c == nil || c.done {
				continue
			}
			for _, run := range e.Runs {
				if !slices.Contains(all, run.Disc) {
					all = append(all, run.Disc)
				}
			}
		}
	}
	slices.Sort(all)
	return all
}
