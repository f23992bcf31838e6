package catalogue

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/odarchive/odarchive/archive"
)

// Writer writes the two lists of a disc's files, catalogue.json and SHA256SUMS. Their size is a sum over the files, which a planner
// keeps with Size without writing anything.
type Writer struct {
	catalogue, sums *bufio.Writer
	some            bool
}

const (
	catalogueHead = "{\n\"format\": \"odarchive-catalogue\",\n\"version\": 1,\n\"hash\": \"sha256\",\n\"disc\": %q,\n\"files\": {"
	catalogueTail = "\n}\n}\n"
)

// NewWriter begins both lists of the disc d.
func NewWriter(d *Disc, catalogue, sums io.Writer) *Writer {
	w := &Writer{catalogue: bufio.NewWriter(catalogue), sums: bufio.NewWriter(sums)}
	fmt.Fprintf(w.catalogue, catalogueHead, d.ImageID)
	return w
}

// Write adds a content, or a part of one, with all its names on the disc. All of files are of the same run of the same content.
func (w *Writer) Write(files []File) error {
	w.catalogue.Write(appendContent(nil, files, !w.some))
	w.some = true
	for i := range files {
		w.sums.Write(appendSum(nil, &files[i]))
	}
	return nil
}

// Close ends both lists and reports the first error of writing them.
func (w *Writer) Close() error {
	w.catalogue.WriteString(catalogueTail)
	if err := w.catalogue.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", CatalogName, err)
	}
	if err := w.sums.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", SumsName, err)
	}
	return nil
}

// Size counts the bytes of both lists as files are added. The zero value is not ready: use NewSize.
type Size struct {
	Catalogue, Sums int64
	some            bool
	buf             []byte
}

// NewSize returns the size of the lists of a disc without files.
func NewSize(d *Disc) Size {
	return Size{Catalogue: int64(len(fmt.Sprintf(catalogueHead, d.ImageID)) + len(catalogueTail))}
}

// Add counts a content with all its names, as Writer.Write writes it.
func (s *Size) Add(files []File) {
	s.buf = appendContent(s.buf[:0], files, !s.some)
	s.some = true
	s.Catalogue += int64(len(s.buf))
	for i := range files {
		s.buf = appendSum(s.buf[:0], &files[i])
		s.Sums += int64(len(s.buf))
	}
}

// AddName counts one more name of a content that has been added.
func (s *Size) AddName(f *File) {
	s.buf = appendName(s.buf[:0], f)
	s.Catalogue += int64(len(", ") + len(s.buf))
	s.buf = appendSum(s.buf[:0], f)
	s.Sums += int64(len(s.buf))
}

func appendContent(b []byte, files []File, first bool) []byte {
	f := &files[0]
	if !first {
		b = append(b, ',')
	}
	b = append(b, '\n', '"')
	b = append(b, f.Content.Hash.String()...)
	b = append(b, `": {"filenames": [`...)
	for i := range files {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendName(b, &files[i])
	}
	b = append(b, `], "size": `...)
	b = strconv.AppendInt(b, f.Content.Size, 10)
	b = append(b, `, "mtime": "`...)
	b = f.ModTime.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, '"')
	if f.Parts > 0 {
		b = fmt.Appendf(b, `, "offset": %d, "length": %d, "part": %d, "parts": %d`, f.Offset, f.Length, f.Part, f.Parts)
	}
	return append(b, '}')
}

// appendName appends a file's path on the disc as a JSON string, or as an object when it is not UTF-8.
func appendName(b []byte, f *File) []byte {
	p := "/" + f.DiscPath()
	if utf8.ValidString(p) {
		return appendString(b, p)
	}
	b = append(b, `{"base64": "`...)
	b = base64.StdEncoding.AppendEncode(b, []byte(p))
	return append(b, `"}`...)
}

// appendSum appends the line of SHA256SUMS for a whole file; a part has none, its own hash is nobody's name. Names with a backslash
// or line end are escaped behind a leading backslash (GNU coreutils manual, "cksum output modes").
func appendSum(b []byte, f *File) []byte {
	if f.Parts > 0 {
		return b
	}
	p := f.DiscPath()
	if strings.ContainsAny(p, "\\\n\r") {
		b = append(b, '\\')
		p = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(p)
	}
	b = append(b, f.Content.Hash.String()...)
	b = append(b, "  "...)
	b = append(b, p...)
	return append(b, '\n')
}

// info is disc_info.json.
type info struct {
	Format    string        `json:"format"`
	Version   int           `json:"version"`
	Disc      string        `json:"disc"`
	Label     string        `json:"label"`
	Number    int64         `json:"number"`
	Vault     string        `json:"vault"`
	Library   string        `json:"library"`
	LibraryID string        `json:"library_id"`
	Medium    string        `json:"medium"`
	Created   time.Time     `json:"created"`
	Archives  []infoArchive `json:"archives"`
}

type infoArchive struct {
	ID        string       `json:"id"`
	Name      string       `json:"name"`
	Directory string       `json:"directory"`
	Sealed    time.Time    `json:"sealed"`
	Manifest  string       `json:"manifest"`
	RootHash  archive.Hash `json:"root_hash"`
}

const (
	infoFormat  = "odarchive-disc"
	infoVersion = 1
)

// Info returns disc_info.json.
func Info(d *Disc) ([]byte, error) {
	i := info{
		Format: infoFormat, Version: infoVersion, Disc: d.ImageID, Label: d.Label, Number: d.Number, Vault: d.Vault,
		Library: d.Library, LibraryID: d.LibraryID, Medium: d.Medium, Created: d.Created.UTC(), Archives: []infoArchive{},
	}
	for _, a := range d.Archives {
		i.Archives = append(i.Archives, infoArchive{a.ID, a.Name, DataDir + "/" + a.Directory, a.Sealed.UTC(), ManifestPath(a.ID), a.RootHash})
	}
	b, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", InfoName, err)
	}
	return append(b, '\n'), nil
}

// ReadInfo reads a disc_info.json that may be damaged, hostile or from a newer version.
func ReadInfo(b []byte) (*Disc, error) {
	var i info
	if err := json.Unmarshal(b, &i); err != nil {
		return nil, fmt.Errorf("read %s: %w", InfoName, err)
	}
	if i.Format != infoFormat {
		return nil, fmt.Errorf("read %s: format %q, want %q", InfoName, i.Format, infoFormat)
	}
	if i.Version != infoVersion {
		return nil, fmt.Errorf("read %s: version %d, only %d is known: a newer odarchive wrote it", InfoName, i.Version, infoVersion)
	}
	d := &Disc{
		ImageID: i.Disc, Label: i.Label, Number: i.Number, Vault: i.Vault, LibraryID: i.LibraryID, Library: i.Library, Medium: i.Medium, Created: i.Created,
	}
	for _, a := range i.Archives {
		dir, ok := strings.CutPrefix(a.Directory, DataDir+"/")
		if !ok || archive.ValidPath(dir) != nil || a.Manifest != ManifestPath(a.ID) || archive.ValidPath(a.Manifest) != nil {
			return nil, fmt.Errorf("read %s: archive %q lies in %q with the manifest %q: not a place on this disc", InfoName, a.ID, a.Directory, a.Manifest)
		}
		d.Archives = append(d.Archives, Archive{ID: a.ID, Name: a.Name, Directory: dir, RootHash: a.RootHash, Sealed: a.Sealed})
	}
	return d, nil
}

// AppendMapping appends a line of NAMES.TSV: a path on the disc that a side of its file system can't hold as it is, and what
// stands there instead. Each field is quoted as a Go or C string where it holds anything but printable ASCII.
func AppendMapping(b []byte, original, udf, iso string) []byte {
	for i, s := range []string{original, udf, iso} {
		if i > 0 {
			b = append(b, '\t')
		}
		b = strconv.AppendQuoteToASCII(b, s)
	}
	return append(b, '\n')
}

// NamesHead is the first line of NAMES.TSV.
const NamesHead = "# name in the archive\tname on the UDF side\tname on the ISO 9660 side\n"
