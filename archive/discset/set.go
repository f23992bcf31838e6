package discset

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/odarchive/odarchive/archive"
)

// Member is a data image of a set.
type Member struct {
	Index   int    // from 0
	ImageID string // UUID in lower case
	Label   string
	// Sectors are what the set protects, from sector 0: the image without the error correction of its own that may follow on the
	// disc, which can be computed again.
	Sectors int64
	SHA256  archive.Hash // of those sectors
	// DiscSectors are those of the whole image as it was burned; 0 when there are no others.
	DiscSectors int64
}

// Parity is a parity image of a set.
type Parity struct {
	ImageID string
	Label   string
	SHA256  archive.Hash // of its parity file
}

// Set is a whole set: what set.json on its parity discs says.
type Set struct {
	ID       string // UUID in lower case
	Geometry Geometry
	Created  time.Time
	Members  []Member     // in ascending order of Index
	Parities []Parity     // Geometry.Parity of them
	Checks   archive.Hash // of the file of checksums
}

// Sectors returns how many sectors a parity file has: those of the longest member.
func (s *Set) Sectors() int64 { return longest(s.Members) }

func longest(members []Member) (n int64) {
	for _, m := range members {
		n = max(n, m.Sectors)
	}
	return n
}

// member returns the member with that index, or nil when the set has none there: it is zero.
func (s *Set) member(index int) *Member {
	for i := range s.Members {
		if s.Members[i].Index == index {
			return &s.Members[i]
		}
	}
	return nil
}

// sectors returns how many sectors image index has; behind them it is zero.
func (s *Set) sectors(index int) int64 {
	if index >= s.Geometry.Data {
		return s.Sectors()
	}
	if m := s.member(index); m != nil {
		return m.Sectors
	}
	return 0
}

// sum returns the hash of image index.
func (s *Set) sum(index int) archive.Hash {
	if index >= s.Geometry.Data {
		return s.Parities[index-s.Geometry.Data].SHA256
	}
	return s.member(index).SHA256
}

const (
	setFormat  = "odarchive-disc-set"
	setVersion = 1
	matrixText = "parity i of data j, both from 0: (255 xor j) / ((255 - i) xor j)"
	// mostSectors is beyond any medium: 16 TiB.
	mostSectors = 1 << 33
)

type setJSON struct {
	Format       string       `json:"format"`
	Version      int          `json:"version"`
	Set          string       `json:"set"`
	Created      time.Time    `json:"created"`
	Data         int          `json:"data"`
	Parity       int          `json:"parity"`
	SectorBytes  int          `json:"sector_bytes"`
	Sectors      int64        `json:"sectors"`
	BlockSectors int          `json:"block_sectors"`
	Field        int          `json:"field_polynomial"`
	Matrix       string       `json:"matrix"`
	Checks       archive.Hash `json:"checks_sha256"`
	Members      []memberJSON `json:"members"`
	Parities     []memberJSON `json:"parities"`
}

type memberJSON struct {
	Index       int          `json:"index"`
	Image       string       `json:"image"`
	Label       string       `json:"label"`
	Sectors     int64        `json:"sectors"`
	SHA256      archive.Hash `json:"sha256"`
	DiscSectors int64        `json:"disc_sectors,omitempty"`
}

// JSON returns set.json.
func (s *Set) JSON() ([]byte, error) {
	if err := s.validate(); err != nil {
		return nil, fmt.Errorf("write %s: %w", SetName, err)
	}
	j := setJSON{
		Format: setFormat, Version: setVersion, Set: s.ID, Created: s.Created.UTC(), Data: s.Geometry.Data, Parity: s.Geometry.Parity,
		SectorBytes: sectorSize, Sectors: s.Sectors(), BlockSectors: blockSectors, Field: polynomial, Matrix: matrixText, Checks: s.Checks,
	}
	for _, m := range s.Members {
		j.Members = append(j.Members, memberJSON{m.Index, m.ImageID, m.Label, m.Sectors, m.SHA256, m.DiscSectors})
	}
	for i, p := range s.Parities {
		j.Parities = append(j.Parities, memberJSON{s.Geometry.Data + i, p.ImageID, p.Label, s.Sectors(), p.SHA256, 0})
	}
	b, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", SetName, err)
	}
	return append(b, '\n'), nil
}

// ReadSet reads a set.json that may be damaged, hostile or from a newer version.
func ReadSet(b []byte) (*Set, error) {
	s, err := readSet(b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", SetName, err)
	}
	return s, nil
}

func readSet(b []byte) (*Set, error) {
	var j setJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return nil, err
	}
	switch {
	case j.Format != setFormat:
		return nil, fmt.Errorf("format %q, want %q", j.Format, setFormat)
	case j.Version != setVersion:
		return nil, fmt.Errorf("version %d, only %d is known: a newer odarchive wrote it", j.Version, setVersion)
	case j.SectorBytes != sectorSize || j.BlockSectors != blockSectors || j.Field != polynomial || j.Matrix != matrixText:
		return nil, fmt.Errorf("sectors of %d bytes, blocks of %d sectors, polynomial %d, matrix %q: not what version %d has", j.SectorBytes, j.BlockSectors, j.Field, j.Matrix, setVersion)
	}
	s := &Set{ID: j.Set, Geometry: Geometry{j.Data, j.Parity}, Created: j.Created, Checks: j.Checks}
	for _, m := range j.Members {
		s.Members = append(s.Members, Member{m.Index, m.Image, m.Label, m.Sectors, m.SHA256, m.DiscSectors})
	}
	for i, p := range j.Parities {
		if p.Index != j.Data+i || p.Sectors != j.Sectors || p.DiscSectors != 0 {
			return nil, fmt.Errorf("parity image %d has index %d and %d sectors, want %d and %d", i, p.Index, p.Sectors, j.Data+i, j.Sectors)
		}
		s.Parities = append(s.Parities, Parity{p.Image, p.Label, p.SHA256})
	}
	if err := s.validate(); err != nil {
		return nil, err
	}
	if s.Sectors() != j.Sectors {
		return nil, fmt.Errorf("%d sectors, its longest member has %d", j.Sectors, s.Sectors())
	}
	return s, nil
}

func (s *Set) validate() error {
	if err := s.Geometry.Validate(); err != nil {
		return err
	}
	if !validUUID(s.ID) {
		return fmt.Errorf("%q is no UUID", s.ID)
	}
	if len(s.Members) == 0 || len(s.Parities) != s.Geometry.Parity {
		return fmt.Errorf("%d members and %d parity images in a set of %v", len(s.Members), len(s.Parities), s.Geometry)
	}
	ids, last := map[string]bool{}, -1
	for _, m := range s.Members {
		if err := m.validate(s.Geometry); err != nil {
			return err
		}
		if m.Index <= last || ids[m.ImageID] {
			return fmt.Errorf("member %d, image %s: out of order or twice", m.Index, m.ImageID)
		}
		last, ids[m.ImageID] = m.Index, true
	}
	for i, p := range s.Parities {
		if !validUUID(p.ImageID) || ids[p.ImageID] {
			return fmt.Errorf("parity image %d: %q is no UUID, or an image twice", i, p.ImageID)
		}
		ids[p.ImageID] = true
	}
	return nil
}

func (m *Member) validate(g Geometry) error {
	switch {
	case m.Index < 0 || m.Index >= g.Data:
		return fmt.Errorf("member %d in a set of %v", m.Index, g)
	case !validUUID(m.ImageID):
		return fmt.Errorf("member %d: %q is no UUID", m.Index, m.ImageID)
	case m.Sectors < 1 || m.Sectors > mostSectors:
		return fmt.Errorf("member %d has %d sectors", m.Index, m.Sectors)
	case cmp.Or(m.DiscSectors, m.Sectors) < m.Sectors || m.DiscSectors > mostSectors:
		return fmt.Errorf("member %d has %d sectors on a disc of %d", m.Index, m.Sectors, m.DiscSectors)
	}
	return nil
}

// validUUID says whether id is a UUID in lower case: it becomes part of texts and names.
func validUUID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i, c := range id {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (c == '-') || !dash && !strings.ContainsRune("0123456789abcdef", c) {
			return false
		}
	}
	return true
}
