package catalogue

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/odarchive/odarchive/archive"
)

// catalogueVersion goes on where the ancestor stopped: odarchive 0.1 wrote versions 1 and 2.
const (
	catalogueFormat  = "odarchive-catalogue"
	catalogueVersion = 3
	// maxDiscs bounds the numbers of discs that are believed.
	maxDiscs = 1 << 20
)

// Catalogue is catalogue.json: of a whole disc set, of one disc, or the ancestor's.
type Catalogue struct {
	// Version is that of the catalogue as it was read; what is written has the newest.
	Version int
	Saved   time.Time
	GUID    string // UUID that changes with every save
	SetID   string
	JobID   string
	JobName string
	Client  string
	Disc    string // UUID of the one disc that it is of; empty for a set
	// Root begins every name: "/Data", or what the ancestor was told.
	Root    string
	Source  string // folder that was archived, in the file system's bytes
	Medium  string // as it was asked for when the set was planned
	Segment int64  // bytes of each disc
	Discs   []SetDisc
	// Archives are the trees of the set. Their manifests lie beside the catalogue.
	Archives []SetArchive
	Entries  []Entry
}

// SetDisc is a disc of a set.
type SetDisc struct {
	Number  int64     `json:"disc_num"`
	ID      string    `json:"disc,omitempty"` // UUID; the ancestor's discs have none
	Label   string    `json:"label,omitempty"`
	SetID   string    `json:"set_id,omitempty"`
	Set     int64     `json:"set_disc_num,omitempty"` // number in the set of SetID, where sets were merged
	Of      int64     `json:"num_discs,omitempty"`    // discs of the set when it was planned
	Medium  string    `json:"medium,omitempty"`
	Sectors int64     `json:"sectors,omitempty"` // of its image
	Created time.Time `json:"created,omitzero"`
	State   DiscState `json:"state,omitempty"`
	// Plan is the GUID of the catalogue that the image holds, and Archives are those that it has manifests of.
	Plan     string   `json:"plan,omitempty"`
	Archives []string `json:"archives,omitempty"`
	Program  []Tool   `json:"program,omitempty"` // that the image holds
	SHA256   string   `json:"sha256,omitempty"`  // of the image, once it was made
}

// DiscState says how far a disc of a set has come. On a disc's own catalogue nobody knows: it is empty.
type DiscState string

// The states of a disc: what is planned may be planned anew, the rest stays as it is.
const (
	Planned DiscState = "planned"
	Created DiscState = "created"
	Burned  DiscState = "burned"
)

// Fixed says that the disc's image exists, or may exist, and its place in the set can't change any more.
func (d *SetDisc) Fixed() bool { return d.State == Created || d.State == Burned }

// SetArchive is an archive of a set.
type SetArchive struct {
	ID           string       `json:"id"`
	Name         string       `json:"name"`
	Directory    string       `json:"directory"` // below Root; "." for Root itself
	Source       RawString    `json:"source,omitempty"`
	Sealed       time.Time    `json:"sealed"`
	RootHash     archive.Hash `json:"root_hash"`
	ManifestSize int64        `json:"manifest_size"` // bytes
}

// Entry is a content with all its names in a set.
type Entry struct {
	Digest  Digest
	Size    int64 // bytes
	ModTime time.Time
	// Names are paths below Root, in bytes.
	Names []string
	// Runs say which discs carry the content, in the order of its bytes; none when it has no disc yet.
	Runs []DiscRun
	// Part is the part of the content that the one disc has whose catalogue this is; nil for a whole content, and in a set's
	// catalogue.
	Part *EntryPart
}

// EntryPart is a part of a content that is split over discs.
type EntryPart struct {
	Offset, Length int64 // bytes
	Part, Parts    int   // from 1
}

// DiscRun is a run of a content on a disc.
type DiscRun struct {
	Disc   int64 `json:"disc_num"`
	Offset int64 `json:"offset"` // bytes into the content
	Length int64 `json:"length"` // bytes
}

// RawString is bytes that mostly are UTF-8. In JSON they are a string, or else an object with the member "base64".
type RawString string

// MarshalJSON implements json.Marshaler.
func (s RawString) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(s)) {
		return appendString(nil, string(s)), nil
	}
	return fmt.Appendf(nil, `{"base64": %q}`, base64.StdEncoding.EncodeToString([]byte(s))), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *RawString) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err == nil {
		*s = RawString(text)
		return nil
	}
	var raw struct{ Base64 []byte }
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	*s = RawString(raw.Base64)
	return nil
}

// setHead is what stands before the files, in its order.
type setHead struct {
	Format   string       `json:"format"`
	Version  int          `json:"version"`
	Date     time.Time    `json:"date"`
	GUID     string       `json:"guid"`
	SetID    string       `json:"set_id,omitempty"`
	JobID    string       `json:"job_id,omitempty"`
	JobName  string       `json:"job_name,omitempty"`
	Client   string       `json:"client_name,omitempty"`
	Root     string       `json:"iso_path_root"`
	Source   RawString    `json:"source_path,omitempty"`
	Medium   string       `json:"segment_size_str,omitempty"`
	Segment  int64        `json:"segment_size,omitempty"`
	Discs    []SetDisc    `json:"discs"`
	Archives []SetArchive `json:"archives"`
}

// Current returns the newest archive of each folder: what a plan is made for, and what is restored.
func (c *Catalogue) Current() []SetArchive {
	newest := map[string]string{}
	for _, a := range c.Archives {
		newest[a.Directory] = a.ID
	}
	return slices.DeleteFunc(slices.Clone(c.Archives), func(a SetArchive) bool { return newest[a.Directory] != a.ID })
}

// Write writes the catalogue of a set. It is a pure function of c.
func (c *Catalogue) Write(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<20)
	h := setHead{
		catalogueFormat, catalogueVersion, c.Saved.UTC(), c.GUID, c.SetID, c.JobID, c.JobName, c.Client, c.Root, RawString(c.Source), c.Medium, c.Segment, c.Discs, c.Archives,
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(h); err != nil {
		return fmt.Errorf("write %s: %w", CatalogName, err)
	}
	out.Write(bytes.TrimSuffix(b.Bytes(), []byte("\n}\n")))
	out.WriteString(",\n \"files\": {")
	var line []byte
	for i := range c.Entries {
		line = c.appendEntry(line[:0], &c.Entries[i], i == 0)
		out.Write(line)
	}
	out.WriteString(catalogueTail)
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", CatalogName, err)
	}
	return nil
}

func (c *Catalogue) appendEntry(b []byte, e *Entry, first bool) []byte {
	b = appendKey(b, e.Digest, first)
	for i, name := range e.Names {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendName(b, c.Root+"/"+name)
	}
	b = appendFacts(b, e.Size, e.ModTime)
	switch {
	case len(e.Runs) == 1 && e.Runs[0].Offset == 0 && e.Runs[0].Length == e.Size:
		b = fmt.Appendf(b, `, "disc_num": %d`, e.Runs[0].Disc)
	case len(e.Runs) > 0:
		b = append(b, `, "runs": [`...)
		for i, r := range e.Runs {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = fmt.Appendf(b, `{"disc_num": %d, "offset": %d, "length": %d}`, r.Disc, r.Offset, r.Length)
		}
		b = append(b, ']')
	case e.Part != nil:
		b = appendPart(b, e.Part.Offset, e.Part.Length, e.Part.Part, e.Part.Parts)
	}
	return append(b, '}')
}

// RunSize is the most that one run takes in a catalogue, in bytes, and more than placing a whole content takes.
const RunSize = 100

// ToolSize is more than a tool takes in the entry of a disc in such a catalogue, besides its name six times, in bytes.
const ToolSize = 200

// DiscSize is more than one disc takes in a catalogue that is written for its set, besides its archives, in bytes.
const DiscSize = 600

// Size returns how many bytes Write writes.
func (c *Catalogue) Size() (int64, error) {
	var n counter
	err := c.Write(&n)
	return int64(n), err
}

type counter int64

func (n *counter) Write(p []byte) (int, error) {
	*n += counter(len(p))
	return len(p), nil
}
