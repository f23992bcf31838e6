package simulate

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
)

// The report's drawings are well-formed by themselves, and name every tier and every use of the drives with its share.
func TestReport(t *testing.T) {
	c := Default()
	c.Workload.Requests, c.Workload.Expedited, c.Workload.Bulk, c.Workload.Burns, c.Workload.ScrubDays = 200, .1, .4, 1, 90
	c.Trouble = everything()
	m, err := Run(c)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := WriteReport(&b, "a < b", []*Measures{m}); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if strings.Contains(page, "%!") || strings.Contains(page, "NaN") || !strings.Contains(page, "a &lt; b") {
		t.Errorf("what is printed makes no sense:\n%s", page)
	}
	drawings := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1)
	if len(drawings) != 3 {
		t.Fatalf("%d drawings, want 3", len(drawings))
	}
	for _, d := range drawings {
		dec := xml.NewDecoder(strings.NewReader(d))
		for {
			if _, err := dec.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in %s", err, d)
			}
		}
	}
	for u := range uses {
		if !strings.Contains(drawings[1], ">"+u.String()+" ") {
			t.Errorf("the time that drives spend with %s is not named", u)
		}
	}
	for what := range wrongColours {
		if !strings.Contains(drawings[2], ">"+what+"<") {
			t.Errorf("it isn't shown when %s", what)
		}
	}
	if !strings.Contains(page, "the set was read for") || !strings.Contains(page, "nothing could move for") {
		t.Error("what went wrong isn't said")
	}
	for _, c := range m.Completions {
		if !strings.Contains(drawings[0], ">"+c.Tier+"<") {
			t.Errorf("the curve of %s is not named", c.Tier)
		}
	}
}
