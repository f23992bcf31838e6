package agent

import (
	"slices"
	"strings"

	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/excerpt"
	surveys "github.com/odarchive/odarchive/archive/survey"
	"github.com/odarchive/odarchive/internal/found"
)

// missing returns the discs that their sets name and of which there is no excerpt, in the order of sets.
func (s *surveying) missing() (all []MissingDisc, err error) {
	sets, err := s.sets()
	if err != nil {
		return nil, err
	}
	for _, set := range sets {
		lacks := func(image, label string) {
			if _, ok := s.folder.Disc(image); !ok {
				all = append(all, MissingDisc{Set: set.ID, Image: image, Label: label})
			}
		}
		for _, m := range set.Members {
			lacks(m.ImageID, m.Label)
		}
		for _, p := range set.Parities {
			lacks(p.ImageID, p.Label)
		}
	}
	return all, nil
}

// sets returns what the parity discs say of their sets, in the order of ids.
func (s *surveying) sets() (all []*discset.Set, err error) {
	seen := map[string]bool{}
	for _, d := range s.folder.Discs() {
		if d.Set == "" || d.Own > 0 || seen[d.Set] {
			continue
		}
		set, err := s.setOf(d)
		if err != nil {
			return nil, err
		}
		if set != nil {
			seen[d.Set] = true
			all = append(all, set)
		}
	}
	slices.SortFunc(all, func(a, b *discset.Set) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// setOf returns what a parity disc says of its set; nil for another disc.
func (s *surveying) setOf(d found.Disc) (*discset.Set, error) {
	x, err := excerpt.Open(d.Path)
	if err != nil {
		return nil, err
	}
	defer x.Close()
	disc, err := surveys.Open(s.hard, x, x.Sectors)
	if err != nil {
		return nil, err
	}
	return disc.Set, nil
}
