package simulate

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
	"time"
)

// WriteReport draws what runs came to as a page that needs nothing else: how much of each tier was done after what time, what the
// drives spent their time with, and how many requests were open.
func WriteReport(w io.Writer, title string, runs []*Measures) error {
	var b strings.Builder
	fmt.Fprintf(&b, "<!doctype html>\n<meta charset=\"utf-8\">\n<title>%s</title>\n<style>body{font:14px sans-serif;margin:2em;max-width:60em}svg{background:#fafafa}text{font:11px sans-serif}table{border-collapse:collapse}td,th{padding:2px 10px;text-align:right}</style>\n<h1>%[1]s</h1>\n", html.EscapeString(title))
	for _, m := range runs {
		fmt.Fprintf(&b, "<h2>%s</h2>\n<table><tr><th>tier<th>requests<th>mean<th>50 %%<th>95 %%<th>99 %%<th>99.9 %%<th>longest<th>late</tr>\n", m.Policy)
		for _, c := range m.Completions {
			fmt.Fprintf(&b, "<tr><td>%s<td>%d<td>%s<td>%s<td>%s<td>%s<td>%s<td>%s<td>%.2f %%</tr>\n", c.Tier, c.Requests,
				span(c.Mean), span(c.P50), span(c.P95), span(c.P99), span(c.P999), span(c.Longest), 100*c.Missed)
		}
		b.WriteString("</table>\n")
		if lines := m.Troubles.Lines(); len(lines) > 0 {
			fmt.Fprintf(&b, "<p>%s</p>\n", strings.Join(lines, "; "))
		}
		m.curves(&b)
		m.split(&b)
		m.open(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

var colours = [...]string{"#b22222", "#1f5fa8", "#2e8b57", "#d2861e", "#7a4fa3", "#666666"}

var useColours = [uses]string{"#dddddd", "#999999", "#1f5fa8", "#d2861e", "#2e8b57", "#7a4fa3"}

const width, height = 700., 220.

func span(s float64) string { return (time.Duration(s) * time.Second).String() }

// frame begins a drawing with axes, and with what they show.
func frame(b *strings.Builder, caption, across, up string) {
	fmt.Fprintf(b, "<h3>%s</h3>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"-70 -24 %.0f %.0f\" font-family=\"sans-serif\" font-size=\"11\"><path d=\"M0 0V%.0fH%.0f\" fill=\"none\" stroke=\"#888\"/>\n",
		caption, width+170, height+70, width+170, height+70, height, width)
	fmt.Fprintf(b, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\" fill=\"#555\">%s</text><text x=\"-64\" y=\"-10\" fill=\"#555\">%s</text>\n", width/2, height+36, across, up)
}

// mark names a place on the axis below, from 0 to 1, and draws a line there.
func mark(b *strings.Builder, at float64, name string) {
	fmt.Fprintf(b, "<path d=\"M%.1f 0V%.0f\" stroke=\"#ddd\"/><text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">%s</text>\n", at*width, height, at*width, height+16, name)
}

// level names a height, from 0 to 1, and draws a line there.
func level(b *strings.Builder, at float64, name string) {
	y := (1 - at) * height
	fmt.Fprintf(b, "<path d=\"M0 %.1fH%.0f\" stroke=\"#ddd\"/><text x=\"-6\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", y, width, y+4, name)
}

// round is the least of 1, 2 or 5 times a power of ten that is not below x.
func round(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(max(x, 1e-9))))
	for _, n := range []float64{1, 2, 5, 10} {
		if n*power >= x {
			return n * power
		}
	}
	return 10 * power
}

// pause names a time in its largest unit.
func pause(s float64) string {
	switch {
	case s < 60:
		return fmt.Sprintf("%.0f s", s)
	case s < 3600:
		return fmt.Sprintf("%.0f min", s/60)
	case s < 48*3600:
		return fmt.Sprintf("%.0f h", s/3600)
	}
	return fmt.Sprintf("%.0f d", s/86400)
}

func line(b *strings.Builder, colour string, n int, at func(i int) (x, y float64)) {
	b.WriteString("<polyline fill=\"none\" stroke=\"" + colour + "\" points=\"")
	for i := range n {
		x, y := at(i)
		fmt.Fprintf(b, "%.1f,%.1f ", x*width, (1-y)*height)
	}
	b.WriteString("\"/>\n")
}

// curves draws, for each tier, the share of requests that was done within a time; the time is on a scale of powers of ten.
func (m *Measures) curves(b *strings.Builder) {
	frame(b, "Done within", "from being asked for to the last byte", "requests")
	longest := 10.
	for _, c := range m.Completions {
		longest = max(longest, c.Longest)
	}
	scale := func(s float64) float64 { return math.Log10(max(s, 1)) / math.Log10(longest) }
	for _, p := range []float64{1, 10, 60, 600, 3600, 6 * 3600, 86400, 10 * 86400, 100 * 86400} {
		if p <= longest {
			mark(b, scale(p), pause(p))
		}
	}
	for _, share := range []float64{0, .25, .5, .75, 1} {
		level(b, share, fmt.Sprintf("%.0f %%", 100*share))
	}
	for i, c := range m.Completions {
		colour := colours[i%len(colours)]
		line(b, colour, 201, func(i int) (float64, float64) {
			q := float64(i) / 200
			return scale(Quantile(c.sorted, q)), q
		})
		fmt.Fprintf(b, "<text x=\"%.0f\" y=\"%d\" fill=\"%s\">%s</text>\n", width+8, 12+14*i, colour, c.Tier)
	}
	b.WriteString("</svg>\n")
}

// split draws what the drives' time went into.
func (m *Measures) split(b *strings.Builder) {
	fmt.Fprintf(b, "<h3>Drive time</h3>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"60\" font-family=\"sans-serif\" font-size=\"11\">\n", width+130)
	x := 0.
	for u := range uses {
		share := m.Drives[u.String()]
		colour := useColours[u]
		at := float64(u) * width / float64(uses)
		fmt.Fprintf(b, "<rect x=\"%.1f\" y=\"0\" width=\"%.1f\" height=\"30\" fill=\"%s\"/><rect x=\"%.0f\" y=\"40\" width=\"10\" height=\"10\" fill=\"%[3]s\"/><text x=\"%.0[5]f\" y=\"49\">%s %.1f %%</text>\n",
			x*width, share*width, colour, at, at+14, u, 100*share)
		x += share
	}
	b.WriteString("</svg>\n")
}

// open draws how many requests were open.
func (m *Measures) open(b *strings.Builder) {
	frame(b, "Open requests", "since the beginning", "requests")
	most, last := 1, 1.
	for _, p := range m.Queue {
		most, last = max(most, p.Open), max(last, p.At)
	}
	top := round(float64(most))
	for i := range 5 {
		level(b, float64(i)/4, fmt.Sprintf("%g", top*float64(i)/4))
	}
	unit, name := 3600., "h"
	if last > 4*86400 {
		unit, name = 86400, "d"
	} else if last < 2*3600 {
		unit, name = 60, "min"
	}
	for t, step := 0., round(last/unit/8); t*unit <= last; t += step {
		mark(b, t*unit/last, fmt.Sprintf("%g %s", t, name))
	}
	m.wrong(b, last)
	line(b, colours[1], len(m.Queue), func(i int) (float64, float64) {
		return m.Queue[i].At / last, float64(m.Queue[i].Open) / top
	})
	b.WriteString("</svg>\n")
}

var wrongColours = map[string]string{
	exchangeFailed: "#b22222", doorOpen: "#d2861e", slotUnknown: "#7a4fa3", agentAway: "#2e8b57", controllerAway: "#666666",
}

// wrong shades the times in which something was wrong, with a height of its own for each kind, and names those that there were.
func (m *Measures) wrong(b *strings.Builder, last float64) {
	n := 0
	for _, what := range []string{exchangeFailed, doorOpen, slotUnknown, agentAway, controllerAway} {
		seen := false
		for _, s := range m.Troubles.Spans {
			if s.What != what || s.From > last {
				continue
			}
			seen = true
			from, to := s.From/last*width, min(s.To/last, 1)*width
			fmt.Fprintf(b, "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"10\" fill=\"%s\"/>\n", from, 4+14*n, max(to-from, .5), wrongColours[what])
		}
		if seen {
			fmt.Fprintf(b, "<text x=\"%.0f\" y=\"%d\" fill=\"%s\">%s</text>\n", width+8, 13+14*n, wrongColours[what], what)
			n++
		}
	}
}
