package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/robottest"
)

// bench is a drive's folder, and a hand that puts discs into it.
type bench struct {
	root  string
	discs int
}

func newBench(t testing.TB) *bench {
	b := &bench{root: t.TempDir()}
	if err := os.MkdirAll(b.drive(), 0o755); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) drive() string { return filepath.Join(b.root, "drives", "1") }

func (b *bench) put(disc string) error {
	os.Remove(filepath.Join(b.drive(), DiscLink))
	if disc == "" {
		return nil
	}
	return os.Symlink(filepath.Join("..", "..", "discs", disc), filepath.Join(b.drive(), DiscLink))
}

func (b *bench) blank(sectors int64) (name string, err error) {
	b.discs++
	name = fmt.Sprintf("%04d", b.discs)
	return name, NewDisc(filepath.Join(b.root, "discs", name), Medium{Type: "BD-R", Sectors: sectors})
}

func (b *bench) write(t testing.TB, disc, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.root, "discs", disc, name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	b := newBench(t)
	content := make([]byte, 64*sectorSize)
	for i := range content {
		content[i] = byte(i >> 8)
	}
	recorded, _ := b.blank(10000)
	b.write(t, recorded, closedName, content)
	damaged, _ := b.blank(10000)
	b.write(t, damaged, closedName, content)
	b.write(t, damaged, faultsName, []byte(`{"unreadable": [{"first": 7, "count": 1}]}`))
	robottest.Drive(t, robottest.DriveRig{
		Open: func(context.Context) (robot.Drive, error) { return Open(b.drive()) },
		Put: func(_ context.Context, d robottest.Disc) error {
			switch d {
			case robottest.Fresh:
				name, err := b.blank(10000)
				return errors.Join(err, b.put(name))
			case robottest.Recorded:
				return b.put(recorded)
			case robottest.Damaged:
				return b.put(damaged)
			}
			return b.put("")
		},
		Content: bytes.NewReader(content), Size: int64(len(content)), BadSector: 7,
		Vanish: func() (func() error, error) {
			away := b.drive() + ".away"
			return func() error { return os.Rename(away, b.drive()) }, os.Rename(b.drive(), away)
		},
	})
}

func loaded(t *testing.T, b *bench, disc string) *Drive {
	t.Helper()
	if err := b.put(disc); err != nil {
		t.Fatal(err)
	}
	d, err := Open(b.drive())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if _, err := d.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestCrashLeavesADiscSpent: whatever a killed burn left behind, the disc is never blank again.
func TestCrashLeavesADiscSpent(t *testing.T) {
	b := newBench(t)
	for _, leftover := range [][]byte{{}, make([]byte, 5*sectorSize+17)} {
		disc, _ := b.blank(100)
		b.write(t, disc, openName, leftover)
		d := loaded(t, b, disc)
		if m, err := d.Load(t.Context()); err != nil || m.State != robot.Open {
			t.Errorf("%+v, %v", m, err)
		}
		if err := d.Burn(t.Context(), bytes.NewReader(make([]byte, sectorSize)), sectorSize, nil); !errors.Is(err, robot.ErrNotBlank) {
			t.Errorf("a second burn: %v", err)
		}
	}
}

func TestDiscFaults(t *testing.T) {
	b := newBench(t)
	const sectors = 1000
	image := bytes.Repeat([]byte{7}, sectors*sectorSize)
	disc, _ := b.blank(sectors)
	b.write(t, disc, faultsName, []byte(`{"burn_fails_at": 600}`))
	d := loaded(t, b, disc)
	var fault *robot.Error
	if err := d.Burn(t.Context(), bytes.NewReader(image), int64(len(image)), nil); !errors.As(err, &fault) || fault.Kind != robot.ErrWrite || fault.Sector != 600 {
		t.Errorf("a burn that fails: %v", err)
	}
	if m, _ := d.Load(t.Context()); m.State != robot.Open {
		t.Errorf("after it: %+v", m)
	}
	disc, _ = b.blank(sectors)
	b.write(t, disc, faultsName, []byte(`{"lies": true}`))
	d = loaded(t, b, disc)
	if err := d.Burn(t.Context(), bytes.NewReader(image), int64(len(image)), nil); err != nil {
		t.Errorf("a lying drive: %v", err)
	}
	d.Load(t.Context())
	p := make([]byte, sectorSize)
	if _, err := d.ReadAt(p, 0); err != nil || p[0] != 0 {
		t.Errorf("a lying drive recorded %d, %v", p[0], err)
	}
}

// TestClamped: the robot can't take what a drive holds.
func TestClamped(t *testing.T) {
	b := newBench(t)
	disc, _ := b.blank(10)
	d := loaded(t, b, disc)
	if free, err := Release(b.drive()); err != nil || free {
		t.Errorf("a disc in use was let go: %v", err)
	}
	d.Eject(t.Context())
	if free, err := Release(b.drive()); err != nil || !free {
		t.Errorf("an ejected disc: %v, %v", free, err)
	}
	if m, err := d.Load(t.Context()); err != nil || m.State != robot.NoDisc {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		if err := SetRates(b.drive(), Rates{Write: 1 << 20, Read: 4 << 20, Load: 3000}); err != nil {
			t.Fatal(err)
		}
		disc, _ := b.blank(4096)
		start := time.Now()
		d := loaded(t, b, disc)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("loading took %v", took)
		}
		start = time.Now()
		calls := 0
		if err := d.Burn(t.Context(), bytes.NewReader(make([]byte, 8<<20)), 8<<20, func(int64) { calls++ }); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 8*time.Second || calls < 7 || calls > 9 {
			t.Errorf("burning took %v, progress was told %d times", took, calls)
		}
		d.Load(t.Context())
		start = time.Now()
		if _, err := io.ReadFull(io.NewSectionReader(d, 0, 8<<20), make([]byte, 8<<20)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("reading took %v", took)
		}
	})
}

// TestZerosTakeNoRoom: what was burned of zeros takes no room on the host's disk, and reads as zeros.
func TestZerosTakeNoRoom(t *testing.T) {
	b := newBench(t)
	const sectors = 8192
	disc, _ := b.blank(sectors)
	image := make([]byte, sectors*sectorSize)
	copy(image[3<<20:], "something between zeros")
	d := loaded(t, b, disc)
	if err := d.Burn(t.Context(), bytes.NewReader(image), int64(len(image)), nil); err != nil {
		t.Fatal(err)
	}
	burned := filepath.Join(b.root, "discs", disc, closedName)
	if got, err := os.ReadFile(burned); err != nil || !bytes.Equal(got, image) {
		t.Errorf("%d bytes differ from what was burned: %v", len(got), err)
	}
	var st unix.Stat_t
	if err := unix.Stat(burned, &st); err != nil || st.Blocks*512 > 2<<20 {
		t.Errorf("16 MiB with little in them take %d bytes: %v", st.Blocks*512, err)
	}
}
