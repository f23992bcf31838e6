// Package survey puts together what discs say of themselves when nothing else is left: which archives there were, which of them
// the discs at hand give back whole, and which bytes are on none of them. It believes a manifest by its hash alone, and knows nothing
// of databases or devices.
package survey

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/excerpt"
)

// maxInfo bounds a disc_info.json, in bytes: 64 Ki archives on one disc.
const maxInfo = 64 << 20

// Survey is what the discs read so far say together. The zero value knows nothing yet. It is used by one goroutine.
type Survey struct {
	discs    map[string]catalogue.Disc // by image
	archives map[string]*known         // by id and root hash: two discs may claim different things of one id
	contents map[content][]span
	told     []told // on parity discs
	// Doubts are what was found wrong with discs and is not believed; the rest of such a disc is.
	Doubts []Doubt
}

// Doubt is something on a disc that is damaged, or contradicts another one.
type Doubt struct {
	Disc string // where the disc was read from
	Err  error
}

func (d Doubt) Error() string { return fmt.Sprintf("%s: %v", d.Disc, d.Err) }
func (d Doubt) Unwrap() error { return d.Err }

// content is a content of a vault: vaults share nothing.
type content struct {
	vault string
	archive.Content
}

// span is a run of a content that a disc has, in bytes.
type span struct{ offset, end int64 }

// known is an archive that some disc speaks of.
type known struct {
	catalogue.Archive
	vault    string
	manifest func() (io.ReadCloser, error) // nil as long as no disc had it whole
}

// Add reads what a disc says of itself. fsys is the disc; where names it in doubts and errors. The same image may be added several
// times. fsys is read again by Report. An error says that the disc is no use at all: it has no disc_info.json that can be read, nor is it a
// parity disc, whose set.json is enough.
func (s *Survey) Add(where string, fsys fs.FS) error {
	if s.discs == nil {
		s.discs, s.archives, s.contents = map[string]catalogue.Disc{}, map[string]*known{}, map[content][]span{}
	}
	b, err := small(fsys, catalogue.InfoName)
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.unnamed(where, fsys); err == nil {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("survey %s: %w", where, err)
	}
	d, err := catalogue.ReadInfo(b)
	if err != nil {
		return fmt.Errorf("survey %s: %w", where, err)
	}
	if d.ImageID == "" || d.LibraryID == "" {
		return fmt.Errorf("survey %s: %w", where, ErrNoVault)
	}
	if d.OfParity() {
		s.parity(where, fsys, d)
		return nil
	}
	vault := d.Vault
	if d.Policy != nil {
		vault = d.Policy.VaultID
	}
	doubt := func(err error) {
		if err != nil {
			s.Doubts = append(s.Doubts, Doubt{where, err})
		}
	}
	if other, ok := s.discs[d.ImageID]; ok && (other.Label != d.Label || other.Vault != d.Vault || !other.Created.Equal(d.Created)) {
		doubt(fmt.Errorf("it claims to be image %s, as another disc does that says other things of itself", d.ImageID))
	}
	s.discs[d.ImageID] = *d
	for _, a := range d.Archives {
		doubt(s.archive(fsys, vault, a))
	}
	doubt(s.files(fsys, vault))
	return nil
}

// ErrNoVault says that a disc was made without a library: there is nothing on it for a catalogue.
var ErrNoVault = errors.New("it belongs to no vault: `odarchive iso` reads it")

func small(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxInfo+1))
	if err == nil && len(b) > maxInfo {
		err = fmt.Errorf("%s has more than %d bytes", name, maxInfo)
	}
	return b, err
}

// archive takes an archive in, and checks the disc's manifest of it unless another disc had that whole.
func (s *Survey) archive(fsys fs.FS, vault string, a catalogue.Archive) error {
	key := vault + " " + a.ID + " " + a.RootHash.String()
	k := s.archives[key]
	if k == nil {
		k = &known{Archive: a, vault: vault}
		s.archives[key] = k
	}
	if k.manifest != nil {
		return nil
	}
	open := func() (io.ReadCloser, error) { return fsys.Open(catalogue.ManifestPath(a.ID)) }
	r, err := open()
	if err != nil {
		return fmt.Errorf("archive %s: %w", a.ID, err)
	}
	defer r.Close()
	m := catalogue.NewManifestReader(r)
	for _, err := range m.Entries() {
		if _, ok := errors.AsType[*excerpt.AbsentError](err); ok {
			return &unlisted{key, fmt.Errorf("archive %s: %w", a.ID, err)}
		}
		if err != nil {
			return fmt.Errorf("archive %s: %w", a.ID, err)
		}
	}
	if m.Hash() != a.RootHash {
		return fmt.Errorf("archive %s: its manifest has the hash %v, the disc says %v", a.ID, m.Hash(), a.RootHash)
	}
	k.manifest = open
	s.Doubts = slices.DeleteFunc(s.Doubts, func(d Doubt) bool {
		u, ok := errors.AsType[*unlisted](d.Err)
		return ok && u.archive == key
	})
	return nil
}

// unlisted says that an excerpt of a disc is without the list of an archive. That is no fault as soon as another disc gives the list: whoever makes
// excerpts of many discs keeps each list once.
type unlisted struct {
	archive string // its key
	error
}

func (u *unlisted) Unwrap() error { return u.error }

// files takes in which contents the disc has.
func (s *Survey) files(fsys fs.FS, vault string) error {
	f, err := fsys.Open(catalogue.CatalogName)
	if err != nil {
		return err
	}
	defer f.Close()
	c, err := catalogue.Read(f)
	if err != nil {
		return err
	}
	for _, e := range c.Entries {
		h, ok := e.Digest.Hash()
		if !ok {
			continue
		}
		run := span{0, e.Size}
		if e.Part != nil {
			run = span{e.Part.Offset, e.Part.Offset + e.Part.Length}
		}
		key := content{vault, archive.Content{Hash: h, Size: e.Size}}
		if !slices.Contains(s.contents[key], run) {
			s.contents[key] = append(s.contents[key], run)
		}
	}
	return nil
}

// missing returns the runs of a content that no disc has.
func (s *Survey) missing(c content) (gaps []Gap) {
	spans := slices.SortedFunc(slices.Values(s.contents[c]), func(a, b span) int {
		switch {
		case a.offset < b.offset:
			return -1
		case a.offset > b.offset:
			return 1
		}
		return 0
	})
	at := int64(0)
	for _, x := range spans {
		if x.offset > at {
			gaps = append(gaps, Gap{at, x.offset - at})
		}
		at = max(at, x.end)
	}
	if at < c.Size {
		gaps = append(gaps, Gap{at, c.Size - at})
	}
	return gaps
}

// keys returns the archives in the order of vaults, ids and hashes.
func (s *Survey) keys() []string {
	all := make([]string, 0, len(s.archives))
	for k := range s.archives {
		all = append(all, k)
	}
	slices.SortFunc(all, strings.Compare)
	return all
}
