package catalogue

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/odarchive/odarchive/archive"
)

// A manifest is the canonical description of an archive's tree: JSON Lines, a header and then one entry a line in ascending
// order of the bytes of their paths. It has one form only, so its SHA-256 is the archive's root hash.
const (
	manifestFormat  = "odarchive-manifest"
	manifestVersion = 1
	// maxLine bounds a line of a manifest, in bytes: extended attributes are at most 64 KiB each (Linux XATTR_SIZE_MAX), and few.
	maxLine = 4 << 20
)

// ManifestWriter writes a manifest. It is used by one goroutine.
type ManifestWriter struct {
	w    io.Writer
	sum  hash.Hash
	size int64
	line []byte
	last string
	some bool
	err  error
}

// NewManifestWriter begins a manifest on w.
func NewManifestWriter(w io.Writer) *ManifestWriter {
	m := &ManifestWriter{w: w, sum: sha256.New()}
	m.put(fmt.Appendf(nil, "{\"format\":%q,\"version\":%d}\n", manifestFormat, manifestVersion))
	return m
}

// WriteEntry adds an entry, which must be valid and come after the last one in the order of path bytes.
func (m *ManifestWriter) WriteEntry(e *archive.Entry) error {
	if m.err != nil {
		return m.err
	}
	if err := e.Validate(); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	if m.some && e.Path <= m.last {
		return fmt.Errorf("write manifest: entry %q does not come after %q", e.Path, m.last)
	}
	m.last, m.some = e.Path, true
	m.line = appendEntry(m.line[:0], e)
	if len(m.line) > maxLine {
		return fmt.Errorf("write manifest: entry %q takes %d bytes, more than %d", e.Path, len(m.line), maxLine)
	}
	m.put(m.line)
	return m.err
}

func (m *ManifestWriter) put(line []byte) {
	if _, err := m.w.Write(line); err != nil {
		m.err = fmt.Errorf("write manifest: %w", err)
	}
	m.sum.Write(line)
	m.size += int64(len(line))
}

// Close ends the manifest and returns its SHA-256 and its size in bytes. It does not close the writer beneath.
func (m *ManifestWriter) Close() (archive.Hash, int64, error) {
	return archive.Hash(m.sum.Sum(nil)), m.size, m.err
}

// appendEntry appends the one line that describes e.
func appendEntry(b []byte, e *archive.Entry) []byte {
	b = append(b, '{')
	b = appendBytes(b, "path", e.Path)
	b = fmt.Appendf(b, `,"kind":"%c","mode":"%04o","uid":%d,"gid":%d,"mtime":"`, e.Kind, e.Mode, e.UID, e.GID)
	b = e.ModTime.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, '"')
	switch e.Kind {
	case archive.File:
		b = append(b, `,"sha256":"`...)
		b = append(b, e.Content.Hash.String()...)
		b = append(b, `","size":`...)
		b = strconv.AppendInt(b, e.Content.Size, 10)
		if e.HardLink != "" {
			b = append(b, ',')
			b = appendBytes(b, "hardlink", e.HardLink)
		}
	case archive.Symlink, archive.CharDevice, archive.BlockDevice:
		b = append(b, ',')
		b = appendBytes(b, "target", e.Target)
	}
	if len(e.Xattrs) > 0 {
		b = append(b, `,"xattrs":[`...)
		for i, name := range slices.Sorted(maps.Keys(e.Xattrs)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, '{')
			b = appendBytes(b, "name", name)
			b = append(b, `,"value":"`...)
			b = base64.StdEncoding.AppendEncode(b, e.Xattrs[name])
			b = append(b, `"}`...)
		}
		b = append(b, ']')
	}
	return append(b, '}', '\n')
}

// appendBytes appends a member whose value is s: as a string under key when s is UTF-8, otherwise in base64 under key_base64.
func appendBytes(b []byte, key, s string) []byte {
	b = append(b, '"')
	b = append(b, key...)
	if utf8.ValidString(s) {
		b = append(b, '"', ':')
		return appendString(b, s)
	}
	b = append(b, `_base64":"`...)
	b = base64.StdEncoding.AppendEncode(b, []byte(s))
	return append(b, '"')
}

const hexDigits = "0123456789abcdef"

// appendString appends s, which is UTF-8, as a JSON string with the fewest escapes that RFC 8259 §7 allows: control characters
// as \u00XX, quotation mark and backslash behind a backslash.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// ManifestReader reads a manifest and trusts nothing in it: every line must be just what ManifestWriter would have written.
type ManifestReader struct {
	r    *bufio.Reader
	sum  hash.Hash
	size int64
	long []byte
	line int
	last string
}

// NewManifestReader reads a manifest from r.
func NewManifestReader(r io.Reader) *ManifestReader {
	return &ManifestReader{r: bufio.NewReaderSize(r, 64<<10), sum: sha256.New()}
}

// ManifestError is an error in a manifest itself, not in what it is read from.
type ManifestError struct {
	Line int // from 1
	Err  error
}

func (e *ManifestError) Error() string { return fmt.Sprintf("manifest line %d: %v", e.Line, e.Err) }

func (e *ManifestError) Unwrap() error { return e.Err }

// Entries returns the entries in order, and ends with the first error. It can be called once.
func (m *ManifestReader) Entries() iter.Seq2[archive.Entry, error] {
	return func(yield func(archive.Entry, error) bool) {
		if err := m.header(); err != nil {
			yield(archive.Entry{}, err)
			return
		}
		for {
			e, err := m.next()
			if err == io.EOF {
				return
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// Hash returns the SHA-256 of what has been read so far: the root hash after the last entry.
func (m *ManifestReader) Hash() archive.Hash { return archive.Hash(m.sum.Sum(nil)) }

// Size returns how many bytes have been read so far.
func (m *ManifestReader) Size() int64 { return m.size }

// Count returns how many entries there were, after the last one.
func (m *ManifestReader) Count() int64 { return max(int64(m.line)-2, 0) }

// ReadManifest reads a whole manifest whose SHA-256 is root, and believes nothing else.
func ReadManifest(r io.Reader, root archive.Hash) (all []archive.Entry, err error) {
	m := NewManifestReader(r)
	for e, err := range m.Entries() {
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	if m.Hash() != root {
		return nil, fmt.Errorf("read manifest: its SHA-256 is %v, not %v: it is damaged", m.Hash(), root)
	}
	return all, nil
}

func (m *ManifestReader) bad(format string, args ...any) error {
	return &ManifestError{m.line, fmt.Errorf(format, args...)}
}

// readLine returns the next line with its end. It is valid until the next call.
func (m *ManifestReader) readLine() ([]byte, error) {
	m.line++
	m.long = m.long[:0]
	for {
		part, err := m.r.ReadSlice('\n')
		if len(m.long)+len(part) > maxLine {
			return nil, m.bad("longer than %d bytes", maxLine)
		}
		if err == nil && len(m.long) == 0 {
			return m.count(part), nil
		}
		m.long = append(m.long, part...)
		switch {
		case err == nil:
			return m.count(m.long), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case err == io.EOF && len(m.long) == 0:
			return nil, io.EOF
		case err == io.EOF:
			return nil, m.bad("the line has no end: the manifest is cut off")
		default:
			return nil, fmt.Errorf("read manifest: %w", err)
		}
	}
}

func (m *ManifestReader) count(line []byte) []byte {
	m.sum.Write(line)
	m.size += int64(len(line))
	return line
}

func (m *ManifestReader) header() error {
	line, err := m.readLine()
	if err == io.EOF {
		return m.bad("the manifest is empty")
	} else if err != nil {
		return err
	}
	var h struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(line, &h); err != nil || h.Format != manifestFormat {
		return m.bad("not a manifest")
	}
	if h.Version != manifestVersion {
		return m.bad("version %d, only %d is known: a newer odarchive wrote it", h.Version, manifestVersion)
	}
	return nil
}

// entryJSON is an entry as it stands in a manifest.
type entryJSON struct {
	Path           *string     `json:"path"`
	PathBase64     []byte      `json:"path_base64"`
	Kind           string      `json:"kind"`
	Mode           string      `json:"mode"`
	UID            uint32      `json:"uid"`
	GID            uint32      `json:"gid"`
	ModTime        time.Time   `json:"mtime"`
	SHA256         string      `json:"sha256"`
	Size           int64       `json:"size"`
	HardLink       *string     `json:"hardlink"`
	HardLinkBase64 []byte      `json:"hardlink_base64"`
	Target         *string     `json:"target"`
	TargetBase64   []byte      `json:"target_base64"`
	Xattrs         []xattrJSON `json:"xattrs"`
}

type xattrJSON struct {
	Name       *string `json:"name"`
	NameBase64 []byte  `json:"name_base64"`
	Value      []byte  `json:"value"`
}

func either(text *string, raw []byte) string {
	if text != nil {
		return *text
	}
	return string(raw)
}

func (m *ManifestReader) next() (e archive.Entry, err error) {
	line, err := m.readLine()
	if err != nil {
		return e, err
	}
	var j entryJSON
	if err := json.Unmarshal(line, &j); err != nil {
		return e, m.bad("%w", err)
	}
	mode, err := strconv.ParseUint(j.Mode, 8, 32)
	if err != nil || len(j.Kind) != 1 {
		return e, m.bad("mode %q or kind %q is not valid", j.Mode, j.Kind)
	}
	e = archive.Entry{
		Path: either(j.Path, j.PathBase64), Kind: archive.Kind(j.Kind[0]), Mode: uint32(mode), UID: j.UID, GID: j.GID, ModTime: j.ModTime.UTC(),
		HardLink: either(j.HardLink, j.HardLinkBase64), Target: either(j.Target, j.TargetBase64),
	}
	if e.Kind == archive.File {
		if e.Content.Hash, err = archive.ParseHash(j.SHA256); err != nil {
			return e, m.bad("%w", err)
		}
		e.Content.Size = j.Size
	}
	if len(j.Xattrs) > 0 {
		e.Xattrs = make(map[string][]byte, len(j.Xattrs))
		for _, x := range j.Xattrs {
			e.Xattrs[either(x.Name, x.NameBase64)] = x.Value
		}
	}
	if err := e.Validate(); err != nil {
		return e, m.bad("%w", err)
	}
	if m.line > 2 && e.Path <= m.last {
		return e, m.bad("entry %q does not come after %q", e.Path, m.last)
	}
	m.last = e.Path
	if !bytes.Equal(appendEntry(nil, &e), line) {
		return e, m.bad("entry %q is not in the canonical form", e.Path)
	}
	return e, nil
}
