package project

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/pack"
	"github.com/odarchive/odarchive/archive/tree"
)

// ErrChanged says that a file is not as it was when it was scanned. The text names it.
var ErrChanged = errors.New("the file is not as it was when it was scanned: scan again")

// ErrSpace says that an image does not fit where it is to be written.
var ErrSpace = errors.New("not enough free space")

// CreateImage writes the image of a disc to the file at name, which appears when it is whole and not before. Every content is checked
// against its hash while it is read. Progress is told how many bytes are written.
func (p *Project) CreateImage(ctx context.Context, number int64, name string, progress func(done, total int64)) (err error) {
	d, err := p.Disc(number)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("image of disc %d: %w", number, err)
		}
	}()
	c, sources, err := p.compose(d)
	if err != nil {
		return err
	}
	if d.Sectors == 0 {
		d.Sectors = c.Layout.Sectors()
	}
	if n := c.Layout.Sectors(); n != d.Sectors {
		return fmt.Errorf("it comes to %d sectors, %d were planned", n, d.Sectors)
	}
	total := d.Sectors * archive.SectorSize
	if err := space(filepath.Dir(name), total); err != nil {
		return err
	}
	temp := name + temporary
	f, err := os.Create(temp)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(temp))
		}
	}()
	out := &counted{ctx: ctx, to: f, sum: sha256.New(), total: total, progress: progress}
	if err := p.write(d, c, sources, out); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	sum := hex.EncodeToString(out.sum.Sum(nil))
	if d.SHA256 != "" && d.SHA256 != sum {
		return fmt.Errorf("it has the SHA-256 %s, and had %s when it was first made", sum, d.SHA256)
	}
	if err := keep(f, temp, name); err != nil {
		return err
	}
	if d.SHA256 == sum {
		return nil
	}
	d.SHA256 = sum
	if d.State != catalogue.Burned {
		d.State = catalogue.Created
	}
	return p.save()
}

// Burned notes that a disc has been burned.
func (p *Project) Burned(number int64) error {
	d, err := p.Disc(number)
	if err != nil {
		return err
	}
	d.State = catalogue.Burned
	return p.save()
}

// space checks that n bytes more fit into a folder's file system.
func space(dir string, n int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("ask for the free space of %s: %w", dir, err)
	}
	if free := int64(st.Bavail) * st.Bsize; free < n {
		return fmt.Errorf("%s has %d bytes free, the image has %d: %w", dir, free, n, ErrSpace)
	}
	return nil
}

// write writes the image of a disc.
func (p *Project) write(d *catalogue.SetDisc, c *pack.Composition, sources map[archive.Hash][]source, out io.Writer) error {
	r := &opener{sources: sources, roots: map[string]*os.Root{}, chosen: map[archive.Hash]*source{}}
	defer r.close()
	for run := range c.Runs { // before the first byte: most of what has changed is seen now
		if _, err := r.choose(run.Hash); err != nil {
			return err
		}
	}
	return c.Write(out, pack.Sources{
		Manifest:  func(id string) (io.ReadCloser, error) { return os.Open(p.manifest(id)) },
		Run:       r.open,
		Catalogue: func() (io.ReadCloser, error) { return os.Open(p.plan(d.Plan)) },
		Readers:   runtime.GOMAXPROCS(0),
	})
}

// opener opens the sources of contents. Open may be called by several goroutines.
type opener struct {
	sources map[archive.Hash][]source
	mu      sync.Mutex // of what follows
	roots   map[string]*os.Root
	chosen  map[archive.Hash]*source
}

func (o *opener) close() {
	for _, r := range o.roots {
		r.Close()
	}
}

// root returns a folder. The caller has o.mu.
func (o *opener) root(folder string) (*os.Root, error) {
	if r, ok := o.roots[folder]; ok {
		return r, nil
	}
	r, err := os.OpenRoot(folder)
	if err == nil {
		o.roots[folder] = r
	}
	return r, err
}

// choose returns a file with that content which has not changed: any of its names will do.
func (o *opener) choose(h archive.Hash) (*source, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s, ok := o.chosen[h]; ok {
		return s, nil
	}
	all := o.sources[h]
	for i := range all {
		s := &all[i]
		root, err := o.root(s.folder)
		if err == nil && !tree.Changed(root, &s.entry) {
			o.chosen[h] = s
			return s, nil
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
	s, err := o.choose(run.Hash)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	root, err := o.root(s.folder)
	o.mu.Unlock()
	if err != nil {
		return nil, err
	}
	f, err := root.OpenFile(s.entry.Path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, s.changed()
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() != s.entry.Content.Size {
		f.Close()
		return nil, s.changed()
	}
	c := &checked{f: f, r: io.NewSectionReader(f, run.Offset, run.Length), s: s, root: root, sum: sha256.New(), left: run.Length}
	c.whole = run.Length == s.entry.Content.Size
	return c, nil
}

// checked reads a run of a file and, at its end, makes sure that it is what was scanned: a whole file by its hash, a part of one by its
// file not having been touched.
type checked struct {
	f     *os.File
	r     io.Reader
	s     *source
	root  *os.Root
	sum   hash.Hash
	left  int64
	whole bool
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.sum.Write(p[:n])
	c.left -= int64(n)
	if err == io.EOF && c.left > 0 {
		return n, c.s.changed()
	}
	if c.left == 0 && n > 0 {
		if c.whole && archive.Hash(c.sum.Sum(nil)) != c.s.entry.Content.Hash || !c.whole && tree.Changed(c.root, &c.s.entry) {
			return 0, c.s.changed()
		}
	}
	return n, err
}

func (c *checked) Close() error { return c.f.Close() }

// counted hashes and counts what is written, and ends with its context.
type counted struct {
	ctx         context.Context
	to          io.Writer
	sum         hash.Hash
	done, total int64
	progress    func(done, total int64)
}

func (c *counted) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.to.Write(p)
	c.sum.Write(p[:n])
	c.done += int64(n)
	if c.progress != nil {
		c.progress(c.done, c.total)
	}
	return n, err
}
