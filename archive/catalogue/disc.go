package catalogue

import (
	"crypto/sha256"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/odarchive/odarchive/archive"
)

// Names of what a disc says about itself, relative to its root.
const (
	DataDir      = "Data"     // what the archives hold
	ArchivesDir  = "archives" // their manifests
	ReadmeName   = "README.txt"
	InfoName     = "disc_info.json"
	CatalogName  = "catalogue.json"
	SumsName     = "SHA256SUMS"
	NamesName    = "NAMES.TSV"
	ProgramDir   = "odarchive" // this program and its source, where the disc has them
	manifestType = ".jsonl"
)

// Disc describes a disc and the image on it.
type Disc struct {
	ImageID string // UUID: the disc's identity
	Label   string // volume identifier: at most 15 characters of A-Z, 0-9 and '_'
	Number  int64  // of the image, in the order in which they were planned; in a disc set made without a library, from 0
	// Discs is how many discs the set had when it was planned; 0 where that is not known: a vault grows.
	Discs     int64
	SetID     string // UUID of the disc set; empty when there is none
	JobID     string // UUID of the job that it was made for; empty when not known
	GUID      string // UUID that changes whenever the description of the disc is saved anew
	Vault     string
	Policy    *Policy // of the vault; nil when the disc doesn't say
	LibraryID string  // UUID; empty for a disc that was made without a library
	Library   string
	Medium    string
	// Capacity is how many sectors the blank disc has that it was planned for; 0 when the disc doesn't say.
	Capacity int64
	Created  time.Time
	// Protected says that the disc carries error correction of its own (RS03) behind its files.
	Protected bool
	// Parity is the set of discs by whose parity it can be made anew; nil when there is none.
	Parity   *Parity
	Archives []Archive // in ascending order of Directory
	// Program are this program, its source and what else shall outlast with the disc, in ascending order of names.
	Program []Tool
	// CatalogueSize is the size in bytes of the catalogue of a whole disc set, which then stands on the disc instead of one of
	// the disc's own files; 0 for that.
	CatalogueSize int64
}

// Tool is a file in ProgramDir.
type Tool struct {
	Name   string       `json:"name"` // without a slash
	Size   int64        `json:"size"` // bytes
	SHA256 archive.Hash `json:"sha256"`
}

// DiscPath returns the tool's path from the root of the disc.
func (t *Tool) DiscPath() string { return ProgramDir + "/" + t.Name }

// Validate says why no disc can have such a tool.
func (t *Tool) Validate() error {
	if t.Name == "." || archive.ValidPath(t.Name) != nil || strings.ContainsAny(t.Name, "/\\\n\r") || t.Size < 0 {
		return fmt.Errorf("%.100q of %d bytes is no file of a program", t.Name, t.Size)
	}
	return nil
}

// Parity is an image's place in a set of images that share parity (docs/disc-format-sets.md). Which other images the set has is not
// known before it is closed: its parity discs say it.
type Parity struct {
	Set          string // UUID
	Index        int    // of the image, from 0; parity images come behind all data images that the set takes
	Data, Images int    // how many data images the set takes, and how many parity images
}

// OfParity says that the disc carries parity of its set, and none of the archives' files.
func (d *Disc) OfParity() bool { return d.Parity != nil && d.Parity.Index >= d.Parity.Data }

// NewDisc describes a disc of a vault without archives. Its label follows from its number.
func NewDisc(imageID string, number int64, vault, libraryID, library, medium string, created time.Time) Disc {
	return Disc{
		ImageID: imageID, Label: LabelOf(number), Number: number, GUID: imageID, Vault: vault, LibraryID: libraryID, Library: library,
		Medium: medium, Created: created.UTC(),
	}
}

// Policy is what a disc knows of its vault besides the name, so that a vault can be made again from any of its discs. None of it may
// change while an image waits to be built: it would be another image.
type Policy struct {
	VaultID string        // UUID
	Created time.Time     // of the vault
	Copies  int           // discs that carry each image
	MaxWait time.Duration // whole seconds; 0: no limit
	Roots   int           // of the error correction inside each disc; 0: none
}

// LabelOf returns the label of the disc of an image by the image's number.
func LabelOf(number int64) string { return fmt.Sprintf("OD_%06d", number) }

// Archive is an archive of which the disc carries something, and its whole manifest.
type Archive struct {
	ID           string // UUID
	Name         string
	Description  string
	Directory    string // below Data: where this archive's files are on this disc; "." for Data itself
	RootHash     archive.Hash
	ManifestSize int64 // bytes
	Sealed       time.Time
}

// ManifestPath returns where the manifest of an archive lies on a disc.
func ManifestPath(archiveID string) string { return ArchivesDir + "/" + archiveID + manifestType }

// File is a name on the disc.
type File struct {
	Path    string // below Data, in bytes; of a part, without the part's suffix
	Content archive.Content
	// Offset and Length are the run of the content that the disc carries, in bytes: all of it, or a part.
	Offset, Length int64
	Part, Parts    int // from 1; 0 of 0 for a whole file
	Mode           uint32
	ModTime        time.Time
}

// DiscPath returns the file's path from the root of the disc, with the suffix of a part.
func (f *File) DiscPath() string { return DataDir + "/" + PartName(f.Path, f.Part, f.Parts) }

// partSuffix is what tells the parts of a file apart; they sort in their order, so that a shell's `*` joins them rightly.
func partSuffix(part, parts int) string { return fmt.Sprintf(".part%04d-of-%04d", part, parts) }

// PartName returns the name of a part of a file, or p itself for a whole one. Of a name that would become longer than a file system
// holds, the end gives way to a piece of its hash; the manifest knows it whole.
func PartName(p string, part, parts int) string {
	if parts == 0 {
		return p
	}
	suffix := partSuffix(part, parts)
	dir, name := path.Split(p)
	if len(name)+len(suffix) > archive.MaxName {
		sum := sha256.Sum256([]byte(name))
		suffix = fmt.Sprintf("~%x%s", sum[:4], suffix)
		name = strings.ToValidUTF8(name[:archive.MaxName-len(suffix)], "")
	}
	return dir + name + suffix
}

// DirectoryName returns a directory for an archive called name that taken does not hold, and adds it there. It keeps to characters
// that every file system likes.
func DirectoryName(name string, taken map[string]bool) string {
	clean := strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r == '�' || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	clean = strings.Trim(clean, " .")
	for len(clean) > 100 {
		clean = strings.ToValidUTF8(clean[:100], "")
	}
	if clean == "" {
		clean = "archive"
	}
	unique := clean
	for n := 2; taken[strings.ToLower(unique)]; n++ {
		unique = fmt.Sprintf("%s~%d", clean, n)
	}
	taken[strings.ToLower(unique)] = true
	return unique
}
