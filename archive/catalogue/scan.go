package catalogue

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/odarchive/odarchive/archive"
)

// Carried is a run of a content that a disc carries, as the catalogue of the disc's own files says.
type Carried struct {
	Content        archive.Content
	Offset, Length int64 // bytes
	Part, Parts    int   // from 1; 0 of 0 for a whole content
	// Name is the first of its names, below Data and without the suffix of a part; empty where it is very long or not UTF-8.
	Name string
}

// ErrForm says that a catalogue is not one of a disc's own files in the form in which a Writer writes it: Read may know it.
var ErrForm = errors.New("it is not in the form of the catalogue of one disc")

const (
	// scanHead and scanTail are how much of the beginning and the end of an entry is looked at, in bytes: what lies between is names.
	scanHead, scanTail = 16 << 10, 512
	entryKey           = `"` + sha256Label
	entryNames         = `": {"filenames": {`
	entrySize          = `}, "size": `
	entryTime          = `, "mtime": "`
)

// Scan reads the catalogue of a disc's own files, which may be damaged or hostile, entry by entry in the order in which the contents lie on
// the disc. It takes a few kilobytes of memory, whatever the catalogue's size and however many names a content has. It ends with the
// first error, and reads once.
func Scan(r io.Reader) iter.Seq2[Carried, error] {
	return func(yield func(Carried, error) bool) {
		s := scanner{r: bufio.NewReaderSize(r, 64<<10)}
		err := s.head()
		for err == nil {
			var c Carried
			var more bool
			if c, more, err = s.entry(); err == nil && !more {
				return
			}
			if err == nil && !yield(c, nil) {
				return
			}
		}
		yield(Carried{}, fmt.Errorf("read %s: line %d: %w", CatalogName, s.number, err))
	}
}

type scanner struct {
	r          *bufio.Reader
	number     int
	root       string // with a slash at its end
	some       bool
	begin, end []byte // of the line; the same when it is short
	early      []byte
	ended      bool // the file of entries is over
}

// line reads the next line and keeps its beginning and its end, without the line feed.
func (s *scanner) line() error {
	s.number++
	part, err := s.r.ReadSlice('\n')
	if err == nil {
		s.begin = part[:len(part)-1]
		s.end = s.begin
		return nil
	}
	s.early = append(s.early[:0], part[:min(len(part), scanHead)]...)
	tail := append([]byte(nil), part[max(0, len(part)-scanTail):]...)
	for errors.Is(err, bufio.ErrBufferFull) {
		part, err = s.r.ReadSlice('\n')
		tail = append(tail, part...)
		tail = append(tail[:0], tail[max(0, len(tail)-scanTail):]...)
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF // every line of ours has an end
	} else if err != nil {
		return err
	}
	s.begin, s.end = s.early, tail[:len(tail)-1]
	return nil
}

// head reads what stands before the entries.
func (s *scanner) head() error {
	if err := s.line(); err != nil || string(s.begin) != "{" {
		return errors.Join(err, ErrForm)
	}
	members := map[string]string{}
	for {
		if err := s.line(); err != nil {
			return errors.Join(err, ErrForm)
		}
		if string(s.begin) == `"files": {` {
			break
		}
		text, ok := bytes.CutSuffix(s.begin, []byte{','})
		key, value, colon := strings.Cut(string(text), ": ")
		if !ok || !colon || len(members) > 32 {
			return ErrForm
		}
		if _, twice := members[key]; twice {
			return ErrForm
		}
		members[key] = value
	}
	if members[`"format"`] != strconv.Quote(catalogueFormat) || members[`"disc"`] == "" {
		return ErrForm
	}
	if v, err := strconv.Atoi(members[`"version"`]); err != nil || v != catalogueVersion {
		if v > catalogueVersion {
			return newer(CatalogName, v, catalogueVersion)
		}
		return ErrForm
	}
	if members[`"iso_path_root"`] != strconv.Quote("/"+DataDir) {
		return ErrForm
	}
	s.root = "/" + DataDir + "/"
	return nil
}

// entry reads the next entry; more is false behind the last one.
func (s *scanner) entry() (c Carried, more bool, err error) {
	comma := s.some && !s.ended
	if err := s.line(); err != nil {
		return c, false, err
	}
	if string(s.begin) == "}" {
		if comma {
			return c, false, errors.New("an entry is missing")
		}
		return c, false, s.tail()
	}
	if s.ended {
		return c, false, errors.New("an entry behind the last one")
	}
	end, comma := bytes.CutSuffix(s.end, []byte{','})
	end, ok := bytes.CutSuffix(end, []byte{'}'})
	if !ok {
		return c, false, errors.New("an entry without an end")
	}
	s.some, s.ended = true, !comma
	if c, err = s.names(); err == nil {
		err = c.facts(end)
	}
	return c, true, err
}

// tail reads what follows the entries.
func (s *scanner) tail() error {
	if err := s.line(); err != nil {
		return err
	}
	if string(s.begin) != "}" {
		return errors.New("something follows the entries")
	}
	rest, err := io.ReadAll(io.LimitReader(s.r, 1<<16))
	if err == nil && len(bytes.TrimSpace(rest)) > 0 {
		err = errors.New("something follows the catalogue")
	}
	return err
}

// names reads the key of the entry, and the first of the names.
func (s *scanner) names() (c Carried, err error) {
	text, ok := bytes.CutPrefix(s.begin, []byte(entryKey))
	if digits := 2 * len(c.Content.Hash); ok && len(text) > digits {
		if c.Content.Hash, err = archive.ParseHash(string(text[:digits])); err != nil {
			return c, err
		}
		text, ok = bytes.CutPrefix(text[digits:], []byte(entryNames))
	}
	if !ok || len(text) == 0 || text[0] != '"' {
		return c, fmt.Errorf("no entry of a content: %.60q", s.begin)
	}
	end := 1
	for ; end < len(text) && text[end] != '"'; end++ {
		if text[end] == '\\' {
			end++
		}
	}
	if end >= len(text) {
		return c, nil // longer than what is looked at
	}
	name := string(text[1:end])
	if bytes.IndexByte(text[:end], '\\') >= 0 {
		if err := json.Unmarshal(text[:end+1], &name); err != nil {
			return c, err
		}
	}
	if strings.HasPrefix(name, rawName) {
		return c, nil
	}
	below, ok := strings.CutPrefix(name, s.root)
	if !ok || below == "." || archive.ValidPath(below) != nil {
		return c, fmt.Errorf("name %.200q is no path below %q", name, s.root)
	}
	c.Name = below
	return c, nil
}

// facts reads what follows the names of an entry, whose end is text without the brace.
func (c *Carried) facts(text []byte) error {
	// No name has this in it: its quotation marks would stand behind backslashes.
	at := bytes.LastIndex(text, []byte(entrySize))
	if at < 0 {
		return errors.New("it has no size")
	}
	text = text[at+len(entrySize):]
	digits := 0
	for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' {
		digits++
	}
	size, err := strconv.ParseInt(string(text[:digits]), 10, 64)
	if err != nil {
		return fmt.Errorf("its size: %w", err)
	}
	c.Content.Size, c.Length = size, size
	text, ok := bytes.CutPrefix(text[digits:], []byte(entryTime))
	end := bytes.IndexByte(text, '"')
	if !ok || end < 0 {
		return errors.New("it has no time")
	}
	if err := (&stamp{}).UnmarshalJSON(text[:end]); err != nil {
		return err
	}
	if text = text[end+1:]; len(text) == 0 {
		return nil
	}
	var part EntryPart
	if n, err := fmt.Sscanf(string(text), `, "offset": %d, "length": %d, "part": %d, "parts": %d`, &part.Offset, &part.Length, &part.Part, &part.Parts); err != nil || n != 4 {
		return fmt.Errorf("%.100q is no part", text)
	}
	if string(appendPart(nil, part.Offset, part.Length, part.Part, part.Parts)) != string(text) {
		return fmt.Errorf("%.100q is no part", text)
	}
	if part.Part < 1 || part.Part > part.Parts || part.Offset < 0 || part.Length < 0 || part.Offset > size-part.Length {
		return fmt.Errorf("part %d of %d at %d is not one of %d bytes", part.Part, part.Parts, part.Offset, size)
	}
	c.Offset, c.Length, c.Part, c.Parts = part.Offset, part.Length, part.Part, part.Parts
	return nil
}
