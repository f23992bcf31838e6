package survey

import (
	"fmt"
	"slices"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
)

// Archive is what the discs give back of an archive.
type Archive struct {
	catalogue.Archive
	Vault string // UUID, or on discs that don't say it the name
	// Listed says that its manifest is on one of the discs, whole. Without it nothing more is known of the archive.
	Listed bool
	// Contested says that another disc claims another root hash of the same id. Each is reported for itself.
	Contested      bool
	Entries, Bytes int64 // of the manifest; each content counts once for every name that is no hard link
	// Absent are the files of which bytes are on none of the discs, in ascending order of paths.
	Absent []Absent
}

// Whole says that every byte of the archive is on the discs, as far as they say.
func (a *Archive) Whole() bool { return a.Listed && len(a.Absent) == 0 }

// Absent is a file that the discs don't give back whole.
type Absent struct {
	Path    string
	Content archive.Content
	Gaps    []Gap
}

// Gap is a run of a content that is on none of the discs, in bytes.
type Gap struct{ Offset, Length int64 }

// Report calls yield for every archive that a disc speaks of, in the order of vaults and ids, until it returns an error. It reads
// manifests again, one at a time. Nothing of the order in which discs were added shows in it.
func (s *Survey) Report(yield func(Archive) error) error {
	claims := map[string]int{} // by id
	for _, k := range s.archives {
		claims[k.ID]++
	}
	for _, key := range s.keys() {
		k := s.archives[key]
		a := Archive{Archive: k.Archive, Vault: k.vault, Listed: k.manifest != nil, Contested: claims[k.ID] > 1}
		if a.Listed {
			if err := s.look(k, &a); err != nil {
				return fmt.Errorf("report on archive %s: %w", k.ID, err)
			}
		}
		if err := yield(a); err != nil {
			return err
		}
	}
	return nil
}

// look reads the manifest of an archive for what is absent.
func (s *Survey) look(k *known, a *Archive) error {
	r, err := k.manifest()
	if err != nil {
		return err
	}
	defer r.Close()
	m := catalogue.NewManifestReader(r)
	for e, err := range m.Entries() {
		if err != nil {
			return err
		}
		a.Entries++
		if e.Kind != archive.File {
			continue
		}
		if e.HardLink == "" {
			a.Bytes += e.Content.Size
		}
		if gaps := s.missing(content{k.vault, e.Content}); len(gaps) > 0 {
			a.Absent = append(a.Absent, Absent{e.Path, e.Content, gaps})
		}
	}
	if m.Hash() != k.RootHash {
		return fmt.Errorf("its manifest has the hash %v now, not %v: the disc has changed", m.Hash(), k.RootHash)
	}
	a.ManifestSize = m.Size()
	return nil
}

// Discs returns what each image says of itself, in ascending order of numbers.
func (s *Survey) Discs() []catalogue.Disc {
	all := make([]catalogue.Disc, 0, len(s.discs))
	for _, d := range s.discs {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b catalogue.Disc) int { return int(a.Number - b.Number) })
	return all
}
