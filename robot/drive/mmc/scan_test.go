package mmc

import (
	"context"
	"errors"
	"testing"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/scsi"
)

// disc is a transport that plays a loaded disc.
type disc struct {
	do    func(c scsi.Command) error
	reads int
}

func (d *disc) Do(c scsi.Command) (int, error) {
	d.reads++
	return len(c.In), d.do(c)
}

func (d *disc) Close() error { return nil }

func played(kind string, recorded int64, do func(scsi.Command) error) *Drive {
	return &Drive{
		cfg: Config{Name: "sr0", Timing: DefaultTiming()}, device: &disc{do: do}, loaded: true,
		medium: robot.Medium{State: robot.Complete, Type: kind, Recorded: recorded}, signs: account{sectors: recorded},
	}
}

func TestScanC2(t *testing.T) {
	d := played("CD-R", 50, func(c scsi.Command) error {
		for i := 0; i*(rawSector+c2Bits) < len(c.In); i++ {
			c.In[i*(rawSector+c2Bits)+rawSector] = 0b101 // and the data is full of other bits
			c.In[i*(rawSector+c2Bits)] = 0xFF
		}
		if c.CDB[5] == 24 {
			return sense(scsi.MediumError, 0x11, 0)
		}
		return nil
	})
	var got []robot.Measure
	if err := d.Scan(t.Context(), func(m robot.Measure) { got = append(got, m) }); err != nil {
		t.Fatal(err)
	}
	want := []robot.Measure{
		{Metric: "C2", Sectors: 24, Errors: 48, Rate: 48}, {Metric: "C2", First: 24, Sectors: 24, Unreadable: true}, {Metric: "C2", First: 48, Sectors: 2, Errors: 4, Rate: 4},
	}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Scan(ended, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for _, d := range []*Drive{
		played("BD-R", 50, nil),
		played("CD-R", 50, func(scsi.Command) error { return sense(scsi.IllegalRequest, 0x20, 0) }),
	} {
		if err := d.Scan(t.Context(), nil); !errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
	}
}

func TestDoubt(t *testing.T) {
	fickle := byte(0)
	d := played("BD-R", 6400, func(c scsi.Command) error {
		if c.CDB[1]&0x08 == 0 {
			t.Error("read from the drive's memory")
		}
		first := int(c.CDB[4])<<8 | int(c.CDB[5])
		clear(c.In)
		for i := range len(c.In) / sectorSize {
			if first+i == 1000 || first+i == 2000 {
				fickle++
				c.In[i*sectorSize+7] = fickle
			}
		}
		if first <= 3000 && 3000 < first+len(c.In)/sectorSize {
			return sense(scsi.MediumError, 0x11, 5)
		}
		return nil
	})
	if n, err := d.Doubt(t.Context(), 5, 6000); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if s := d.Signs(); s.Regions[10].Disagreed != 1 || s.Regions[20].Disagreed != 1 || s.Regions[30].Disagreed != 0 {
		t.Errorf("%+v", s)
	}
	if _, err := d.Doubt(t.Context(), 6399, 2); err == nil {
		t.Error("behind the end")
	}
}
