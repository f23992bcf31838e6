package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/odarchive/odarchive/archive/survey"
)

// surveyedMissing is what the snapshots on parity discs tell of, and the discs that were given are not or don't speak of.
type surveyedMissing struct {
	Snapshots int                      `json:"snapshots"` // that were read; without any, nothing is known to be missing
	Discs     []surveyedMissingDisc    `json:"discs"`
	Archives  []surveyedMissingArchive `json:"archives"`
	Gaps      []surveyedMissingLink    `json:"absent_snapshots"`
}

type surveyedMissingDisc struct {
	Image  string   `json:"image"`
	Label  string   `json:"label"`
	Number int64    `json:"number"`
	Vault  string   `json:"vault"`
	Medium string   `json:"medium"`
	Set    string   `json:"set,omitempty"`
	Index  int      `json:"index"`
	Discs  []string `json:"discs"` // labels in the library's catalogue
}

type surveyedMissingArchive struct {
	ID    string `json:"id"`
	Vault string `json:"vault"`
	Name  string `json:"name"`
	State string `json:"state"`
}

type surveyedMissingLink struct {
	ID     string `json:"id"`
	SHA256 string `json:"sha256"`
	By     string `json:"followed_by"`
}

func surveyedMissingOf(m *survey.Missing) surveyedMissing {
	s := surveyedMissing{m.Snapshots, []surveyedMissingDisc{}, []surveyedMissingArchive{}, []surveyedMissingLink{}}
	for _, d := range m.Discs {
		s.Discs = append(s.Discs, surveyedMissingDisc{d.Image, d.Label, d.Number, d.Vault, d.Medium, d.Set, d.Index, append([]string{}, d.Discs...)})
	}
	for _, a := range m.Archives {
		s.Archives = append(s.Archives, surveyedMissingArchive(a))
	}
	for _, g := range m.Gaps {
		s.Gaps = append(s.Gaps, surveyedMissingLink{g.Of.ID, g.Of.SHA256.String(), g.By.ID})
	}
	return s
}

func (s *surveyedMissing) any() bool { return len(s.Discs)+len(s.Archives)+len(s.Gaps) > 0 }

func (s *surveyedMissing) show(w io.Writer) {
	for _, d := range s.Discs {
		of := ""
		if d.Set != "" {
			of = fmt.Sprintf(", number %d of set %s", d.Index, d.Set)
		}
		if len(d.Discs) > 0 {
			of += ", disc " + printable(strings.Join(d.Discs, " or "))
		}
		fmt.Fprintf(w, "not given: disc %s of vault %s (%s%s)\n", d.Label, printable(d.Vault), d.Image, of)
	}
	for _, a := range s.Archives {
		fmt.Fprintf(w, "on none of the discs: archive %s %s of vault %s, which was %s\n", a.ID, printable(a.Name), printable(a.Vault), a.State)
	}
	for _, g := range s.Gaps {
		fmt.Fprintf(w, "not given: the parity disc with snapshot %s of the catalogue, which snapshot %s follows: more may be missing\n", g.ID, g.By)
	}
}
