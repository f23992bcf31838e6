package agent

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/odarchive/odarchive/robot"
)

// monitored has noticed something.
type monitored struct {
	handDrive
	kept robot.Signs
}

func (m *monitored) Signs() robot.Signs { return m.kept }

func TestSigns(t *testing.T) {
	well := robot.Signs{Sectors: 6400}
	for i := range well.Regions {
		well.Regions[i] = robot.Region{Read: 100, Time: time.Second}
	}
	retried, slow := well, well
	retried.Regions[3].Retries = 4
	slow.Regions[9].Time = 20 * time.Second
	for _, c := range []struct {
		name  string
		drive robot.Drive
		says  string
	}{
		{"no account", handDrive{}, ""},
		{"well", &monitored{kept: well}, ""},
		{"retried", &monitored{kept: retried}, "retries=4"},
		{"slow", &monitored{kept: slow}, "slow_regions=1"},
	} {
		var out bytes.Buffer
		a := &agent{log: slog.New(slog.NewTextHandler(&out, nil))}
		a.signs(newBay(1, c.drive, "", nil), imageA)
		if said := out.String(); (said == "") != (c.says == "") || !strings.Contains(said, c.says) {
			t.Errorf("%s: %q, want %q", c.name, said, c.says)
		}
	}
}
