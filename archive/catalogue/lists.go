package catalogue

import (
	"bufio"
	"encoding/base64"
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
	// OnDisc, when not nil, says under what name a path from the root of the disc is found on its UDF side: SHA256SUMS has that.
	OnDisc func(path string) string
}

// head returns the beginning of the catalogue of a disc's own files.
func head(d *Disc) []byte {
	return fmt.Appendf(nil, "{\n\"format\": %q,\n\"version\": %d,\n\"date\": %q,\n\"guid\": %q,\n\"disc\": %q,\n\"iso_path_root\": %q,\n\"files\": {",
		catalogueFormat, catalogueVersion, d.Created.UTC().Format(time.RFC3339), d.GUID, d.ImageID, "/"+DataDir)
}

const catalogueTail = "\n}\n}\n"

// NewWriter begins both lists of the disc d.
func NewWriter(d *Disc, catalogue, sums io.Writer) *Writer {
	w := &Writer{catalogue: bufio.NewWriter(catalogue), sums: bufio.NewWriter(sums)}
	w.catalogue.Write(head(d))
	for i := range d.Program {
		w.sums.Write(appendSumLine(nil, d.Program[i].SHA256, d.Program[i].DiscPath()))
	}
	for i := range d.Archives {
		w.sums.Write(appendManifestSum(nil, &d.Archives[i]))
	}
	return w
}

// Write adds a content, or a part of one, with all its names on the disc. All of files are of the same run of the same content.
func (w *Writer) Write(files []File) error {
	w.catalogue.Write(appendContent(nil, files, !w.some))
	w.some = true
	for i := range files {
		p := files[i].DiscPath()
		if w.OnDisc != nil {
			p = w.OnDisc(p)
		}
		w.sums.Write(appendSum(nil, &files[i], p))
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
	s := Size{Catalogue: int64(len(head(d)) + len(catalogueTail))}
	for i := range d.Program {
		s.Sums += int64(len(appendSumLine(nil, d.Program[i].SHA256, d.Program[i].DiscPath())))
	}
	for i := range d.Archives {
		s.AddArchive(&d.Archives[i])
	}
	return s
}

// AddArchive counts the manifest of an archive that the disc did not have when NewSize was called.
func (s *Size) AddArchive(a *Archive) { s.Sums += int64(len(appendManifestSum(nil, a))) }

// Add counts a content with all its names, as Writer.Write writes it.
func (s *Size) Add(files []File) {
	s.Catalogue += s.contentSize(files)
	s.some = true
	for i := range files {
		s.addSum(&files[i])
	}
}

// AddName counts one more name of a content that has been added.
func (s *Size) AddName(f *File) {
	s.Catalogue += int64(len(", ") + s.nameSize(f))
	s.addSum(f)
}

// contentSize is the length of what appendContent appends, mostly without making it: a planner asks for millions.
func (s *Size) contentSize(files []File) int64 {
	f := &files[0]
	if year := f.ModTime.Year(); f.Parts > 0 || year < 1 || year > 9998 {
		s.buf = appendContent(s.buf[:0], files, !s.some)
		return int64(len(s.buf))
	}
	n := len("\n\"") + len(sha256Label) + 2*len(f.Content.Hash) + len(`": {"filenames": {`) + (len(files)-1)*len(", ")
	if s.some {
		n += len(",")
	}
	for i := range files {
		n += s.nameSize(&files[i])
	}
	n += len(`}, "size": `) + len(strconv.AppendInt(s.buf[:0], f.Content.Size, 10)) + len(`, "mtime": "2006-01-02T15:04:05Z"}`)
	if nano := f.ModTime.Nanosecond(); nano > 0 {
		for n += len(".000000000"); nano%10 == 0; nano /= 10 {
			n--
		}
	}
	return int64(n)
}

// nameSize is the length of what appendName appends for a file.
func (s *Size) nameSize(f *File) int {
	for i := range len(f.Path) {
		if c := f.Path[i]; c < 0x20 || c >= 0x80 || c == '"' || c == '\\' {
			s.buf = appendName(s.buf[:0], "/"+DataDir+"/"+f.Path)
			return len(s.buf)
		}
	}
	return len(`"/`) + len(DataDir) + len(`/`) + len(f.Path) + len(`": null`)
}

// addSum counts a file's line in SHA256SUMS.
func (s *Size) addSum(f *File) {
	switch {
	case f.Parts > 0:
	case needsEscape(f.Path):
		s.buf = appendSum(s.buf[:0], f, f.DiscPath())
		s.Sums += int64(len(s.buf))
	default:
		s.Sums += int64(2*len(f.Content.Hash) + len("  ") + len(DataDir) + len("/") + len(f.Path) + len("\n"))
	}
}

func appendContent(b []byte, files []File, first bool) []byte {
	f := &files[0]
	b = appendKey(b, Digest(sha256Label+f.Content.Hash.String()), first)
	for i := range files {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendName(b, "/"+DataDir+"/"+files[i].Path)
	}
	b = appendFacts(b, f.Content.Size, f.ModTime)
	if f.Parts > 0 {
		b = appendPart(b, f.Offset, f.Length, f.Part, f.Parts)
	}
	return append(b, '}')
}

// appendPart appends what an entry says of the part of its content that the disc has.
func appendPart(b []byte, offset, length int64, part, parts int) []byte {
	return fmt.Appendf(b, `, "offset": %d, "length": %d, "part": %d, "parts": %d`, offset, length, part, parts)
}

// appendKey begins the entry of a content in a catalogue, up to its first name.
func appendKey(b []byte, d Digest, first bool) []byte {
	if !first {
		b = append(b, ',')
	}
	b = append(b, '\n', '"')
	b = append(b, d...)
	return append(b, `": {"filenames": {`...)
}

// appendFacts appends what follows an entry's names.
func appendFacts(b []byte, size int64, modified time.Time) []byte {
	b = append(b, `}, "size": `...)
	b = strconv.AppendInt(b, size, 10)
	b = append(b, `, "mtime": "`...)
	b = modified.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

// rawName begins a name in a catalogue that is not UTF-8: its bytes in base64 follow. No path begins so, they all begin with a slash.
const rawName = "base64:"

// appendName appends a file's path, from the root of the disc and without the suffix of a part, as the name of a member.
func appendName(b []byte, path string) []byte {
	if utf8.ValidString(path) {
		b = appendString(b, path)
	} else {
		b = append(b, '"')
		b = append(b, rawName...)
		b = base64.StdEncoding.AppendEncode(b, []byte(path))
		b = append(b, '"')
	}
	return append(b, ": null"...)
}

// appendSum appends the line of SHA256SUMS for a whole file at path; a part has none, its own hash is nobody's name.
func appendSum(b []byte, f *File, path string) []byte {
	if f.Parts > 0 {
		return b
	}
	return appendSumLine(b, f.Content.Hash, path)
}

// appendManifestSum appends the line of a manifest: its SHA-256 is the archive's root hash.
func appendManifestSum(b []byte, a *Archive) []byte {
	return appendSumLine(b, a.RootHash, ManifestPath(a.ID))
}

// needsEscape says whether a name has what SHA256SUMS can't hold as it is.
func needsEscape(name string) bool {
	for i := range len(name) {
		if c := name[i]; c == '\\' || c == '\n' || c == '\r' {
			return true
		}
	}
	return false
}

// appendSumLine appends a line of SHA256SUMS. Names with a backslash or line end are escaped behind a leading backslash (GNU
// coreutils manual, "cksum output modes").
func appendSumLine(b []byte, h archive.Hash, path string) []byte {
	if needsEscape(path) {
		b = append(b, '\\')
		path = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(path)
	}
	b = append(b, h.String()...)
	b = append(b, "  "...)
	b = append(b, path...)
	return append(b, '\n')
}
