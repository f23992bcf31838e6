package robottest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/odarchive/odarchive/robot"
)

// sector is the unit of a drive, in bytes.
const sector = 2048

// Disc is a disc that a rig can put in the drive.
type Disc int

// The discs.
const (
	None     Disc = iota // the drive is empty, its tray as Eject left it
	Fresh                // nothing recorded; a new one each time
	Recorded             // burned and closed, holding DriveRig.Content
	Damaged              // like Recorded, with one sector that can't be read: DriveRig.BadSector
)

func (d Disc) String() string {
	return [...]string{"no disc", "a blank disc", "the recorded disc", "the damaged disc"}[d]
}

// DriveRig is a drive with a hand that changes discs in it.
type DriveRig struct {
	// Open opens the drive; every check opens it anew and closes it.
	Open func(ctx context.Context) (robot.Drive, error)
	// Put takes out what is in the drive and puts a disc in. The drive was ejected before, and closing a
	// tray is Load's work. It returns errors.ErrUnsupported for a disc that can't be had; the checks that
	// need it are left out. The suite puts in Fresh seven times and spends three of them or, when it
	// fails, more.
	Put func(ctx context.Context, d Disc) error
	// Content is what is on the Recorded disc, and on the Damaged one but for BadSector, and Size its length in
	// bytes, a multiple of 2,048 and at least 16 sectors.
	Content io.ReaderAt
	Size    int64
	// BadSector is the number of the sector of the Damaged disc, above 0, that can't be read.
	BadSector int64
	// BurnSize is how many bytes are burned onto a disc, a multiple of 2,048; 0 means 8 MiB. When a burn is
	// cancelled half of that has been handed over: take more than twice what the drive, and the program
	// that burns, keep in their buffers.
	BurnSize int64
	// Vanish takes the device away with the disc in it, as when it is unplugged, and returns what brings it back. Nil leaves out the check
	// that needs it, which spends a Fresh disc more.
	Vanish func() (back func() error, err error)
}

// Drive runs the suite for drives as sub-tests.
func Drive(t *testing.T, rig DriveRig) {
	t.Helper()
	runAll(t, DriveChecks(rig))
}

// DriveChecks returns the suite for drives.
func DriveChecks(rig DriveRig) []Check {
	if rig.BurnSize == 0 {
		rig.BurnSize = 8 << 20
	}
	var checks []Check
	for _, c := range []struct {
		name string
		run  func(*tray)
	}{
		{"name", checkName},
		{"no disc", checkNoDisc},
		{"blank disc", checkBlank},
		{"recorded disc", checkRecorded},
		{"load forgets", checkLoadForgets},
		{"load obeys context", checkLoadContext},
		{"read", checkRead},
		{"read out of line", checkReadOutOfLine},
		{"read at once", checkReadAtOnce},
		{"damaged disc", checkDamaged},
		{"read slowly", checkSlowly},
		{"burn", checkBurn},
		{"burn not blank", checkBurnNotBlank},
		{"burn too large", checkBurnTooLarge},
		{"burn odd size", checkBurnOddSize},
		{"burn short input", checkBurnShortInput},
		{"burn cancelled", checkBurnCancelled},
		{"device gone", checkGone},
		{"eject", checkEject},
		{"close drive", checkDriveClose},
	} {
		checks = append(checks, Check{c.name, func(t T) {
			t.Helper()
			d, err := rig.Open(t.Context())
			if err != nil {
				t.Fatalf("open: %v", err)
			}
			y := &tray{T: t, rig: rig, Drive: d}
			defer y.tidy()
			c.run(y)
		}})
	}
	return checks
}

// tray is one check's view of the drive.
type tray struct {
	T
	rig DriveRig
	robot.Drive
}

// put changes the disc.
func (y *tray) put(d Disc) {
	y.Helper()
	if err := y.Eject(y.Context()); err != nil {
		y.Fatalf("eject, to put in %v: %v", d, err)
	}
	switch err := y.rig.Put(y.Context(), d); {
	case errors.Is(err, errors.ErrUnsupported):
		y.Skipf("the rig has not got %v", d)
	case err != nil:
		y.Fatalf("put in %v: %v", d, err)
	}
}

// load must succeed with a state.
func (y *tray) load(want robot.DiscState) robot.Medium {
	y.Helper()
	m, err := y.Load(y.Context())
	if err != nil {
		y.Fatalf("load: %v", err)
	}
	if m.State != want {
		y.Fatalf("load: the disc is %v, want %v: %+v", m.State, want, m)
	}
	return m
}

// reload is what has to be done before a burned disc can be believed.
func (y *tray) reload() robot.Medium {
	y.Helper()
	if err := y.Eject(y.Context()); err != nil {
		y.Fatalf("eject: %v", err)
	}
	m, err := y.Load(y.Context())
	if err != nil {
		y.Fatalf("load: %v", err)
	}
	return m
}

// tidy leaves the drive empty.
func (y *tray) tidy() {
	ctx := context.WithoutCancel(y.Context())
	if err := y.Eject(ctx); err != nil {
		y.Logf("tidy: %v", err)
	}
	if err := y.rig.Put(ctx, None); err != nil {
		y.Logf("tidy: %v", err)
	}
	if err := y.Close(); err != nil {
		y.Logf("tidy: %v", err)
	}
}

// image is sectors that can be told apart; with another salt all are others, so that no two burns are alike.
type image struct{ salt uint64 }

func (m image) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		at := uint64(off) + uint64(i)
		p[i] = byte((at/sector+1)*0x9E3779B97F4A7C15>>(at%8*8)) ^ byte(at/8*31) ^ byte(m.salt>>(at%8*8))
	}
	return len(p), nil
}

// compare reads size bytes of the disc and compares them with what was burned.
func (y *tray) compare(want io.ReaderAt, size int64) {
	y.Helper()
	const piece = 64 * sector
	got, wanted := make([]byte, piece), make([]byte, piece)
	for off := int64(0); off < size; off += piece {
		n := int(min(piece, size-off))
		if read, err := y.ReadAt(got[:n], off); read != n || err != nil && !errors.Is(err, io.EOF) {
			y.Fatalf("read %d bytes at %d: %d, %v", n, off, read, err)
		}
		if read, err := want.ReadAt(wanted[:n], off); read != n {
			y.Fatalf("read what should be there at %d: %d, %v", off, read, err)
		}
		if err := differ(got[:n], wanted[:n], off); err != nil {
			y.Fatalf("%v", err)
		}
	}
}

func differ(got, want []byte, off int64) error {
	for i := range got {
		if got[i] != want[i] {
			return fmt.Errorf("sector %d byte %d reads %#02x, want %#02x", (off+int64(i))/sector, (off+int64(i))%sector, got[i], want[i])
		}
	}
	return nil
}
