package survey

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/snapshot"
)

// told is a snapshot of the library's catalogue on a parity disc.
type told struct {
	where string
	fsys  fs.FS
	snapshot.Summary
}

// parity takes in a parity disc: that it is there, and the snapshot of the library's catalogue that it carries.
func (s *Survey) parity(where string, fsys fs.FS, d *catalogue.Disc) {
	s.discs[d.ImageID] = *d
	t := told{where: where, fsys: fsys}
	sum, err := t.read(nil)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		s.Doubts = append(s.Doubts, Doubt{where, err})
	default:
		t.Summary = sum
		s.told = append(s.told, t)
	}
}

// unnamed takes in a parity disc without disc_info.json, as the first ones are, and those whose set left no room for it: set.json names the parity
// discs of the set, and which of them this is follows from the hash of its parity file (docs/disc-format-sets.md, Files).
func (s *Survey) unnamed(where string, fsys fs.FS) error {
	b, err := small(fsys, discset.SetName)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoVault
	} else if err != nil {
		return err
	}
	set, err := discset.ReadSet(b)
	if err != nil {
		return err
	}
	sum, err := sumOf(fsys, discset.ParityFile)
	if err != nil {
		return fmt.Errorf("which parity disc of set %s it is: %w", set.ID, err)
	}
	for i, p := range set.Parities {
		n, ok := NumberOf(p.Label)
		if p.SHA256 != sum || !ok || p.ImageID == "" {
			continue
		}
		s.parity(where, fsys, &catalogue.Disc{
			ImageID: p.ImageID, Label: p.Label, Number: n, Created: set.Created,
			Parity: &catalogue.Parity{Set: set.ID, Index: set.Geometry.Data + i, Data: set.Geometry.Data, Images: set.Geometry.Parity},
		})
		return nil
	}
	return fmt.Errorf("it has none of the parity files of set %s, which it describes, or that set was made without a library: `odarchive set` knows it", set.ID)
}

// sumOf returns what a disc's SHA256SUMS says of a file in its root.
func sumOf(fsys fs.FS, name string) (h archive.Hash, err error) {
	f, err := fsys.Open(catalogue.SumsName)
	if err != nil {
		return h, err
	}
	defer f.Close()
	for sum, err := range catalogue.ReadSums(f) {
		if err != nil || sum.Path == name {
			return sum.Hash, err
		}
	}
	return h, fmt.Errorf("%s says nothing of %s", catalogue.SumsName, name)
}

func (t *told) read(each func(snapshot.Record) error) (snapshot.Summary, error) {
	f, err := t.fsys.Open(snapshot.Name)
	if err != nil {
		return snapshot.Summary{}, err
	}
	defer f.Close()
	return snapshot.Read(f, each)
}

// Missing is what the snapshots on parity discs tell of, and no disc that was added is or speaks of.
type Missing struct {
	Discs    []MissingDisc
	Archives []MissingArchive
	// Gaps are snapshots that others follow and that no disc gave: what only they told isn't here either.
	Gaps []snapshot.Gap
	// Snapshots is how many there are; without any, nothing is known of what is missing.
	Snapshots int
}

// MissingDisc is an image that should be on a disc, of which none was added.
type MissingDisc struct {
	Image  string // UUID
	Label  string // that the disc shows
	Number int64
	Vault  string
	Medium string
	Set    string // UUID; empty for none
	Index  int    // in the set
	// Discs are the labels, in the library's catalogue, of the discs that carried it when the snapshot was taken.
	Discs []string
}

// MissingArchive is an archive of which no disc that was added says anything.
type MissingArchive struct{ ID, Vault, Name, State string }

// catalog is what snapshots say together.
type catalog struct {
	vaults   map[string]string // names by id
	images   map[string]*snapshot.Image
	discs    map[string]*snapshot.Disc // by label
	parities map[string]*snapshot.Set  // by parity image
	archives map[string]MissingArchive // of which no disc speaks, by id
}

// Missing reads the snapshots again, oldest first, and says what they tell of and the discs don't.
func (s *Survey) Missing() (*Missing, error) {
	var all []snapshot.Summary
	for _, t := range s.told {
		all = append(all, t.Summary)
	}
	order, gaps := snapshot.Chain(all)
	c := &catalog{map[string]string{}, map[string]*snapshot.Image{}, map[string]*snapshot.Disc{}, map[string]*snapshot.Set{}, map[string]MissingArchive{}}
	spoken := map[string]bool{}
	for _, k := range s.archives {
		spoken[k.ID] = true
	}
	for _, i := range order {
		if _, err := s.told[i].read(func(r snapshot.Record) error { c.take(r, spoken); return nil }); err != nil {
			return nil, fmt.Errorf("survey %s: %w", s.told[i].where, err)
		}
	}
	m := &Missing{Gaps: gaps, Snapshots: len(order)}
	m.Discs = c.missing(s.discs)
	for _, a := range c.archives {
		if a.State != "deleted" {
			a.Vault = cmp.Or(c.vaults[a.Vault], a.Vault)
			m.Archives = append(m.Archives, a)
		}
	}
	slices.SortFunc(m.Archives, func(a, b MissingArchive) int {
		return cmp.Or(cmp.Compare(a.Vault, b.Vault), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return m, nil
}

func (c *catalog) take(r snapshot.Record, spoken map[string]bool) {
	switch r := r.(type) {
	case *snapshot.Vault:
		c.vaults[r.ID] = r.Name
	case *snapshot.Image:
		c.images[r.ID] = r
	case *snapshot.Disc:
		c.discs[r.Label] = r
	case *snapshot.Set:
		for _, p := range r.Parities {
			c.parities[p.ID] = r
		}
	case *snapshot.Archive:
		if !spoken[r.ID] {
			c.archives[r.ID] = MissingArchive{r.ID, r.Vault, r.Name, r.State}
		}
	}
}

// missing returns the images that were built, or are the parity of a set that is closed, and that no disc here is. Those whose discs have all
// been retired are not looked for.
func (c *catalog) missing(here map[string]catalogue.Disc) (all []MissingDisc) {
	labels, retired := map[string][]string{}, map[string]bool{}
	for label, d := range c.discs {
		switch d.State {
		case "retired":
			retired[d.Image] = true
		case "burning", "verifying", "good", "suspect":
			labels[d.Image] = append(labels[d.Image], label)
		}
	}
	add := func(m MissingDisc) {
		if _, ok := here[m.Image]; ok || len(labels[m.Image]) == 0 && retired[m.Image] {
			return
		}
		m.Label, m.Discs, m.Vault = catalogue.LabelOf(m.Number), labels[m.Image], cmp.Or(c.vaults[m.Vault], m.Vault)
		slices.Sort(m.Discs)
		all = append(all, m)
	}
	for id, i := range c.images {
		if i.SHA256 == nil && len(labels[id]) == 0 {
			continue
		}
		m := MissingDisc{Image: id, Number: i.Number, Vault: i.Vault, Medium: i.Medium, Set: i.Set}
		if i.Index != nil {
			m.Index = *i.Index
		}
		add(m)
	}
	for id, s := range c.parities {
		if c.images[id] != nil {
			continue
		}
		n := slices.IndexFunc(s.Parities, func(p snapshot.Numbered) bool { return p.ID == id })
		if n < 0 { // a later record of the set names others
			continue
		}
		add(MissingDisc{Image: id, Number: s.Parities[n].Number, Vault: s.Vault, Medium: s.Medium, Set: s.ID, Index: s.Data + n})
	}
	slices.SortFunc(all, func(a, b MissingDisc) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Image, b.Image))
	})
	return all
}

// Told is what the snapshots on parity discs gave to a catalogue that was put together from discs.
type Told struct {
	Missing
	// How many discs, readings of discs and steps in their health records were made or filled in.
	Discs, Readings, Steps int64
	// Doubts are the snapshots that are damaged, by their place among those that were given.
	Doubts map[int]error
}
