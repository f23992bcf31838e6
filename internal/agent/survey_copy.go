package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/excerpt"
	surveys "github.com/odarchive/odarchive/archive/survey"
	"github.com/odarchive/odarchive/internal/found"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// examine finds out what a disc is, and copies what a rebuild needs of it.
func (s *surveying) examine(ctx context.Context, b *bay, slot int, id *pb.Identity) (SurveyedSlot, error) {
	x := SurveyedSlot{Slot: found.Slot{
		Slot: slot, Unit: s.slots[slot].Unit, Medium: id.GetMedium(), Capacity: id.GetCapacity(), Recorded: id.GetRecorded(), MediaID: id.GetMediaId(),
		Drive: int(b.number), At: time.Now().UTC(),
	}}
	switch id.GetState() {
	case pb.Identity_STATE_NO_DISC:
		x.State, x.Note = found.Empty, "the robot says that it loaded a disc, the drive has none"
		return x, nil
	case pb.Identity_STATE_BLANK:
		x.State = found.Blank
		return x, nil
	case pb.Identity_STATE_SPENT:
		x.State = found.Spent
		return x, nil
	case pb.Identity_STATE_FOREIGN:
		x.State = found.Foreign
		return x, nil
	}
	if d, ok := s.folder.Disc(id.GetImageId()); ok && len(d.Doubts) == 0 {
		x.State, x.Image, x.Slot.Label, x.Vault = found.Ours, d.Image, d.Label, d.Vault
		return x, nil
	}
	if id.GetRecorded() == 0 {
		x.State, x.Note = found.Unreadable, "the drive can't make out what it is"
		return x, nil
	}
	about, bytes, err := s.copyDisc(ctx, b, id.GetRecorded())
	bad, ok := errors.AsType[*discError](err)
	switch {
	case err == nil:
		x.State, x.Image, x.Slot.Label, x.Vault, x.Bytes, x.Doubts = found.Ours, about.Image, about.Label, about.Vault, bytes, about.Doubts
	case !ok:
		return x, err
	case errors.Is(err, surveys.ErrNoVault):
		x.State, x.Note = found.Foreign, bad.Error()
	default:
		x.State, x.Note = found.Unreadable, bad.Error()
	}
	return x, nil
}

// discError is what is wrong with a disc, and not with its drive.
type discError struct{ error }

func (e *discError) Unwrap() error { return e.error }

// copyDisc makes the excerpt of a disc: it reads what a rebuild would, keeps what was read, and then reads that again from the excerpt alone.
func (s *surveying) copyDisc(ctx context.Context, b *bay, sectors int64) (about excerpt.About, bytes int64, err error) {
	return s.excerpt(ctx, b, sectors, nil, func(r *excerpt.Recorder) (excerpt.About, error) {
		known := s.knownLists()
		d, err := surveys.Open(ctx, r, sectors)
		if err != nil {
			return excerpt.About{}, err
		}
		return aboutDisc(ctx, d, known)
	})
}

// excerpt makes an excerpt of the disc in a drive by what read reads of it. With old it has all that this has, too.
func (s *surveying) excerpt(
	ctx context.Context, b *bay, sectors int64, old *excerpt.Excerpt, read func(*excerpt.Recorder) (excerpt.About, error),
) (about excerpt.About, bytes int64, err error) {
	f, err := s.folder.Part()
	if err != nil {
		return about, 0, err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	patient := &patientReader{ctx: ctx, drive: &attentive{Drive: b.drive}}
	defer patient.drive.restore(ctx)
	r, err := excerpt.NewRecorder(f, patient, sectors)
	if err != nil {
		return about, 0, err
	}
	r.Fatal = func(err error) bool { return !errors.Is(err, robot.ErrMedium) }
	if old != nil {
		if err := r.Take(old); err != nil {
			return about, 0, err
		}
	}
	about, err = read(r)
	if failed := r.Failed(); failed != nil {
		return about, 0, failed
	}
	if ctx.Err() != nil {
		return about, 0, context.Cause(ctx)
	}
	if err != nil {
		return about, 0, &discError{err}
	}
	if err := r.Finish(about); err != nil {
		return about, 0, err
	}
	if err := s.prove(ctx, f.Name(), about); err != nil {
		return about, 0, err
	}
	if err := s.folder.Keep(f.Name(), about, r.Bytes()); err != nil {
		return about, 0, err
	}
	s.guard.Lock()
	for _, l := range about.Lists {
		s.lists[l] = true
	}
	s.guard.Unlock()
	return about, r.Bytes(), nil
}

// prove reads an excerpt as a rebuild does: it must say what the disc has said.
func (s *surveying) prove(ctx context.Context, name string, about excerpt.About) error {
	x, err := excerpt.Open(name)
	if err != nil {
		return err
	}
	defer x.Close()
	lists := map[string]bool{}
	for _, l := range about.Lists {
		lists[l] = true
	}
	d, err := surveys.Open(ctx, x, x.Sectors)
	if err != nil {
		return fmt.Errorf("read the excerpt of disc %s: %w", about.Label, err)
	}
	again, err := aboutDisc(ctx, d, func(a *catalogue.Archive) bool { return !lists[listOf(a)] })
	if err == nil && (again.Image != about.Image || len(again.Lists) != len(about.Lists) || len(again.Doubts) > len(about.Doubts)) {
		err = fmt.Errorf("it has %d of %d lists: %q", len(again.Lists), len(about.Lists), again.Doubts)
	}
	if err != nil {
		return fmt.Errorf("read the excerpt of disc %s: %w", about.Label, err)
	}
	return nil
}

// aboutDisc reads what a rebuild would of a disc.
func aboutDisc(ctx context.Context, d *surveys.Disc, known func(*catalogue.Archive) bool) (excerpt.About, error) {
	about := excerpt.About{Image: d.ImageID, Label: d.Label, Vault: d.Vault}
	switch {
	case d.Set != nil:
		about.Set, about.Index = d.Set.ID, d.Set.Geometry.Data+d.ParityFile
	case d.Parity != nil:
		about.Set, about.Index = d.Parity.Set, d.Parity.Index
	}
	whole, doubts := d.Rehearse(ctx, known)
	if ctx.Err() != nil {
		return about, context.Cause(ctx)
	}
	for i := range whole {
		about.Lists = append(about.Lists, listOf(&whole[i]))
	}
	for _, err := range doubts {
		about.Doubts = append(about.Doubts, text(err))
	}
	if own, err := d.Own(); err == nil {
		about.Own = own
	}
	return about, nil
}

func listOf(a *catalogue.Archive) string { return a.ID + " " + a.RootHash.String() }

// knownLists says of which archives some excerpt has the whole list.
func (s *surveying) knownLists() func(*catalogue.Archive) bool {
	return func(a *catalogue.Archive) bool {
		s.guard.Lock()
		defer s.guard.Unlock()
		return s.lists[listOf(a)]
	}
}

// patientReader reads a disc as a read task does: a sector at which the drive gives up is asked for once more, slowly where it can read so.
type patientReader struct {
	ctx   context.Context
	drive *attentive
}

// ReadAt follows io.ReaderAt for whole sectors and one goroutine. It may return less than was asked for.
func (r *patientReader) ReadAt(p []byte, off int64) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	n, err := r.drive.ReadAt(p, off)
	n -= n % archive.SectorSize
	r.drive.ease(r.ctx, int64(n)/archive.SectorSize)
	if n > 0 || !errors.Is(err, robot.ErrMedium) {
		return n, err
	}
	r.drive.brake(r.ctx)
	return r.drive.ReadAt(p[:archive.SectorSize], off)
}
