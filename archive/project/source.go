package project

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/pack"
	"github.com/odarchive/odarchive/archive/tree"
)

// opener opens the sources of contents. Once they are chosen, several goroutines may open them at once.
type opener struct {
	sources map[archive.Hash][]source
	folders map[string]*tree.Folder
	chosen  map[archive.Hash]*source
	sums    sync.Pool
}

func (o *opener) close() (err error) {
	for _, f := range o.folders {
		err = errors.Join(err, f.Close())
	}
	return err
}

// choose finds for every run a file with that content which has not changed: any of its names will do.
func (o *opener) choose(ctx context.Context, runs func(yield func(r pack.Run, sector int64) bool)) error {
	o.chosen = make(map[archive.Hash]*source, len(o.sources))
	var wanted []archive.Hash
	for r := range runs {
		if _, ok := o.chosen[r.Hash]; ok {
			continue
		}
		o.chosen[r.Hash] = nil
		wanted = append(wanted, r.Hash)
		for _, s := range o.sources[r.Hash] {
			if _, ok := o.folders[s.folder]; ok {
				continue
			}
			if f, err := tree.OpenFolder(s.folder); err == nil {
				o.folders[s.folder] = f
			}
		}
	}
	found := make([]*source, len(wanted))
	var g errgroup.Group
	jobs := runtime.GOMAXPROCS(0)
	for job := range jobs {
		g.Go(func() error {
			for i := len(wanted) * job / jobs; i < len(wanted)*(job+1)/jobs; i++ {
				if err := ctx.Err(); err != nil {
					return err
				}
				var err error
				if found[i], err = o.unchanged(wanted[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, h := range wanted {
		o.chosen[h] = found[i]
	}
	return nil
}

func (o *opener) unchanged(h archive.Hash) (*source, error) {
	all := o.sources[h]
	for i := range all {
		if f := o.folders[all[i].folder]; f != nil && !f.Changed(&all[i].entry) {
			return &all[i], nil
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("content %v has no source", h)
	}
	return nil, all[0].changed()
}

func (s *source) changed() error {
	name := filepath.Join(s.folder, s.entry.Path)
	info, err := os.Lstat(name)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w (%w)", name, ErrChanged, err)
	case info.Size() != s.entry.Content.Size:
		return fmt.Errorf("%s: %w (it had %d bytes and has %d)", name, ErrChanged, s.entry.Content.Size, info.Size())
	}
	return fmt.Errorf("%s: %w", name, ErrChanged)
}

// open opens a run of a content.
func (o *opener) open(run pack.Run) (io.ReadCloser, error) {
	s := o.chosen[run.Hash]
	folder := o.folders[s.folder]
	f, err := folder.Open(&s.entry)
	if err != nil {
		return nil, s.changed()
	}
	c := &checked{o: o, f: f, r: f.Reader(run.Offset, run.Length), s: s, folder: folder, left: run.Length}
	if c.whole = run.Length == s.entry.Content.Size; c.whole {
		if c.sum, _ = o.sums.Get().(hash.Hash); c.sum == nil {
			c.sum = sha256.New()
		}
		c.sum.Reset()
	}
	return c, nil
}

// checked reads a run of a file and, at its end, makes sure that it is what was scanned: a whole file by its hash, a part of one by its
// file not having been touched.
type checked struct {
	o      *opener
	f      *tree.Source
	r      io.Reader
	s      *source
	folder *tree.Folder
	sum    hash.Hash // of a whole file
	left   int64
	whole  bool
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.whole {
		c.sum.Write(p[:n])
	}
	c.left -= int64(n)
	if err == io.EOF && c.left > 0 {
		return n, c.s.changed()
	}
	if c.left == 0 && n > 0 {
		var sum archive.Hash
		if c.whole && archive.Hash(c.sum.Sum(sum[:0])) != c.s.entry.Content.Hash || !c.whole && c.folder.Changed(&c.s.entry) {
			return 0, c.s.changed()
		}
	}
	return n, err
}

// Close closes the file. It is called once.
func (c *checked) Close() error {
	if c.whole {
		c.o.sums.Put(c.sum)
	}
	return c.f.Close()
}
