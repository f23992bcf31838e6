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
		m.curves(&b)
		m.split(&b)
		m.open(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

var colours = [...]string{"#b22222", "#1f5fa8", "#2e8b57", "#d2861e", "#7a4fa3", "#666666"}

const width, height = 700., 220.

func span(s float64) string { return (time.Duration(s) * time.Second).String() }

func frame(b *strings.Builder, caption string) {
	fmt.Fprintf(b, "<h3>%s</h3>\n<svg width=\"%.0f\" height=\"%.0f\" viewBox=\"-50 -10 %.0f %.0f\"><path d=\"M0 0V%.0fH%.0f\" fill=\"none\" stroke=\"#888\"/>\n", caption, width+130, height+40, width+130, height+40, height, width)
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
	frame(b, "Done within")
	longest := 10.
	for _, c := range m.Completions {
		longest = max(longest, c.Longest)
	}
	scale := func(s float64) float64 { return math.Log10(max(s, 1)) / math.Log10(longest) }
	for p := 1.; p <= longest; p *= 10 {
		fmt.Fprintf(b, "<text x=\"%.0f\" y=\"%.0f\">%s</text>\n", scale(p)*width-8, height+15, span(p))
	}
	for i, share := range []string{"0", "50 %", "100 %"} {
		fmt.Fprintf(b, "<text x=\"-40\" y=\"%.0f\">%s</text>\n", height*(1-float64(i)/2)+4, share)
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
	fmt.Fprintf(b, "<h3>Drive time</h3>\n<svg width=\"%.0f\" height=\"60\">\n", width+130)
	x := 0.
	for u := range uses {
		share := m.Drives[u.String()]
		colour := colours[int(u+5)%len(colours)]
		fmt.Fprintf(b, "<rect x=\"%.1f\" y=\"0\" width=\"%.1f\" height=\"30\" fill=\"%s\"/><text x=\"%.0f\" y=\"48\" fill=\"%s\">%s %.1f %%</text>\n",
			x*width, share*width, colour, 100*float64(u), colour, u, 100*share)
		x += share
	}
	b.WriteString("</svg>\n")
}

// open draws how many requests were open.
func (m *Measures) open(b *strings.Builder) {
	frame(b, "Open requests")
	most, last := 1, 1.
	for _, p := range m.Queue {
		most, last = max(most, p.Open), max(last, p.At)
	}
	line(b, colours[1], len(m.Queue), func(i int) (float64, float64) {
		return m.Queue[i].At / last, float64(m.Queue[i].Open) / float64(most)
	})
	fmt.Fprintf(b, "<text x=\"-45\" y=\"4\">%d</text><text x=\"%.0f\" y=\"%.0f\">%s</text></svg>\n", most, width-50, height+15, span(last))
}
