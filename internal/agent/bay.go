package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/archive/image"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// loadLimit is how long a drive may take to make a disc ready. A BDXL takes a minute; a drive that still tries after
// three will not succeed.
const loadLimit = 3 * time.Minute

// identify reads from a recorded disc which image it carries. It fails with image.ErrForeign when that is none of ours, and
// with the disc's own error when it can't be read.
type identify func(disc io.ReaderAt) (imageID string, err error)

func identifyImage(disc io.ReaderAt) (string, error) {
	id, err := image.ReadIdentity(disc)
	return uuid.UUID(id.ID).String(), err
}

// bay is a drive, one user at a time, with what is known of the disc in it.
type bay struct {
	number   int32
	drive    robot.Drive            // a guarded one
	reopen   opener                 // nil when it is the caller's
	down     atomic.Pointer[string] // why the drive is left out; nil when it is not
	identify identify
	held     chan struct{} // holds a token while somebody uses the drive

	// identity is what the disc said since it was loaded; nil when nobody has looked.
	identity atomic.Pointer[pb.Identity]

	wanted, probed atomic.Int64 // numbers of an operator's last word, and of the last one that was obeyed
	worked         atomic.Bool  // it has read or burned since it was last tried
	hanging        atomic.Bool  // a disc may hang over its tray
}

func newBay(number int, drive robot.Drive, fault string, id identify) *bay {
	b := &bay{number: int32(number), identify: id, held: make(chan struct{}, 1)}
	if drive == nil {
		drive = absent{}
		b.down.Store(&fault)
	}
	b.drive = newGuarded(drive, b)
	return b
}

// trouble says why the drive can't be used; empty when it is well.
func (b *bay) trouble() string {
	if why := b.down.Load(); why != nil {
		return *why
	}
	return ""
}

// missing says that the drive can't be opened.
func (b *bay) missing() bool { return b.drive.Name() == "" }

// hold waits for the drive. Release gives it back.
func (b *bay) hold(ctx context.Context) (release func(), err error) {
	if why := b.trouble(); why != "" {
		return nil, &fault{pb.Failure_FAILURE_DRIVE, fmt.Errorf("drive %d: %s", b.number, why)}
	}
	return b.grip(ctx)
}

// grip is hold for getting the disc out: that is tried of a drive that is left out, too.
func (b *bay) grip(ctx context.Context) (release func(), err error) {
	if b.missing() {
		return nil, &fault{pb.Failure_FAILURE_DRIVE, fmt.Errorf("drive %d: %s", b.number, b.trouble())}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case b.held <- struct{}{}:
		return func() { <-b.held }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// eject releases the disc.
func (b *bay) eject(ctx context.Context) error {
	b.identity.Store(nil)
	if err := b.drive.Eject(ctx); err != nil {
		return fmt.Errorf("eject the disc in %s: %w", b.drive.Name(), err)
	}
	return nil
}

// load makes the disc ready and reads what it says of itself. A disc that can't be made out has an identity
// that says so; an error is about the drive, or the end of ctx.
func (b *bay) load(ctx context.Context) (*pb.Identity, error) {
	b.identity.Store(nil)
	limited, cancel := context.WithTimeout(ctx, loadLimit)
	defer cancel()
	m, err := b.drive.Load(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		m, err = robot.Medium{State: robot.NotReady}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load the disc in %s: %w", b.drive.Name(), err)
	}
	id := &pb.Identity{Medium: strings.ToValidUTF8(m.Type, "?"), Capacity: m.Capacity, Recorded: m.Recorded, MediaId: strings.ToValidUTF8(m.ID, "?")}
	switch m.State {
	case robot.NoDisc:
		id.State = pb.Identity_STATE_NO_DISC
	case robot.Blank:
		id.State = pb.Identity_STATE_BLANK
	case robot.Open:
		id.State = pb.Identity_STATE_SPENT
	case robot.Complete:
		id.ImageId, err = b.identify(b.drive)
		switch {
		case err == nil && !validImage(id.GetImageId()):
			id.State, id.ImageId = pb.Identity_STATE_FOREIGN, ""
		case err == nil:
			id.State = pb.Identity_STATE_OURS
		case errors.Is(err, image.ErrForeign):
			id.State = pb.Identity_STATE_FOREIGN
		case errors.Is(err, robot.ErrDriveFault), errors.Is(err, robot.ErrComm):
			return nil, fmt.Errorf("identify the disc in %s: %w", b.drive.Name(), err)
		default:
			id.State = pb.Identity_STATE_UNREADABLE
		}
	default:
		id.State = pb.Identity_STATE_UNREADABLE
	}
	b.identity.Store(id)
	return id, nil
}

// holds makes sure that the disc in the drive carries an image and has so many sectors, and returns what it says.
func (b *bay) holds(ctx context.Context, image string, sectors int64) (*pb.Identity, error) {
	id := b.identity.Load()
	if id == nil {
		var err error
		if id, err = b.load(ctx); err != nil {
			return nil, err
		}
	}
	switch {
	case id.GetState() == pb.Identity_STATE_NO_DISC:
		return id, fmt.Errorf("%s: %w", b.drive.Name(), robot.ErrNoDisc)
	case id.GetState() != pb.Identity_STATE_OURS || id.GetImageId() != image:
		return id, discFault("%s holds %s, want image %s", b.drive.Name(), describe(id), image)
	case id.GetRecorded() < sectors:
		return id, discFault("the disc in %s has %d recorded sectors, image %s has %d", b.drive.Name(), id.GetRecorded(), image, sectors)
	}
	return id, nil
}

// describe says what an identity is, in words.
func describe(id *pb.Identity) string {
	switch id.GetState() {
	case pb.Identity_STATE_NO_DISC:
		return "no disc"
	case pb.Identity_STATE_BLANK:
		return "a blank disc"
	case pb.Identity_STATE_OURS:
		return "image " + id.GetImageId()
	case pb.Identity_STATE_FOREIGN:
		return "a disc that odarchive did not write"
	case pb.Identity_STATE_SPENT:
		return "a disc whose burn was broken off"
	case pb.Identity_STATE_UNREADABLE:
		return "a disc that can't be read"
	default:
		return "a disc that nobody has looked at"
	}
}
