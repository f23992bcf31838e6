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

// TestProgressThatStops: what nothing follows is shown all the same, and what somebody must do in full, in a line that stays.
func TestProgressThatStops(t *testing.T) {
	const todo = "waiting: library demo has no blank disc of 16384 sectors: put some in and say so with 'odarchive library stock'"
	for name, terminal := range map[string]bool{"terminal": true, "log": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var errs bytes.Buffer
				a := &app{stderr: &errs, terminal: terminal}
				p := a.progress(map[string]string{"wait": "safe"})
				p.show(client.Progress{Stage: "wait", TotalBytes: 1000, Note: "building an image"})
				p.show(client.Progress{Stage: "wait", TotalBytes: 1000, Note: todo, Waits: true})
				time.Sleep(time.Hour)
				synctest.Wait()
				if out := errs.String(); strings.Count(out, todo) != 1 || !strings.HasSuffix(out, "\n") || strings.Contains(out, "building") {
					t.Errorf("an hour later it has said %q", out)
				}
				p.show(client.Progress{Stage: "wait", Bytes: 1000, TotalBytes: 1000})
				p.end()
				if out := errs.String(); !strings.HasSuffix(out, "safe 1.0 kB of 1.0 kB (100 %)\n") {
					t.Errorf("in the end it has said %q", out)
				}
				before := errs.String()
				time.Sleep(time.Hour)
				if errs.String() != before {
					t.Errorf("after its end it says %q", errs.String()[len(before):])
				}
			})
		})
	}
}

// TestLeft: the time left is that of bytes or of files, whichever takes longer, and none when nothing can be told.
func TestLeft(t *testing.T) {
	for name, c := range map[string]struct {
		p, first client.Progress
		want     time.Duration
	}{
		"bytes alone":                   {p: client.Progress{Bytes: 250, TotalBytes: 1000}, want: 30 * time.Second},
		"large files first, small left": {p: client.Progress{Bytes: 900, TotalBytes: 1000, Files: 10, TotalFiles: 1000}, want: 990 * time.Second},
		"small files first, large left": {p: client.Progress{Bytes: 100, TotalBytes: 1000, Files: 990, TotalFiles: 1000}, want: 90 * time.Second},
		"only empty files are left":     {p: client.Progress{Bytes: 1000, TotalBytes: 1000, Files: 500, TotalFiles: 1000}, want: 10 * time.Second},
		"empty files alone":             {p: client.Progress{Files: 200, TotalFiles: 1000}, want: 40 * time.Second},
		"no total":                      {p: client.Progress{Bytes: 100, Files: 3}, want: 0},
		"nothing yet":                   {p: client.Progress{TotalBytes: 1000, TotalFiles: 10}, want: 0},
		"one byte of very many":         {p: client.Progress{Bytes: 1, TotalBytes: 1 << 62}, want: 0},
		"half was there":                {p: client.Progress{Bytes: 600, TotalBytes: 1000, Files: 60, TotalFiles: 100}, first: client.Progress{Bytes: 500, Files: 50}, want: 40 * time.Second},
		"done":                          {p: client.Progress{Bytes: 1000, TotalBytes: 1000, Files: 10, TotalFiles: 10}, want: 0},
	} {
		if got := left(c.first, c.p, 10*time.Second); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
