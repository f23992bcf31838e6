package survey

import (
	"io/fs"
	"testing"

	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/excerpt"
)

// without is an excerpt of a disc that has no list of an archive.
type without struct{ fs.FS }

func (w without) Open(name string) (fs.File, error) {
	f, err := w.FS.Open(name)
	if err == nil && name == catalogue.ManifestPath(uuid(500)) {
		return absent{f}, nil
	}
	return f, err
}

type absent struct{ fs.File }

func (absent) Read([]byte) (int, error) { return 0, &excerpt.AbsentError{Sector: 77} }

// A list that an excerpt has not is doubtful only as long as no other disc gives it.
func TestListsAreKeptOnce(t *testing.T) {
	files := []file{{"one", 5000, []int{1}}, {"two", 5000, []int{2}}}
	for name, order := range map[string][]fs.FS{
		"the list first": {disc(t, 1, files), without{disc(t, 2, files)}},
		"the list last":  {without{disc(t, 2, files)}, disc(t, 1, files)},
	} {
		s := &Survey{}
		for _, d := range order {
			if err := s.Add("disc", d); err != nil {
				t.Fatal(err)
			}
		}
		if all := report(t, s); len(s.Doubts) > 0 || len(all) != 1 || !all[0].Whole() {
			t.Errorf("%s: %v, %+v", name, s.Doubts, all)
		}
	}
	s := &Survey{}
	if err := s.Add("disc", without{disc(t, 2, files)}); err != nil {
		t.Fatal(err)
	}
	if all := report(t, s); len(s.Doubts) != 1 || len(all) != 1 || all[0].Listed {
		t.Errorf("no disc has the list: %v, %+v", s.Doubts, all)
	}
}
