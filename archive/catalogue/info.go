package catalogue

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/odarchive/odarchive/archive"
)

// info is disc_info.json. date, disc_num and num_discs are the ancestor's (odarchive 0.1), which wrote the numbers as strings.
type info struct {
	Format    string        `json:"format"`
	Version   int           `json:"version"`
	Disc      string        `json:"disc"`
	Label     string        `json:"label"`
	Number    number        `json:"disc_num"`
	Discs     number        `json:"num_discs,omitempty"`
	SetID     string        `json:"set_id,omitempty"`
	JobID     string        `json:"job_id,omitempty"`
	GUID      string        `json:"guid"`
	Vault     string        `json:"vault,omitempty"`
	Policy    *infoPolicy   `json:"vault_policy,omitempty"`
	Library   string        `json:"library,omitempty"`
	LibraryID string        `json:"library_id,omitempty"`
	Medium    string        `json:"medium"`
	Capacity  int64         `json:"medium_sectors,omitempty"`
	Date      stamp         `json:"date"`
	Parity    *infoParity   `json:"parity_set,omitempty"`
	Program   []Tool        `json:"program,omitempty"`
	Archives  []infoArchive `json:"archives"`
}

type infoArchive struct {
	ID          string       `json:"id"`
	Name        string       `json:"name"`
	Description string       `json:"description,omitempty"`
	Directory   string       `json:"directory"`
	Sealed      time.Time    `json:"sealed"`
	Manifest    string       `json:"manifest"`
	RootHash    archive.Hash `json:"root_hash"`
}

type infoPolicy struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Copies  int       `json:"copies"`
	MaxWait int64     `json:"max_wait_seconds"`
	Roots   int       `json:"roots"`
}

// maxCapacity is beyond any medium, in sectors: 16 TiB.
const maxCapacity = 1 << 33

// maxWait bounds what is believed of a vault's longest wait, in seconds: a time.Duration holds it.
const maxWait = 1 << 33

// policy reads what a disc claims of its vault.
func (i *infoPolicy) policy() (*Policy, error) {
	if i == nil {
		return nil, nil
	}
	if !validUUID(i.ID) || i.Copies < 1 || i.Copies > 100 || i.MaxWait < 0 || i.MaxWait > maxWait || i.Roots < 0 || i.Roots > 170 {
		return nil, fmt.Errorf("read %s: vault %.60q with %d copies, a wait of %d seconds and %d roots is none", InfoName, i.ID, i.Copies, i.MaxWait, i.Roots)
	}
	return &Policy{i.ID, i.Created.UTC(), i.Copies, time.Duration(i.MaxWait) * time.Second, i.Roots}, nil
}

type infoParity struct {
	Set    string `json:"set"`
	Index  int    `json:"index"`
	Data   int    `json:"data"`
	Parity int    `json:"parity"`
}

const (
	infoFormat  = "odarchive-disc"
	infoVersion = 1
)

// number is a whole number that the ancestor may have written as a string, or as "None" where there was none.
type number int64

func (n *number) UnmarshalJSON(b []byte) error {
	text := strings.Trim(string(b), `"`)
	if text == "None" || text == "null" {
		*n = 0
		return nil
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v < 0 || v > maxDiscs {
		return fmt.Errorf("%.40s is no number of discs", b)
	}
	*n = number(v)
	return nil
}

// stamp is a time; the ancestor wrote none of its zone.
type stamp struct{ time.Time }

func (s *stamp) UnmarshalJSON(b []byte) error {
	text := strings.Trim(string(b), `"`)
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(form, text); err == nil {
			s.Time = t.UTC()
			return nil
		}
	}
	return fmt.Errorf("%.40s is no time", b)
}

// Info returns disc_info.json.
func Info(d *Disc) ([]byte, error) {
	i := info{
		Format: infoFormat, Version: infoVersion, Disc: d.ImageID, Label: d.Label, Number: number(d.Number), Discs: number(d.Discs), SetID: d.SetID, JobID: d.JobID,
		GUID: d.GUID, Vault: d.Vault, Library: d.Library, LibraryID: d.LibraryID, Medium: d.Medium, Capacity: d.Capacity,
		Date: stamp{d.Created.UTC()}, Program: d.Program, Archives: []infoArchive{},
	}
	if p := d.Policy; p != nil {
		i.Policy = &infoPolicy{p.VaultID, p.Created.UTC(), p.Copies, int64(p.MaxWait / time.Second), p.Roots}
	}
	if p := d.Parity; p != nil {
		i.Parity = &infoParity{p.Set, p.Index, p.Data, p.Images}
	}
	for _, a := range d.Archives {
		i.Archives = append(i.Archives, infoArchive{a.ID, a.Name, a.Description, below(a.Directory), a.Sealed.UTC(), ManifestPath(a.ID), a.RootHash})
	}
	b, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", InfoName, err)
	}
	return append(b, '\n'), nil
}

// below returns the path of an archive's directory from the root of the disc.
func below(directory string) string {
	if directory == "." {
		return DataDir
	}
	return DataDir + "/" + directory
}

// ReadInfo reads a disc_info.json that may be damaged, hostile or from a newer version. One of the ancestor's gives a Disc without
// an ImageID.
func ReadInfo(b []byte) (*Disc, error) {
	var i info
	if err := json.Unmarshal(b, &i); err != nil {
		// A newer version may have other types: its number comes first.
		var v struct {
			Version number `json:"version"`
		}
		if json.Unmarshal(b, &v) == nil && v.Version > infoVersion {
			return nil, newer(InfoName, int(v.Version), infoVersion)
		}
		return nil, fmt.Errorf("read %s: %w", InfoName, err)
	}
	switch {
	case i.Version > infoVersion:
		return nil, newer(InfoName, i.Version, infoVersion)
	case i.Format == "" && i.Version == 0 && !i.Date.IsZero():
		return &Disc{Number: int64(i.Number), Discs: int64(i.Discs), Created: i.Date.Time}, nil
	case i.Format != infoFormat || i.Version != infoVersion:
		return nil, fmt.Errorf("read %s: format %q of version %d, want %q", InfoName, i.Format, i.Version, infoFormat)
	}
	for _, id := range []string{i.Disc, i.SetID, i.JobID, i.GUID, i.LibraryID} {
		if id != "" && !validUUID(id) {
			return nil, fmt.Errorf("read %s: %.60q is no UUID", InfoName, id)
		}
	}
	if i.Capacity < 0 || i.Capacity > maxCapacity {
		return nil, fmt.Errorf("read %s: a disc of %d sectors", InfoName, i.Capacity)
	}
	policy, err := i.Policy.policy()
	if err != nil {
		return nil, err
	}
	d := &Disc{
		ImageID: i.Disc, Label: i.Label, Number: int64(i.Number), Discs: int64(i.Discs), SetID: i.SetID, JobID: i.JobID, GUID: i.GUID,
		Vault: i.Vault, Policy: policy, LibraryID: i.LibraryID, Library: i.Library, Medium: i.Medium, Capacity: i.Capacity, Created: i.Date.Time,
	}
	if p := i.Parity; p != nil {
		if !validUUID(p.Set) || p.Data < 1 || p.Parity < 1 || p.Data > 255 || p.Parity > 255-p.Data || p.Index < 0 || p.Index >= p.Data+p.Parity {
			return nil, fmt.Errorf("read %s: image %d of the set %.60q of %d+%d: there is no such", InfoName, p.Index, p.Set, p.Data, p.Parity)
		}
		d.Parity = &Parity{p.Set, p.Index, p.Data, p.Parity}
	}
	for k := range i.Program {
		if err := i.Program[k].Validate(); err != nil {
			return nil, fmt.Errorf("read %s: %w", InfoName, err)
		}
	}
	d.Program = i.Program
	for _, a := range i.Archives {
		dir := "."
		if a.Directory != DataDir {
			var ok bool
			if dir, ok = strings.CutPrefix(a.Directory, DataDir+"/"); !ok {
				dir = ""
			}
		}
		if archive.ValidPath(dir) != nil || !validUUID(a.ID) || a.Manifest != ManifestPath(a.ID) {
			return nil, fmt.Errorf("read %s: archive %.60q lies in %.200q with the manifest %.200q: not a place on this disc", InfoName, a.ID, a.Directory, a.Manifest)
		}
		d.Archives = append(d.Archives, Archive{ID: a.ID, Name: a.Name, Description: a.Description, Directory: dir, RootHash: a.RootHash, Sealed: a.Sealed.UTC()})
	}
	return d, nil
}

// VersionError says that something on a disc was written by a newer program.
type VersionError struct {
	Name           string
	Version, Known int
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("read %s: version %d, up to %d is known: a newer odarchive wrote it", e.Name, e.Version, e.Known)
}

func newer(name string, version, known int) error { return &VersionError{name, version, known} }

// validUUID says whether s has the form of a UUID (RFC 9562 §4), in lower or upper case.
func validUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return false
		}
	}
	return true
}
