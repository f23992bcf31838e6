package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/odarchive/odarchive/internal/client"
)

// progress shows how far something is: one line that changes on a terminal, a line every few seconds elsewhere.
type progress struct {
	app   *app
	verb  map[string]string // by stage
	stage string
	start time.Time
	shown time.Time
	last  client.Progress
	width int
}

const (
	onTerminal = 100 * time.Millisecond
	elsewhere  = 5 * time.Second
	// quietTime passes before anything is shown: what is done sooner needs no progress.
	quietTime = 2 * time.Second
)

func (a *app) progress(verbs map[string]string) *progress { return &progress{app: a, verb: verbs} }

// show shows p when it is time to. It is called by one goroutine at a time.
func (g *progress) show(p client.Progress) {
	now := time.Now()
	if p.Stage != g.stage {
		g.end()
		g.stage, g.start, g.shown = p.Stage, now, time.Time{}
	}
	g.last = p
	if g.app.quiet || g.app.json {
		return
	}
	interval := elsewhere
	if g.app.terminal {
		interval = onTerminal
	}
	if now.Sub(g.start) < quietTime && !(g.app.terminal && g.shown.IsZero() && now.Sub(g.start) > 300*time.Millisecond) || now.Sub(g.shown) < interval {
		return
	}
	g.shown = now
	g.line(g.text(now))
}

func (g *progress) line(text string) {
	if !g.app.terminal {
		fmt.Fprintln(g.app.stderr, text)
		return
	}
	pad := max(g.width-len(text), 0)
	fmt.Fprintf(g.app.stderr, "\r%s%s", text, strings.Repeat(" ", pad))
	g.width = len(text)
}

func (g *progress) text(now time.Time) string {
	p := g.last
	took := now.Sub(g.start)
	b := &strings.Builder{}
	b.WriteString(g.verb[p.Stage])
	separator := " "
	if p.Bytes > 0 || p.TotalBytes > 0 {
		fmt.Fprintf(b, " %s", size(p.Bytes))
		separator = ", "
	}
	if p.TotalBytes > 0 {
		fmt.Fprintf(b, " of %s (%d %%)", size(p.TotalBytes), p.Bytes*100/p.TotalBytes)
	}
	if p.Files > 0 || p.TotalFiles > 0 {
		fmt.Fprintf(b, "%s%d files", separator, p.Files)
		if p.TotalFiles > 0 {
			fmt.Fprintf(b, " of %d", p.TotalFiles)
		}
	}
	if rate := float64(p.Bytes) / took.Seconds(); rate >= 1 && took > time.Second {
		fmt.Fprintf(b, ", %s/s", size(int64(rate)))
		if left := p.TotalBytes - p.Bytes; left > 0 {
			fmt.Fprintf(b, ", %v left", (time.Duration(float64(left)/rate) * time.Second).Round(time.Second))
		}
	}
	if p.Note != "" {
		note := p.Note
		if g.app.terminal && len(note) > 70 {
			note = note[:69] + "…"
		}
		fmt.Fprintf(b, " – %s", note)
	}
	return b.String()
}

// end finishes the line of a stage.
func (g *progress) end() {
	if g.shown.IsZero() {
		return
	}
	g.line(g.text(time.Now()))
	if g.app.terminal {
		fmt.Fprintln(g.app.stderr)
	}
	g.shown, g.width = time.Time{}, 0
}
