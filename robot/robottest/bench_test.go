package robottest_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/robottest/simrig"
)

// BenchmarkDrivers is what each driver adds to a move of a machine that takes no time at all, behind its real line: µs/move, the median. What it and the
// simulator take of the processor for it is µs-cpu/move: a driver that waited busily would show there. Robots with piles put their
// order on the disk of TMPDIR first; µs/sync is what a bare write and fdatasync of a record in the same folder takes, measured in
// between, and µs/rest what is left of the move without it.
func BenchmarkDrivers(b *testing.B) {
	for _, r := range simrig.All() {
		b.Run(r.Name, func(b *testing.B) {
			if r.OneWay {
				b.Skip("a disc goes once, until a person carries the pile back")
			}
			speed := simrig.Speed
			simrig.Records, simrig.Speed = b.TempDir(), 1e9
			defer func() { simrig.Records, simrig.Speed = "", speed }()
			rig := r.New(b)
			floor := newFloor(b, simrig.Records)
			c, err := rig.Open(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			var took, synced []time.Duration
			var cpu time.Duration
			for b.Loop() {
				for _, m := range [][2]robot.Address{{rig.Slot, rig.Drive}, {rig.Drive, rig.Slot}} {
					before, began := processor(), time.Now()
					err = errors.Join(err, c.Move(b.Context(), m[0], m[1]))
					took = append(took, time.Since(began))
					cpu += processor() - before
				}
				synced = append(synced, floor.sync(b))
			}
			if err := errors.Join(err, c.Close()); err != nil {
				b.Fatal(err)
			}
			move, sync := median(took), median(synced)
			b.ReportMetric(float64(move.Microseconds()), "µs/move")
			b.ReportMetric(float64(cpu.Microseconds())/float64(len(took)), "µs-cpu/move")
			if r.Piles {
				b.ReportMetric(float64(sync.Microseconds()), "µs/sync")
				b.ReportMetric(float64((move - sync).Microseconds()), "µs/rest")
			}
		})
	}
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// processor is what this process has used of it.
func processor() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// floor is a file whose blocks are written, as the order's log is.
type floor struct {
	file *os.File
	at   int64
}

const record = 4 << 10

func newFloor(b *testing.B, folder string) *floor {
	b.Helper()
	f, err := os.Create(filepath.Join(folder, "floor"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	if _, err := f.Write(make([]byte, 128*record)); err != nil {
		b.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	return &floor{file: f}
}

func (f *floor) sync(b *testing.B) time.Duration {
	b.Helper()
	data := make([]byte, record)
	data[0] = byte(f.at)
	began := time.Now()
	if _, err := f.file.WriteAt(data, f.at%128*record); err != nil {
		b.Fatal(err)
	}
	f.at++
	if err := unix.Fdatasync(int(f.file.Fd())); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}
