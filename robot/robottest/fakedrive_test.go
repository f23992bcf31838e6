package robottest

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/odarchive/odarchive/robot"
)

// fakeDisc is a disc in memory.
type fakeDisc struct {
	state robot.DiscState
	data  []byte
	bad   int64 // sector, 0 for none
}

// fakeSlotIn is a drive's inside, which outlives the Drive.
type fakeSlotIn struct {
	disc   *fakeDisc
	broken string
	gone   bool // the device
}

// away is what a drive says whose device is gone.
func (s *fakeSlotIn) away(op string, says error) error {
	if !s.gone {
		return nil
	}
	if s.broken == "blames the disc" && op == "burn" {
		says = robot.ErrWrite
	}
	return &robot.Error{Op: op, Kind: says}
}

const fakeCapacity = 1 << 20 // bytes

func (s *fakeSlotIn) rig() DriveRig {
	content := image{7}
	full := make([]byte, 96*sector)
	_, _ = content.ReadAt(full, 0)
	return DriveRig{
		Open: func(context.Context) (robot.Drive, error) { return &fakeDrive{fakeSlotIn: s}, nil },
		Put: func(_ context.Context, d Disc) error {
			switch d {
			case None:
				s.disc = nil
			case Fresh:
				s.disc = &fakeDisc{state: robot.Blank}
			case Recorded:
				s.disc = &fakeDisc{state: robot.Complete, data: full}
			case Damaged:
				s.disc = &fakeDisc{state: robot.Complete, data: full, bad: 70}
			}
			return nil
		},
		Content: content, Size: int64(len(full)), BadSector: 70, BurnSize: fakeCapacity / 2,
		Vanish: func() (func() error, error) {
			s.gone = true
			return func() error {
				if s.gone = false; s.broken == "forgets what it burned" {
					s.disc.state = robot.Blank
				}
				return nil
			}, nil
		},
	}
}

// fakeDrive keeps the contract, but for the one breach that `broken` names.
type fakeDrive struct {
	*fakeSlotIn
	in     *fakeDisc // what was loaded
	closed bool
	named  int
	slow   bool
}

func (f *fakeDrive) ReadSlowly(_ context.Context, slow bool) error {
	switch {
	case f.in == nil && f.broken != "slow without a disc":
		return &robot.Error{Op: "set the speed", Kind: robot.ErrNoDisc}
	case f.slow && slow && f.broken == "slow once", f.broken == "slow for ever" && !slow && f.slow:
		return errors.New("it is slow")
	}
	f.slow = slow
	return nil
}

func (f *fakeDrive) Name() string {
	switch f.named++; f.broken {
	case "nameless":
		return ""
	case "renamed":
		return fmt.Sprint("sr", f.named)
	}
	return "sr0"
}

func (f *fakeDrive) Load(ctx context.Context) (robot.Medium, error) {
	if err := ctx.Err(); err != nil && f.broken != "deaf load" {
		return robot.Medium{}, err
	}
	if err := f.away("load", robot.ErrDriveFault); err != nil {
		if f.broken == "takes gone for empty" {
			return robot.Medium{}, nil
		}
		return robot.Medium{}, err
	}
	if f.broken != "remembers" || f.in == nil {
		f.in = f.disc
	}
	if f.in == nil {
		if f.broken == "no disc is an error" {
			return robot.Medium{}, &robot.Error{Op: "load", Kind: robot.ErrNoDisc}
		}
		return robot.Medium{}, nil
	}
	m := robot.Medium{State: f.in.state, Type: "BD-R", Recorded: int64(len(f.in.data)) / sector}
	switch {
	case m.State == robot.Blank:
		m.Capacity = fakeCapacity / sector
	case f.broken == "recorded in bytes":
		m.Recorded *= sector
	}
	switch f.broken {
	case "no type":
		m.Type = ""
	case "open is blank":
		if m.State == robot.Open {
			m.State = robot.Blank
		}
	}
	return m, nil
}

func (f *fakeDrive) Eject(context.Context) error {
	if f.broken == "ejects once" && f.in == nil && f.disc == nil {
		return errors.New("nothing to eject")
	}
	if f.broken != "reads ejected" && f.broken != "remembers" {
		f.in = nil
	}
	return nil
}

func (f *fakeDrive) ReadAt(p []byte, off int64) (int, error) {
	if f.closed {
		return 0, errors.New("closed")
	}
	if f.in == nil {
		if f.broken == "bare errors" {
			return 0, robot.ErrNoDisc
		}
		return 0, &robot.Error{Op: "read", Kind: robot.ErrNoDisc}
	}
	if err := f.away("read", robot.ErrComm); err != nil && f.broken != "reads what is gone" {
		return 0, err
	}
	if f.broken == "reads what is gone" && f.gone {
		return len(p), nil
	}
	if off < 0 || (off%sector != 0 || len(p)%sector != 0) && f.broken != "rounds" {
		return 0, errors.New("not whole sectors")
	}
	if f.in.state == robot.Blank {
		return 0, &robot.Error{Op: "read", Kind: robot.ErrMedium}
	}
	data := f.in.data
	if off >= int64(len(data)) {
		if f.broken == "zeros at the end" {
			return len(p), nil
		}
		return 0, io.EOF
	}
	if bad := f.in.bad; bad > 0 && off <= bad*sector && bad*sector < off+int64(len(p)) {
		n := copy(p, data[off:bad*sector])
		switch f.broken {
		case "all or nothing":
			n = 0
		case "wrong sector":
			bad = off / sector
		case "hides damage":
			return copy(p, data[off:]), nil
		}
		return n, &robot.Error{Op: "read", Kind: robot.ErrMedium, Sector: bad}
	}
	n := copy(p, data[off:])
	if f.slow && f.broken == "slow and wrong" && n > 0 {
		p[0]++
	}
	if f.broken == "flips a bit" && off == 0 && n > 100 {
		p[100] ^= 4
	}
	if n < len(p) && f.broken != "short without EOF" {
		return n, io.EOF
	}
	return n, nil
}

func (f *fakeDrive) Burn(ctx context.Context, input io.Reader, size int64, progress func(int64)) error {
	fail := func(kind error) error { return &robot.Error{Op: "burn", Kind: kind} }
	if progress == nil || f.broken == "no progress" {
		progress = func(int64) {}
	}
	switch {
	case ctx.Err() != nil && f.broken != "spends first":
		return ctx.Err()
	case f.in == nil:
		return fail(robot.ErrNoDisc)
	case f.in.state != robot.Blank && f.broken == "burns anything":
	case f.in.state != robot.Blank:
		return fail(robot.ErrNotBlank)
	case f.broken == "spends first":
	case size > fakeCapacity && f.broken != "burns until full":
		return fail(robot.ErrTooLarge)
	case size%sector != 0 || size < 0:
		return errors.New("not whole sectors")
	}
	f.in.state, f.in.data = robot.Open, nil
	if size > fakeCapacity || size < 0 {
		return fail(robot.ErrTooLarge)
	}
	buf := make([]byte, 64*sector)
	for int64(len(f.in.data)) < size {
		if err := ctx.Err(); err != nil && f.broken != "deaf burn" {
			switch f.broken {
			case "closes a cancelled disc":
				f.in.state = robot.Complete
			case "hides cancellation":
				return nil
			}
			return err
		}
		if err := f.away("burn", robot.ErrComm); err != nil && f.broken != "burns into the air" {
			return err
		}
		n, err := io.ReadFull(input, buf[:min(int64(len(buf)), size-int64(len(f.in.data)))])
		if err != nil {
			if f.broken == "pads short input" {
				break
			}
			return fmt.Errorf("burn: image: %w", err)
		}
		f.in.data = append(f.in.data, buf[:n]...)
		if f.broken != "no end of progress" || int64(len(f.in.data)) < size {
			progress(int64(len(f.in.data)))
		}
		if f.broken == "progress goes back" {
			progress(sector)
			progress(size)
		}
	}
	switch f.broken {
	case "leaves it open":
		return nil
	case "takes too much":
		more, _ := io.ReadAll(input)
		f.in.data = append(f.in.data, more...)
	case "loses a sector":
		copy(f.in.data[sector:], f.in.data[2*sector:])
	}
	f.in.state = robot.Complete
	return nil
}

func (f *fakeDrive) Close() error {
	if f.closed && f.broken == "closes once" {
		return errors.New("closed already")
	}
	if f.broken == "drops at close" {
		f.disc = nil
	}
	f.closed = true
	return nil
}
