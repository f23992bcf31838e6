package agent

import (
	"bytes"
	"context"
	"crypto/sha256"

	"github.com/odarchive/odarchive/archive"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// verify reads every sector of an image from its disc and compares the hash. It goes on behind unreadable sectors, so
// that the result says how bad the disc is.
func (a *agent) verify(ctx context.Context, w *work, t *pb.Verify, r *pb.TaskResult) error {
	size, err := bytesOf(t.GetSectors())
	if err != nil {
		return err
	}
	b, err := a.bay(t.GetDrive())
	if err != nil {
		return err
	}
	release, err := b.hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	if r.Identity, err = b.holds(ctx, t.GetImageId(), t.GetSectors()); err != nil {
		return err
	}
	w.total.Store(size)

	var bad damage
	sum := sha256.New()
	buffer := make([]byte, transfer)
	for done := int64(0); done < size && !bad.full(); done += int64(len(buffer)) {
		buffer = buffer[:min(transfer, size-done)]
		if _, err := readSectors(ctx, b.drive, buffer, done/archive.SectorSize, &bad); err != nil {
			return err
		}
		sum.Write(buffer)
		w.done.Add(int64(len(buffer)))
	}
	r.Unreadable = bad.named()
	a.signs(b, t.GetImageId())
	if bad.sectors > 0 {
		return discFault("verify image %s in %s: %d sectors can't be read, the first is %d",
			t.GetImageId(), b.drive.Name(), bad.sectors, bad.runs[0].GetFirst())
	}
	r.Sha256 = sum.Sum(nil)
	if !bytes.Equal(r.GetSha256(), t.GetSha256()) {
		return discFault("verify image %s in %s: the disc reads as %x, want %x", t.GetImageId(), b.drive.Name(), r.GetSha256(), t.GetSha256())
	}
	return nil
}
