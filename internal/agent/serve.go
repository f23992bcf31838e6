package agent

import (
	"bytes"
	"context"
	"fmt"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// serve brings extents of an image on the scratch disk into the cache: it waits for a disc to be burned on, and somebody waits for what is in it.
// When the cache refuses a content because of its hash, the image is hashed again. If that has its hash, the content was wrong when it was burned; if
// not, the scratch disk has lost it, and the image is deleted.
func (a *agent) serve(ctx context.Context, w *work, t *pb.Serve, r *pb.TaskResult) (err error) {
	id := t.GetImageId()
	if !validImage(id) {
		return defect("%q is no image id", id)
	}
	size, err := bytesOf(t.GetSectors())
	if err != nil {
		return err
	}
	end, err := checkExtents(t.GetExtents())
	if err == nil && end > t.GetSectors() {
		err = defect("extents up to sector %d of an image of %d", end, t.GetSectors())
	}
	if err != nil {
		return err
	}
	if t.GetEarly() != nil {
		if err := a.serveEarly(ctx, w, t, r); err != nil {
			return fmt.Errorf("compute what is wanted of image %s: %w", id, err)
		}
		return nil
	}
	file, err := a.scratch.open(id, size, t.GetSha256())
	if err != nil {
		r.Missing = true
		return err
	}
	defer file.Close()

	rd := &reading{work: w, extents: t.GetExtents(), lost: newHashes(), refused: newHashes()}
	rd.pass = newPass(nil, t.GetExtents(), &rd.bad, &mender{})
	rd.pass.image = file
	rd.store = &store{client: a.client, ctx: ctx, ref: w.ref(), lost: rd.refused, files: a.files}
	defer rd.store.breakOff()
	if err := rd.all(ctx); err != nil {
		return fmt.Errorf("read image %s on the scratch disk: %w", id, err)
	}
	lost := rd.whole()
	if len(lost) == 0 {
		return nil
	}
	sum, err := sumFile(ctx, file, size)
	if err != nil {
		return fmt.Errorf("read image %s on the scratch disk: %w", id, err)
	}
	if !bytes.Equal(sum, t.GetSha256()) {
		r.Missing = true
		if err := a.scratch.discard(id); err != nil {
			return err
		}
		return retry("image %s on the scratch disk comes to the hash %x now, want %x: it is deleted", id, sum, t.GetSha256())
	}
	r.Lost = lost
	return discFault("read image %s on the scratch disk: %d contents have a wrong hash, and it has the right one: they were wrong when it was burned", id, len(lost))
}

// whole returns those of the lost contents of which the extent was all. Of one that is split over images, another part may be wrong: the controller
// draws its conclusions and asks for what it needs.
func (r *reading) whole() (lost [][]byte) {
	for _, x := range r.extents {
		if x.GetLength() == x.GetSize() && r.lost.has(x.GetHash()) {
			lost = append(lost, x.GetHash())
		}
	}
	return lost
}
