package mmc

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/scsi"
)

// counting plays a drive on a MediaTek chip: each answer is a step further, and tells of so many errors.
type counting struct {
	t      *testing.T
	step   int64
	at     int64
	stop   int64 // it reads no further; 0 for the end
	errors func(sector int64) (outer, deep uint16)
	asked  int
	cd     bool
	dvd    bool
}

func (c *counting) do(cmd scsi.Command) error {
	switch cmd.CDB[0] {
	case 0x2B:
		c.at = int64(binary.BigEndian.Uint32(cmd.CDB[2:])) - c.step
		return nil
	case 0xF3:
		if cmd.CDB[1] != 0x0E || (cmd.CDB[8] == 0x10) != c.dvd || len(cmd.CDB) != 12 || len(cmd.In) != 16 {
			c.t.Errorf("asked by % x for %d bytes", cmd.CDB, len(cmd.In))
		}
		c.asked++
		if c.stop == 0 || c.at+c.step <= c.stop {
			c.at += c.step
		}
		if c.cd {
			frames := c.at + 150
			copy(cmd.In, []byte{0, byte(frames / 75 / 60), byte(frames / 75 % 60), byte(frames % 75)})
		} else {
			binary.BigEndian.PutUint32(cmd.In, uint32(c.at))
		}
		outer, deep := c.errors(c.at)
		binary.BigEndian.PutUint16(cmd.In[4:], outer)
		binary.BigEndian.PutUint16(cmd.In[6:], deep)
		return nil
	}
	c.t.Errorf("command % x", cmd.CDB)
	return nil
}

func (c *counting) scan(medium string, recorded int64) (all []robot.Measure, err error) {
	d := played(medium, recorded, c.do)
	d.cfg.Scan, d.cfg.Timing.Poll = MediaTek, time.Microsecond
	err = d.Scan(c.t.Context(), func(m robot.Measure) { all = append(all, m) })
	return all, err
}

func TestScanMediaTek(t *testing.T) {
	for _, c := range []struct {
		medium   string
		recorded int64
		drive    counting
		metric   string
		worst    float64
	}{
		{"CD-R", 75 * 100, counting{step: 25, cd: true, errors: func(s int64) (uint16, uint16) {
			if s/75 == 60 {
				return 40, 1
			}
			return 3, 0
		}}, "C1", 40 + 40 + 3}, // a second's counts come with the three answers that follow its first sector
		{"DVD+R", 16 * 8 * 50, counting{step: 64, dvd: true, errors: func(s int64) (uint16, uint16) {
			if s == 16*8*20 {
				return 270, 9
			}
			return 10, 0
		}}, "PI8", 280},
		{"BD-R", 33 * 32 * 10, counting{step: 32, errors: func(s int64) (uint16, uint16) {
			if s >= 33*32*10 {
				return 65535, 65535 // the last cluster
			}
			return 15, 3
		}}, "RSER", 15.0 / (304 * 248)},
		{"BD-R SRM", 33 * 32 * 10, counting{step: 32, stop: 33*32*10 - 32, errors: func(int64) (uint16, uint16) { return 1, 0 }}, "RSER", 1.0 / (304 * 248)},
	} {
		t.Run(c.medium, func(t *testing.T) {
			c.drive.t = t
			all, err := c.drive.scan(c.medium, c.recorded)
			if err != nil {
				t.Fatal(err)
			}
			worst, at := 0.0, int64(0)
			for _, m := range all {
				if m.Metric != c.metric || m.First != at || m.Sectors < 1 || m.Unreadable {
					t.Fatalf("%+v, want %s from sector %d on", m, c.metric, at)
				}
				at += m.Sectors
				worst = max(worst, m.Rate)
			}
			if at < c.recorded-33*32 {
				t.Errorf("it was scanned up to sector %d of %d", at, c.recorded)
			}
			if math.Abs(worst-c.worst) > c.worst/1000 {
				t.Errorf("the worst rate is %g, want %g", worst, c.worst)
			}
		})
	}
}

func TestScanMediaTekFails(t *testing.T) {
	none := func(int64) (uint16, uint16) { return 0, 0 }
	c := counting{t: t, step: 32, stop: 3200, errors: none}
	if _, err := c.scan("BD-R", 100_000); err == nil || !strings.Contains(err.Error(), "no further than sector 3200 of 100000") || c.asked > 200 {
		t.Errorf("a drive that reads no further: %v after %d answers", err, c.asked)
	}
	c = counting{t: t, step: -32, errors: none}
	c.at = 3200
	d := played("BD-R", 100_000, func(cmd scsi.Command) error {
		if cmd.CDB[0] == 0x2B {
			return nil
		}
		return c.do(cmd)
	})
	d.cfg.Scan = MediaTek
	if err := d.Scan(t.Context(), func(robot.Measure) {}); err == nil || !strings.Contains(err.Error(), "back to") {
		t.Errorf("a drive that goes back: %v", err)
	}
	if _, err := (&counting{t: t, step: 32}).scan("HD DVD-R", 1000); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("another medium: %v", err)
	}
	d = played("BD-R", 1000, func(cmd scsi.Command) error {
		if cmd.CDB[0] == 0xF3 {
			return sense(scsi.IllegalRequest, 0x20, 0)
		}
		return nil
	})
	d.cfg.Scan = MediaTek
	if err := d.Scan(t.Context(), nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("another drive: %v", err)
	}
	if _, err := New(Config{Name: "sr0", Open: func() (scsi.Transport, error) { return nil, nil }, Scan: "plextor"}); err == nil {
		t.Error("an unknown maker was accepted")
	}
}

// Without being told so no drive gets a maker's command.
func TestNoMakersCommandUnasked(t *testing.T) {
	for _, medium := range []string{"BD-R", "DVD+R", "CD-R"} {
		d := played(medium, 100, func(cmd scsi.Command) error {
			if cmd.CDB[0] >= 0xC0 {
				t.Errorf("%s: % x", medium, cmd.CDB)
			}
			return nil
		})
		if err := d.Scan(t.Context(), func(robot.Measure) {}); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
	}
}
