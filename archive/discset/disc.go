package discset

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/image"
)

// ParityFile is the name of the parity file on a parity disc, and SumsName that of the list to check the disc's files with.
const (
	ParityFile = "parity.bin"
	SumsName   = "SHA256SUMS"
)

// Extras are what a parity disc carries besides what decodes it. The zero value is a disc as it was made before there were any.
type Extras struct {
	Info     []byte // disc_info.json; nil for none
	Snapshot Blob   // of the library's catalogue, as archive/snapshot reads it; the zero value for none
}

// Names of the extras' files.
const (
	InfoName     = "disc_info.json"
	SnapshotName = "snapshot.jsonl.zst"
)

// Blob is a file by its size in bytes and its hash.
type Blob struct {
	Size   int64
	SHA256 archive.Hash
}

// Disc is the image of a parity disc: an ordinary one, whose files say how to decode it.
type Disc struct {
	Layout *image.Layout
	files  []discFile // in the order of the disc's sectors
}

// discFile is a file of a parity disc. The text of what is streamed is nil.
type discFile struct {
	name string
	text []byte
	Blob
}

// Compose lays out the disc of parity image i of a set. It is a pure function of the set and the extras.
func (s *Set) Compose(i int, x Extras) (*Disc, error) {
	if i < 0 || i >= len(s.Parities) {
		return nil, fmt.Errorf("compose parity disc %d of set %s: it has %d", i, s.ID, len(s.Parities))
	}
	js, err := s.JSON()
	if err != nil {
		return nil, err
	}
	d := &Disc{files: s.files(s.Parities[i].SHA256, js, x)}
	if d.Layout, err = s.layout(s.Parities[i], d.files); err != nil {
		return nil, fmt.Errorf("compose parity disc %d of set %s: %w", i, s.ID, err)
	}
	return d, nil
}

// files returns the files of a parity disc in the order of its sectors.
func (s *Set) files(parity archive.Hash, js []byte, x Extras) (files []discFile) {
	var sums bytes.Buffer
	add := func(name string, text []byte, b Blob) {
		if text != nil {
			b = Blob{int64(len(text)), sha(text)}
		}
		files = append(files, discFile{name, text, b})
		fmt.Fprintf(&sums, "%v  %s\n", b.SHA256, name)
	}
	readme := s.Readme()
	if x.Snapshot.Size > 0 {
		readme = append(readme, snapshotReadme...)
	}
	add(ReadmeName, readme, Blob{})
	if x.Info != nil {
		add(InfoName, x.Info, Blob{})
	}
	add(SetName, js, Blob{})
	add(DecoderName, decoder, Blob{})
	at := len(files)
	add(ChecksName, nil, Blob{s.ChecksSize(), s.Checks})
	if x.Snapshot.Size > 0 {
		add(SnapshotName, nil, x.Snapshot)
	}
	add(ParityFile, nil, Blob{s.Sectors() * sectorSize, parity})
	return slices.Insert(files, at, discFile{SumsName, sums.Bytes(), Blob{Size: int64(sums.Len())}})
}

func (s *Set) layout(p Parity, all []discFile) (*image.Layout, error) {
	o := image.Options{Label: p.Label, Time: s.Created.UTC().Truncate(time.Second)}
	if n, err := hex.Decode(o.ID[:], []byte(strings.ReplaceAll(p.ImageID, "-", ""))); err != nil || n != len(o.ID) {
		return nil, fmt.Errorf("%q is no UUID", p.ImageID)
	}
	var contents []image.Content
	var files []image.File
	for n, f := range all {
		contents = append(contents, image.Content{Size: f.Size})
		files = append(files, image.File{Path: f.name, Content: n, Mode: 0o444, ModTime: o.Time})
	}
	slices.SortFunc(files, func(a, b image.File) int { return strings.Compare(a.Path, b.Path) })
	return image.New(o, contents, files)
}

// Write writes the disc's image. Open opens ChecksName, ParityFile and, where the disc has one, SnapshotName: the first two as an
// Accumulator's OpenChecks and OpenParity do.
func (d *Disc) Write(w io.Writer, open func(name string) (io.ReadCloser, error)) error {
	return d.Layout.Write(w, func(i int) (io.ReadCloser, error) {
		if f := &d.files[i]; f.text != nil {
			return io.NopCloser(bytes.NewReader(f.text)), nil
		}
		return open(d.files[i].name)
	})
}

// OpenDisc finds the parity and the checksums in the image of a parity disc, of sectors sectors.
func OpenDisc(r io.ReaderAt, sectors int64) (parity, checks io.ReaderAt, err error) {
	sides, err := image.Open(r, sectors)
	if err != nil {
		return nil, nil, err
	}
	found := map[string]io.ReaderAt{}
	for _, name := range []string{ParityFile, ChecksName} {
		f, err := sides.FS().Open(name)
		if err != nil {
			return nil, nil, fmt.Errorf("open parity disc: %w", err)
		}
		at, ok := f.(io.ReaderAt)
		if !ok {
			return nil, nil, fmt.Errorf("open parity disc: %s is no file", name)
		}
		found[name] = at
	}
	return found[ParityFile], found[ChecksName], nil
}
