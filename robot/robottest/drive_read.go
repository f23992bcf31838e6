package robottest

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"

	"github.com/odarchive/odarchive/robot"
)

func checkName(y *tray) {
	before := y.Name()
	if before == "" {
		y.Errorf("the drive has no name")
	}
	y.put(None)
	y.load(robot.NoDisc)
	if after := y.Name(); after != before {
		y.Errorf("%q became %q", before, after)
	}
}

// checkNoDisc: no disc is a state and no error; what needs a disc says ErrNoDisc.
func checkNoDisc(y *tray) {
	y.put(None)
	if m := y.load(robot.NoDisc); m != (robot.Medium{}) {
		y.Errorf("an empty drive holds %+v", m)
	}
	y.nothingToRead("an empty drive")
	input := &counted{Reader: io.NewSectionReader(image{1}, 0, y.rig.BurnSize)}
	wantKind(y, "burn without a disc", y.Burn(y.Context(), input, y.rig.BurnSize, nil), robot.ErrNoDisc)
}

func (y *tray) nothingToRead(of string) {
	y.Helper()
	n, err := y.ReadAt(make([]byte, sector), 0)
	wantKind(y, "read of "+of, err, robot.ErrNoDisc)
	if n != 0 {
		y.Errorf("read of %s: %d bytes", of, n)
	}
}

// checkBlank: a fresh disc has nothing on it and a type.
func checkBlank(y *tray) {
	y.put(Fresh)
	m := y.load(robot.Blank)
	if m.Recorded != 0 || m.Capacity < 0 || m.Type == "" {
		y.Errorf("a blank disc is %+v", m)
	}
	if n, err := y.ReadAt(make([]byte, sector), 0); n != 0 || err == nil {
		y.Errorf("read of a blank disc: %d, %v; want an error", n, err)
	}
	if again := y.load(robot.Blank); again != m {
		y.Errorf("loaded again, %+v became %+v", m, again)
	}
	if m := y.reload(); m.State != robot.Blank {
		y.Errorf("after eject and load a blank disc is %v", m.State)
	}
}

func checkRecorded(y *tray) {
	y.put(Recorded)
	m := y.load(robot.Complete)
	y.recorded(m, y.rig.Size)
	y.compare(y.rig.Content, y.rig.Size)
}

// recorded checks how much is said to be on a disc. Recording pads to a cluster: 16 sectors of a DVD, 32
// of a BD (MMC-6 §4.3).
func (y *tray) recorded(m robot.Medium, size int64) {
	y.Helper()
	if sectors := size / sector; m.Recorded < sectors || m.Recorded >= sectors+32 {
		y.Errorf("%d sectors are recorded, want %d and less than a cluster more", m.Recorded, sectors)
	}
	if m.Type == "" {
		y.Errorf("the disc has no type: %+v", m)
	}
}

// checkLoadForgets: each Load tells of the disc that is there now.
func checkLoadForgets(y *tray) {
	y.put(Recorded)
	y.load(robot.Complete)
	y.compare(y.rig.Content, sector)
	y.put(None)
	y.load(robot.NoDisc)
	y.nothingToRead("a drive whose disc was taken out")
	y.put(Recorded)
	y.load(robot.Complete)
	y.put(Fresh)
	if m := y.load(robot.Blank); m.Recorded != 0 {
		y.Errorf("a blank disc after a recorded one is %+v", m)
	}
}

func checkLoadContext(y *tray) {
	y.put(Recorded)
	ended, cancel := context.WithCancel(y.Context())
	cancel()
	if m, err := y.Load(ended); !errors.Is(err, context.Canceled) {
		y.Errorf("load with an ended context: %+v, %v; want %v", m, err, context.Canceled)
	}
	y.load(robot.Complete)
}

// checkRead: io.ReaderAt, up to the end of what is recorded and not past it.
func checkRead(y *tray) {
	y.put(Recorded)
	end := y.load(robot.Complete).Recorded * sector
	for _, test := range []struct {
		what     string
		off      int64
		sectors  int64 // asked for
		have     int64 // that there are
		needsEOF bool
	}{
		{"nothing", 0, 0, 0, false},
		{"the first sector", 0, 1, 1, false},
		{"sectors in the middle", 5 * sector, 9, 9, false},
		{"the last sector", end - sector, 1, 1, false},
		{"over the end", end - 2*sector, 5, 2, true},
		{"at the end", end, 1, 0, true},
		{"behind the end", end + 100*sector, 1, 0, true},
	} {
		p := make([]byte, test.sectors*sector)
		n, err := y.ReadAt(p, test.off)
		if int64(n) != test.have*sector {
			y.Errorf("read %s: %d bytes, %v; want %d", test.what, n, err, test.have*sector)
		}
		switch {
		case test.needsEOF && !errors.Is(err, io.EOF):
			y.Errorf("read %s: error %v, want %v", test.what, err, io.EOF)
		case !test.needsEOF && err != nil && (!errors.Is(err, io.EOF) || test.off+int64(n) != end):
			y.Errorf("read %s: %v", test.what, err)
		}
	}
}

// checkReadOutOfLine: what isn't whole sectors is refused, not rounded.
func checkReadOutOfLine(y *tray) {
	y.put(Recorded)
	y.load(robot.Complete)
	for _, test := range []struct{ off, size int64 }{{1, sector}, {0, sector - 1}, {sector / 2, sector / 2}, {-sector, sector}} {
		if n, err := y.ReadAt(make([]byte, test.size), test.off); err == nil || errors.Is(err, io.EOF) || n != 0 {
			y.Errorf("read %d bytes at %d: %d, %v; want an error", test.size, test.off, n, err)
		}
	}
	y.compare(y.rig.Content, sector)
}

// checkReadAtOnce: several goroutines read different places, and each gets its own.
func checkReadAtOnce(y *tray) {
	y.put(Recorded)
	y.load(robot.Complete)
	const readers, reads = 4, 25
	errs := make([]error, readers)
	var all sync.WaitGroup
	for i := range readers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			got, want := make([]byte, 4*sector), make([]byte, 4*sector)
			for range reads {
				off := random.Int64N(y.rig.Size/sector-3) * sector
				if n, err := y.ReadAt(got, off); n != len(got) || err != nil && !errors.Is(err, io.EOF) {
					errs[i] = errors.Join(errors.New("short read"), err)
					return
				}
				if _, err := y.rig.Content.ReadAt(want, off); err != nil && !errors.Is(err, io.EOF) {
					errs[i] = err
					return
				}
				if errs[i] = differ(got, want, off); errs[i] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		y.Errorf("%d goroutines read at once: %v", readers, err)
	}
}

// checkDamaged: an unreadable sector is named, and what comes before it is delivered.
func checkDamaged(y *tray) {
	y.put(Damaged)
	y.load(robot.Complete)
	bad := y.rig.BadSector
	before := min(bad, 3)
	first := (bad - before) * sector
	got, want := make([]byte, (before+2)*sector), make([]byte, before*sector)
	n, err := y.ReadAt(got, first)
	if e := wantKind(y, "read over a bad sector", err, robot.ErrMedium); e != nil && e.Sector != bad {
		y.Errorf("error %q names sector %d, want %d", e, e.Sector, bad)
	}
	if int64(n) != before*sector {
		y.Fatalf("%d bytes before a bad sector, want %d", n, before*sector)
	}
	if _, err := y.rig.Content.ReadAt(want, first); err != nil && !errors.Is(err, io.EOF) {
		y.Fatalf("read what should be there: %v", err)
	}
	if err := differ(got[:n], want, first); err != nil {
		y.Errorf("before a bad sector: %v", err)
	}
	if n, err := y.ReadAt(got[:sector], bad*sector); n != 0 || !errors.Is(err, robot.ErrMedium) {
		y.Errorf("read of a bad sector: %d, %v; want %v", n, err, robot.ErrMedium)
	}
	y.compare(y.rig.Content, bad*sector)
}

// checkEject: releasing a disc changes nothing on it, and releasing none is no error.
func checkEject(y *tray) {
	y.put(None)
	for range 2 {
		if err := y.Eject(y.Context()); err != nil {
			y.Errorf("eject an empty drive: %v", err)
		}
	}
	y.put(Recorded)
	y.load(robot.Complete)
	for range 2 {
		if err := y.Eject(y.Context()); err != nil {
			y.Errorf("eject: %v", err)
		}
		if n, err := y.ReadAt(make([]byte, sector), 0); n != 0 || err == nil {
			y.Errorf("read of an ejected disc: %d, %v; want an error", n, err)
		}
	}
	y.load(robot.Complete) // nobody has taken it
	y.compare(y.rig.Content, y.rig.Size)
}

// checkDriveClose: Close may be repeated and leaves the disc where it is.
func checkDriveClose(y *tray) {
	y.put(Recorded)
	y.load(robot.Complete)
	for _, time := range []string{"", " again"} {
		if err := y.Close(); err != nil {
			y.Errorf("close%s: %v", time, err)
		}
	}
	if _, err := y.ReadAt(make([]byte, sector), 0); err == nil {
		y.Errorf("a closed drive reads")
	}
	d, err := y.rig.Open(y.Context())
	if err != nil {
		y.Fatalf("open again: %v", err)
	}
	y.Drive = d
	y.load(robot.Complete)
	y.compare(y.rig.Content, y.rig.Size)
}
