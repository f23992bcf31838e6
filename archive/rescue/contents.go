package rescue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/tree"
)

// content is a content that is wanted.
type content struct {
	archive.Content
	targets []*target
	done    bool
	// file is that of the first target while parts of it are missing, and spans are those that it has.
	file  *tree.File
	spans []span
	from  []*reading // that they came from
}

// target is a file that has a content.
type target struct {
	job   *job
	entry *archive.Entry
}

// span is a run of a content, in bytes.
type span struct{ offset, end int64 }

// gaps returns what is missing of a content.
func (c *content) gaps() (gaps []Gap) {
	slices.SortFunc(c.spans, func(a, b span) int { return cmpInt(a.offset, b.offset) })
	at := int64(0)
	for _, s := range c.spans {
		if s.offset > at {
			gaps = append(gaps, Gap{at, s.offset - at})
		}
		at = max(at, s.end)
	}
	if at < c.Size {
		gaps = append(gaps, Gap{at, c.Size - at})
	}
	return gaps
}

func cmpInt(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// lacks says whether something of a run is missing.
func (c *content) lacks(s span) bool {
	return slices.ContainsFunc(c.gaps(), func(g Gap) bool { return g.Offset < s.end && g.Offset+g.Length > s.offset })
}

// abort removes what there is of a file that is not whole.
func (c *content) abort() {
	if c.file != nil {
		c.file.Abort()
		c.file = nil
	}
}

// trouble is an error of a disc, which costs a content; all others end the restore.
type trouble struct{ err error }

func (t *trouble) Error() string { return t.err.Error() }
func (t *trouble) Unwrap() error { return t.err }

// from restores what is wanted and on a disc.
func (r *Restore) from(ctx context.Context, d *reading) error {
	if d.generation == r.generation {
		return nil
	}
	d.generation = r.generation
	switch {
	case d.ancestral():
		return r.fromAncestor(ctx, d)
	case r.set != nil:
		return r.fromSeries(ctx, d)
	}
	list, err := d.Catalogue()
	if err != nil {
		var again error
		if careful, _ := d.Carefully(func() error { list, again = d.Catalogue(); return again }); !careful || again != nil {
			d.troubled = true
			r.doubt(d.Where, fmt.Errorf("its files are looked for by their names: %w", err))
			return r.guess(ctx, d)
		}
	}
	root := strings.TrimPrefix(list.Root, "/")
	for i := range list.Entries {
		e := &list.Entries[i]
		h, ok := e.Digest.Hash()
		c := r.wanted[archive.Content{Hash: h, Size: e.Size}]
		if !ok || c == nil || c.done {
			continue
		}
		s, part, parts := span{0, e.Size}, 0, 0
		if p := e.Part; p != nil {
			s, part, parts = span{p.Offset, p.Offset + p.Length}, p.Part, p.Parts
		}
		var names []string
		for _, name := range e.Names {
			names = append(names, path.Join(root, catalogue.PartName(name, part, parts)))
		}
		if err := r.attempt(ctx, d, c, s, names); err != nil {
			return err
		}
	}
	return nil
}

// guess restores what is wanted of the archives of a disc whose catalogue is damaged: whole files, by the names that they have there.
func (r *Restore) guess(ctx context.Context, d *reading) error {
	for _, c := range r.order {
		if c.done {
			continue
		}
		var names []string
		for _, t := range c.targets {
			if dir, ok := d.Directory(t.job.archive.ID); ok {
				name := catalogue.DataDir + "/" + path.Join(dir, t.entry.Path)
				if f, err := d.File(name); err == nil {
					f.Close() // it was only looked for
					names = append(names, name)
				}
			}
		}
		if len(names) == 0 {
			continue
		}
		if err := r.attempt(ctx, d, c, span{0, c.Size}, names); err != nil {
			return err
		}
	}
	return nil
}

// attempt restores a run of a content from a disc. What is wrong with the disc is a doubt; an error ends the restore.
func (r *Restore) attempt(ctx context.Context, d *reading, c *content, s span, names []string) error {
	if !c.lacks(s) {
		return nil
	}
	whole := s == span{0, c.Size}
	try := func() error { return r.run(ctx, d, c, s, names) }
	var err error
	if whole {
		err = try()
		if _, bad := errors.AsType[*trouble](err); bad && ctx.Err() == nil {
			if careful, again := d.Carefully(try); careful {
				err = again
			}
		}
	} else if careful, checked := d.Carefully(try); careful { // nothing proves a part alone
		err = checked
	} else {
		err = try()
	}
	if t, ok := errors.AsType[*trouble](err); ok && ctx.Err() == nil {
		d.troubled = true
		r.doubt(d.Where, fmt.Errorf("%q: %w", names[0], t.err))
		return nil
	}
	return err
}

// run copies a run of a content from the first of names that the disc has, and gives the file its name when it is whole.
func (r *Restore) run(ctx context.Context, d *reading, c *content, s span, names []string) error {
	var failed error
	for _, name := range names {
		all, err := d.Files(name, s.end-s.offset)
		if err != nil {
			failed = cmp.Or(failed, err) // a content may have a million names
			continue
		}
		for _, f := range all { // several only where a name doesn't say which
			err = errors.Join(r.file(ctx, d, c, s, f), f.Close())
			if !errors.Is(err, tree.ErrWrong) {
				break
			}
		}
		if !errors.Is(err, tree.ErrWrong) || s != (span{0, c.Size}) {
			return err
		}
		failed = err // another archive may have had something else by that name
	}
	if _, ok := errors.AsType[*trouble](failed); ok {
		return failed
	}
	return &trouble{failed}
}

// file copies a run of a content from a file on a disc.
func (r *Restore) file(ctx context.Context, d *reading, c *content, s span, in io.Reader) (err error) {
	first := c.targets[0]
	if c.file == nil {
		if c.file, err = first.job.restore.Create(first.entry); err != nil {
			return err
		}
		c.spans, c.from = nil, nil
	}
	before := r.bytes
	c.file.Continue(s.offset)
	if err := r.copy(c.file, &interruptible{ctx, in}, s.end-s.offset); err != nil {
		if r.bytes = before; len(c.spans) == 0 {
			c.abort() // a disc may have many such
		}
		return err
	}
	c.spans, c.from = append(c.spans, s), append(c.from, d)
	if len(c.gaps()) > 0 {
		return nil
	}
	c.file.Continue(c.Size)
	f := c.file
	c.file = nil
	if err := f.Commit(); err != nil {
		c.spans, r.bytes = nil, r.bytes-c.Size
		if errors.Is(err, tree.ErrWrong) {
			r.suspect(c)
			return &trouble{err}
		}
		return err
	}
	c.done, c.spans = true, []span{{0, c.Size}}
	r.left--
	r.restored(first)
	for _, t := range c.targets[1:] {
		if err := r.duplicate(c, t); err != nil {
			return err
		}
	}
	return nil
}

// suspect has all discs that parts of a wrong content came from asked last from now on, and the content tried again where that changes
// anything.
func (r *Restore) suspect(c *content) {
	if len(c.from) == 1 {
		return
	}
	r.stale = true
	for _, d := range c.from {
		if !d.troubled {
			d.troubled, r.again = true, true
		}
	}
}

// copy copies n bytes. An error of in is trouble.
func (r *Restore) copy(out io.Writer, in io.Reader, n int64) error {
	buffer := make([]byte, min(1<<20, n))
	for n > 0 {
		k, err := io.ReadFull(in, buffer[:min(int64(len(buffer)), n)])
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return &trouble{err}
		}
		if _, err := out.Write(buffer[:k]); err != nil {
			return err
		}
		n -= int64(k)
		r.bytes += int64(k)
		r.tell()
	}
	return nil
}
