package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/odarchive/odarchive/internal/client"
)

// progress shows how far something is: one line that changes on a terminal, a line every few seconds elsewhere.
type progress struct {
	app  *app
	verb map[string]string // by stage

	mu    sync.Mutex
	stage string
	start time.Time
	shown time.Time
	first client.Progress // of the stage: what was there already says nothing of how fast it goes
	last  client.Progress
	late  *time.Timer // shows what came before its time, when nothing comes after it
	told  string      // what somebody has been told to do
	width int
}

const (
	onTerminal = 100 * time.Millisecond
	elsewhere  = 5 * time.Second
	// What is done sooner needs no progress.
	quietOnTerminal = 300 * time.Millisecond
	quietElsewhere  = 2 * time.Second
)

func (a *app) progress(verbs map[string]string) *progress { return &progress{app: a, verb: verbs} }

// show shows p when it is time to, be it that nothing follows.
func (g *progress) show(p client.Progress) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if p.Stage != g.stage {
		g.finish()
		g.stage, g.start, g.shown, g.first = p.Stage, now, time.Time{}, p
	}
	g.last = p
	if g.app.quiet || g.app.json {
		return
	}
	if early := g.due().Sub(now); early <= 0 {
		g.paint(now)
	} else if g.late == nil {
		g.late = time.AfterFunc(early, g.catchUp)
	}
}

// due is when the next line may be shown.
func (g *progress) due() time.Time {
	quiet, interval := quietElsewhere, elsewhere
	if g.app.terminal {
		quiet, interval = quietOnTerminal, onTerminal
	}
	if g.shown.IsZero() {
		return g.start.Add(quiet)
	}
	return g.shown.Add(interval)
}

func (g *progress) catchUp() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); g.late != nil && !now.Before(g.due()) { // or else it came too late to be stopped
		g.paint(now)
	}
}

// paint shows the last that is known. What somebody must do is told whole, in a line that stays.
func (g *progress) paint(now time.Time) {
	g.hush()
	g.shown = now
	g.line(g.text(now))
	if g.app.terminal && g.last.Waits && g.told != g.last.Note {
		fmt.Fprintln(g.app.stderr)
		g.width, g.told = 0, g.last.Note
	}
}

// hush forgets what would have been shown late.
func (g *progress) hush() {
	if g.late != nil {
		g.late.Stop()
		g.late = nil
	}
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
	if took > time.Second {
		if rate := float64(p.Bytes-g.first.Bytes) / took.Seconds(); rate >= 1 {
			fmt.Fprintf(b, ", %s/s", size(int64(rate)))
		}
		if left := left(g.first, p, took); left > 0 {
			fmt.Fprintf(b, ", %v left", left)
		}
	}
	if p.Note != "" {
		note := p.Note
		if g.app.terminal && len(note) > 70 && (!p.Waits || note == g.told) {
			note = note[:69] + "…"
		}
		fmt.Fprintf(b, " – %s", note)
	}
	return b.String()
}

// left is how long it takes until all is done, if bytes and files go on as they have until now: whichever of them takes longer, because many small
// files hold up as much as a few large ones. It is 0 when that can't be told.
func left(first, p client.Progress, took time.Duration) time.Duration {
	longest := 0.0
	for _, x := range [][2]int64{{p.Bytes - first.Bytes, p.TotalBytes - p.Bytes}, {p.Files - first.Files, p.TotalFiles - p.Files}} {
		if done, rest := x[0], x[1]; done > 0 && rest > 0 {
			longest = max(longest, took.Seconds()*float64(rest)/float64(done))
		}
	}
	if longest > maxLeft.Seconds() {
		return 0
	}
	return time.Duration(longest * float64(time.Second)).Round(time.Second)
}

// maxLeft is more than anybody believes.
const maxLeft = 365 * 24 * time.Hour

// end finishes the line of a stage.
func (g *progress) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.finish()
}

func (g *progress) finish() {
	g.hush()
	if g.shown.IsZero() {
		return
	}
	g.line(g.text(time.Now()))
	if g.app.terminal {
		fmt.Fprintln(g.app.stderr)
	}
	g.shown, g.width = time.Time{}, 0
}
