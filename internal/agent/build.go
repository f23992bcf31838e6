package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"time"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/ecc"
	"github.com/odarchive/odarchive/archive/pack"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// spaceWait is how long a build waits for other images to be released when the scratch disk is full, and spacePause
// how often it looks.
const (
	spaceWait  = time.Minute
	spacePause = 5 * time.Second
)

// build makes an image on the scratch disk. One that is there already is not made again. One that comes to another hash than it has to is not
// kept.
func (a *agent) build(ctx context.Context, w *work, t *pb.Build, r *pb.TaskResult) error {
	id := t.GetImageId()
	size, err := bytesOf(t.GetSectors())
	if err != nil {
		return err
	}
	w.total.Store(size)
	sum, err := a.scratch.sum(id, size)
	if err != nil {
		return err
	}
	want := t.GetSha256()
	if sum != nil && len(want) > 0 && !bytes.Equal(sum, want) {
		if err := a.scratch.discard(id); err != nil {
			return err
		}
		sum = nil
	}
	if sum == nil {
		if sum, err = a.make(ctx, w, t, size); err != nil {
			if lost, ok := errors.AsType[*absentError](err); ok {
				r.Absent = lost.members
			}
			return err
		}
	}
	if len(want) > 0 && !bytes.Equal(sum, want) {
		return errors.Join(defect("image %s comes to hash %x and has been built as %x before: do the agents that build it have the same version?", id, sum, want), a.scratch.discard(id))
	}
	w.done.Store(size)
	r.Sha256 = sum
	return nil
}

// make writes an image and returns its hash. Nothing is left of one that fails.
func (a *agent) make(ctx context.Context, w *work, t *pb.Build, size int64) (sum []byte, err error) {
	id := t.GetImageId()
	file, err := a.space(ctx, id, size)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			err = fmt.Errorf("build image %s: %w", id, errors.Join(err, a.scratch.discard(id)))
		}
	}()
	out := &counted{to: file, sum: sha256.New(), w: w}
	if err := a.writeImage(ctx, t, file, out); err != nil {
		return nil, err
	}
	if err := file.Sync(); err != nil {
		return nil, err
	}
	sum = out.sum.Sum(nil)
	if t.GetLayerSectors() != 0 {
		// Its sectors were written in no order.
		if sum, err = sumFile(ctx, file, size); err != nil {
			return nil, err
		}
	}
	return sum, a.scratch.keep(id, sum)
}

// space makes the file of an image. When the disk is too full it waits a while: images leave it all the time.
func (a *agent) space(ctx context.Context, id string, size int64) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, spaceWait)
	defer cancel()
	for {
		file, err := a.scratch.create(id, size)
		if _, full := errors.AsType[*spaceError](err); !full {
			return file, err
		}
		if pause(ctx, spacePause) != nil {
			return nil, err
		}
	}
}

// writeImage asks for the description of an image, composes it and writes it with its contents from staging, and behind it what
// protects it.
func (a *agent) writeImage(ctx context.Context, t *pb.Build, file *os.File, out *counted) error {
	if t.GetParity() != nil {
		return a.writeParity(ctx, t, file, out)
	}
	id := t.GetImageId()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d, err := a.describe(ctx, id)
	if err != nil {
		return err
	}
	defer d.close()
	composed, err := pack.Compose(d.disc, d.files)
	if err != nil {
		return err
	}
	l := composed.Layout
	var g ecc.Geometry
	if t.GetLayerSectors() != 0 {
		if g, err = protection(l, t.GetLayerSectors(), t.GetSectors()); err != nil {
			return err
		}
	} else if l.Sectors() != t.GetSectors() {
		return defect("it comes to %d sectors, %d were planned", l.Sectors(), t.GetSectors())
	}
	out.left = l.Sectors() * archive.SectorSize
	stream, err := a.client.ReadImageContents(ctx, &pb.ReadImageContentsRequest{ImageId: id})
	if err != nil {
		return fmt.Errorf("read its contents from staging: %w", err)
	}
	contents := &contents{stream: stream}
	if err := composed.Write(out, pack.Sources{Manifest: d.manifest, Run: contents.open}); err != nil {
		return err
	}
	if err := contents.end(); err != nil {
		return err
	}
	if out.left != 0 {
		return defect("%d bytes of its layout are missing at the end", out.left)
	}
	if t.GetLayerSectors() != 0 {
		return protect(ctx, out.w, file, l, g)
	}
	return nil
}

// counted writes an image's file, hashes it, and refuses more than was to come.
type counted struct {
	to   io.Writer
	sum  hash.Hash
	left int64 // bytes
	w    *work
}

func (c *counted) Write(p []byte) (int, error) {
	if int64(len(p)) > c.left {
		return 0, defect("the image is longer than its layout")
	}
	n, err := c.to.Write(p)
	c.sum.Write(p[:n])
	c.left -= int64(n)
	c.w.done.Add(int64(n))
	return n, err
}
