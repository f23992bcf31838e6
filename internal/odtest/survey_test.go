package odtest

import (
	"strings"
	"testing"
)

// Discs alone say that an archive is whole, and without one of them exactly that something of it is absent.
func TestSurvey(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Sectors: 3000})
	source := s.path("source")
	s.fill(source, 1)
	a := s.put(source)
	s.CheckTruth(0)
	u := terminal{s, t}
	images := s.images()
	if len(images) < 2 {
		t.Fatalf("the archive is on %d discs, want several", len(images))
	}
	keys := []string{"discs", "archives", "doubts"}
	all := u.document(0, keys, append([]string{"survey"}, images...)...)[0]
	if discs := all["discs"].([]any); len(discs) != len(images) {
		t.Errorf("%d images are discs %v", len(images), discs)
	}
	got := all["archives"].([]any)[0].(map[string]any)
	if got["id"] != a.GetId() || got["whole"] != true || got["entries"] != float64(a.GetEntries()) {
		t.Errorf("all discs say %v", got)
	}
	for i := range images {
		rest := append(append([]string{"survey"}, images[:i]...), images[i+1:]...)
		got := u.document(4, keys, rest...)[0]["archives"].([]any)[0].(map[string]any)
		if got["whole"] != false || got["listed"] != true || len(got["absent"].([]any)) == 0 {
			t.Errorf("without %s the discs say %v", images[i], got)
		}
	}
	if out, _ := u.must(0, append([]string{"survey"}, images...)...); !strings.Contains(out, ": whole\n") {
		t.Errorf("survey printed %q", out)
	}
}
