package agent

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	"github.com/odarchive/odarchive/archive"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// transfer is how many bytes are read from a disk or a disc at a time.
const transfer = 1 << 20

// burn records a built image. What stands in the way is found before the journal's word; after it the disc is spent, unless the drive says
// that it has refused it.
func (a *agent) burn(ctx context.Context, w *work, t *pb.Burn, r *pb.TaskResult) error {
	r.Untouched = true
	err := a.burnOnto(ctx, w, t, r)
	r.Untouched = err != nil && r.GetUntouched()
	return err
}

func (a *agent) burnOnto(ctx context.Context, w *work, t *pb.Burn, r *pb.TaskResult) error {
	size, err := bytesOf(t.GetSectors())
	if err != nil {
		return err
	}
	b, err := a.bay(t.GetDrive())
	if err != nil {
		return err
	}
	w.total.Store(size)
	image, err := a.scratch.open(t.GetImageId(), size, t.GetSha256())
	if err != nil {
		r.Missing = true
		return err
	}
	defer image.Close()
	release, err := b.hold(ctx)
	if err != nil {
		return err
	}
	defer release()

	id, err := b.load(ctx)
	if err != nil {
		return err
	}
	r.Identity = id
	switch {
	case id.GetState() == pb.Identity_STATE_NO_DISC:
		return fmt.Errorf("burn image %s in %s: %w", t.GetImageId(), b.drive.Name(), robot.ErrNoDisc)
	case id.GetState() != pb.Identity_STATE_BLANK:
		return discFault("burn image %s: %s holds %s, want a blank disc: nothing was recorded", t.GetImageId(), b.drive.Name(), describe(id))
	case t.GetSpareAreas() && archive.WithSpareAreas(id.GetMedium(), id.GetCapacity()) < t.GetSectors() && id.GetCapacity() >= t.GetSectors():
		return discFault("burn image %s of %d sectors: the disc in %s has %d, and %d with spare areas: nothing was recorded",
			t.GetImageId(), t.GetSectors(), b.drive.Name(), id.GetCapacity(), archive.WithSpareAreas(id.GetMedium(), id.GetCapacity()))
	case id.GetCapacity() > 0 && id.GetCapacity() < t.GetSectors():
		return discFault("burn image %s of %d sectors: the disc in %s has %d: nothing was recorded",
			t.GetImageId(), t.GetSectors(), b.drive.Name(), id.GetCapacity())
	}
	if formatter, ok := b.drive.(*guarded).Drive.(robot.Formatter); ok {
		formatter.UseSpareAreas(t.GetSpareAreas() && !archive.HasSpareAreas(id.GetMedium(), id.GetCapacity()))
	} else if t.GetSpareAreas() {
		return &fault{pb.Failure_FAILURE_DRIVE, fmt.Errorf("burn image %s: %s can't make spare areas: nothing was recorded", t.GetImageId(), b.drive.Name())}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := a.journal.Begin(w.begun()); err != nil {
		return err
	}
	w.irrevocable()
	r.Untouched = false
	err = a.record(w, b, t, image, size)
	r.Untouched = robot.Untouched(err)
	return err
}

// record burns an image and compares what went to the drive with what was to be burned.
func (a *agent) record(w *work, b *bay, t *pb.Burn, image io.Reader, size int64) error {
	source := &hashed{from: image, sum: sha256.New()}
	err := b.drive.Burn(w.hard, bufio.NewReaderSize(source, transfer), size, w.done.Store)
	b.identity.Store(nil)
	switch {
	case source.err != nil:
		a.scratch.discard(t.GetImageId())
		return discFault("burn image %s: read it from the scratch disk: %w", t.GetImageId(), source.err)
	case robot.Untouched(err):
		return fmt.Errorf("burn image %s in %s: nothing was recorded: %w", t.GetImageId(), b.drive.Name(), err)
	case err != nil:
		return fmt.Errorf("burn image %s in %s: %w", t.GetImageId(), b.drive.Name(), cause(w.hard, err))
	case !bytes.Equal(source.sum.Sum(nil), t.GetSha256()):
		// The copy has changed since it was made. The disc is lost, the next one gets a new copy.
		a.scratch.discard(t.GetImageId())
		return discFault("burn image %s: the scratch copy had changed: it was burned with hash %x, want %x",
			t.GetImageId(), source.sum.Sum(nil), t.GetSha256())
	}
	w.done.Store(size)
	return nil
}

// hashed hashes what is read through it and remembers a failure to read.
type hashed struct {
	from io.Reader
	sum  hash.Hash
	err  error
}

func (h *hashed) Read(p []byte) (int, error) {
	n, err := h.from.Read(p)
	h.sum.Write(p[:n])
	if err != nil && err != io.EOF {
		h.err = err
	}
	return n, err
}
