package cli

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/odarchive/odarchive/internal/client"
)

// TestProgress: on a terminal one line changes ten times a second, elsewhere there is one every five seconds, and what is soon done, or
// asked to be quiet, shows none.
func TestProgress(t *testing.T) {
	for name, c := range map[string]struct {
		terminal, quiet bool
		takes           time.Duration
		lines, ends     int // carriage returns or lines at least, and line feeds
	}{
		"terminal": {terminal: true, takes: 20 * time.Second, lines: 100, ends: 1},
		"log":      {takes: 20 * time.Second, lines: 4, ends: 5},
		"quiet":    {quiet: true, takes: 20 * time.Second},
		"soon":     {takes: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var errs bytes.Buffer
				a := &app{stderr: &errs, terminal: c.terminal, quiet: c.quiet}
				p := a.progress(map[string]string{"scan": "hashed"})
				const total = 1_000_000_000
				steps := int64(c.takes / (10 * time.Millisecond))
				for i := range steps {
					p.show(client.Progress{Stage: "scan", Files: i, TotalFiles: steps, Bytes: total * i / steps, TotalBytes: total})
					time.Sleep(10 * time.Millisecond)
				}
				p.end()
				out := errs.String()
				lines := strings.Count(out, "hashed ")
				if lines < c.lines || c.lines == 0 && lines > 0 || strings.Count(out, "\n") != c.ends && c.terminal {
					t.Errorf("%d lines:\n%q", lines, out)
				}
				if lines > 0 && (!strings.Contains(out, "MB of 1.0 GB (") || !strings.Contains(out, " 50.0 MB/s, ") || !strings.Contains(out, "s left")) {
					t.Errorf("it says %q", out)
				}
			})
		})
	}
}
