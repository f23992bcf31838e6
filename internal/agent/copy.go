package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/ecc"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// copy brings the image of a disc to the scratch disk, to be burned again. What can't be read is repaired there by the error
// correction that came with it. Nothing is kept that hasn't the image's hash; one that is there already is not copied again.
func (a *agent) copy(ctx context.Context, w *work, t *pb.Copy, r *pb.TaskResult) (err error) {
	id := t.GetImageId()
	size, err := bytesOf(t.GetSectors())
	if err != nil {
		return err
	}
	sum, err := a.scratch.sum(id, size)
	if err != nil {
		return err
	}
	w.total.Store(size)
	if wanted(sum, t.GetSha256()) {
		r.Sha256 = sum
		return nil
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
	if r.Identity, err = b.holds(ctx, id, t.GetSectors()); err != nil {
		return err
	}
	file, err := a.space(ctx, id, size)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			err = fmt.Errorf("copy image %s in %s: %w", id, b.drive.Name(), errors.Join(err, a.scratch.discard(id)))
		}
	}()
	watched := &attentive{Drive: b.drive}
	bad, err := copySectors(ctx, w, watched, file, size, t.GetLayerSectors() != 0)
	watched.restore(ctx)
	r.Unreadable, r.Retries, r.Slowly = bad.named(), watched.retries, watched.slowly
	if err != nil {
		return err
	}
	sum, err = sumFile(ctx, file, size)
	if err != nil {
		return err
	}
	if (bad.sectors > 0 || !wanted(sum, t.GetSha256())) && t.GetLayerSectors() != 0 {
		if err := restore(ctx, file, t.GetSectors(), r); err != nil {
			return err
		}
		if sum, err = sumFile(ctx, file, size); err != nil {
			return err
		}
	}
	if !wanted(sum, t.GetSha256()) {
		return discFault("%d sectors can't be read; it comes to hash %x, want %x", bad.sectors, sum, t.GetSha256())
	}
	if err := file.Sync(); err != nil {
		return err
	}
	r.Sha256 = sum
	return a.scratch.keep(id, sum)
}

// wanted says whether an image with the hash sum, nil when there is none, is the one that is wanted. Of an image that a catalogue knows only
// from its disc nobody knows the hash: it has whichever it has when all of it could be read or repaired.
func wanted(sum, want []byte) bool { return sum != nil && (len(want) == 0 || bytes.Equal(sum, want)) }

// copySectors copies a disc sector by sector. Those that can't be read are marked as dead, so that a repair knows them;
// where nothing can repair them the first ends the copy.
func copySectors(ctx context.Context, w *work, drive *attentive, file *os.File, size int64, layers bool) (bad damage, err error) {
	buffer := make([]byte, min(transfer, size))
	var fingerprint [16]byte
	for at := int64(0); at < size; {
		p := buffer[:min(int64(len(buffer)), size-at)]
		first := at / archive.SectorSize
		var here damage
		if _, err := readSectors(ctx, drive, p, first, &here); err != nil {
			return bad, err
		}
		for _, run := range here.runs {
			for s := run.GetFirst(); s < run.GetFirst()+run.GetCount(); s++ {
				ecc.PutDead(p[(s-first)*archive.SectorSize:][:archive.SectorSize], s, fingerprint)
				bad.add(s)
			}
		}
		if bad.sectors > 0 && !layers {
			return bad, discFault("sector %d can't be read", bad.runs[0].GetFirst())
		}
		if _, err := file.WriteAt(p, at); err != nil {
			return bad, fmt.Errorf("write to the scratch disk: %w", err)
		}
		at += int64(len(p))
		w.done.Add(int64(len(p)))
	}
	return bad, nil
}

// restore repairs an image on the scratch disk as far as the error correction in it goes.
func restore(ctx context.Context, file *os.File, sectors int64, r *pb.TaskResult) error {
	s := ecc.Source{ReaderAt: file}
	h, err := ecc.Find(ctx, s, sectors)
	if errors.Is(err, ecc.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	report, err := ecc.Repair(ctx, s, file, h, ecc.Options{Workers: 1})
	if err != nil {
		return err
	}
	r.Repaired, r.WorstRow, r.Roots = report.Repairable, int32(report.Worst), int32(report.Roots())
	return nil
}
