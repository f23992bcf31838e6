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
	if err := p.write(ctx, d, c, sources, out); err != nil {
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
func (p *Project) write(ctx context.Context, d *catalogue.SetDisc, c *pack.Composition, sources map[archive.Hash][]source, out io.Writer) (err error) {
	r := &opener{sources: sources, folders: map[string]*tree.Folder{}}
	defer func() { err = errors.Join(err, r.close()) }()
	// Before the first byte: most of what has changed is seen now.
	if err := r.choose(ctx, c.Runs); err != nil {
		return err
	}
	return c.Write(out, pack.Sources{
		Manifest:  func(id string) (io.ReadCloser, error) { return os.Open(p.manifest(id)) },
		Run:       r.open,
		Catalogue: func() (io.ReadCloser, error) { return os.Open(p.plan(d.Plan)) },
		Program:   p.openTool,
		Readers:   runtime.GOMAXPROCS(0),
	})
}

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
