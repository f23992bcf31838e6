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

// Disc is the image of a parity disc: an ordinary one, whose files say how to decode it.
type Disc struct {
	Layout *image.Layout
	set    *Set
	texts  [][]byte // in the order of discFiles; nil where it is streamed
}

// discFiles are a parity disc's files in the order of its sectors.
var discFiles = []string{ReadmeName, SetName, DecoderName, SumsName, ChecksName, ParityFile}

// Compose lays out the disc of parity image i of a set. It is a pure function of the set.
func (s *Set) Compose(i int) (*Disc, error) {
	if i < 0 || i >= len(s.Parities) {
		return nil, fmt.Errorf("compose parity disc %d of set %s: it has %d", i, s.ID, len(s.Parities))
	}
	js, err := s.JSON()
	if err != nil {
		return nil, err
	}
	d := &Disc{set: s, texts: [][]byte{s.Readme(), js, decoder, nil, nil, nil}}
	var sums bytes.Buffer
	for n, name := range discFiles[:3] {
		fmt.Fprintf(&sums, "%v  %s\n", sha(d.texts[n]), name)
	}
	fmt.Fprintf(&sums, "%v  %s\n%v  %s\n", s.Checks, ChecksName, s.Parities[i].SHA256, ParityFile)
	d.texts[3] = sums.Bytes()
	d.Layout, err = s.layout(s.Parities[i], d.texts, s.ChecksSize(), s.Sectors())
	if err != nil {
		return nil, fmt.Errorf("compose parity disc %d of set %s: %w", i, s.ID, err)
	}
	return d, nil
}

// Parity returns the disc's parity file in r, which holds its image.
func (d *Disc) Parity(r io.ReaderAt) io.ReaderAt {
	return d.file(r, ParityFile, d.set.Sectors()*sectorSize)
}

// Checks returns the set's file of checksums in r, which holds the disc's image.
func (d *Disc) Checks(r io.ReaderAt) io.ReaderAt { return d.file(r, ChecksName, d.set.ChecksSize()) }

func (d *Disc) file(r io.ReaderAt, name string, size int64) io.ReaderAt {
	return io.NewSectionReader(r, d.Layout.Sector(slices.Index(discFiles, name))*sectorSize, size)
}

func (s *Set) layout(p Parity, texts [][]byte, checks, sectors int64) (*image.Layout, error) {
	o := image.Options{Label: p.Label, Time: s.Created.UTC().Truncate(time.Second)}
	if n, err := hex.Decode(o.ID[:], []byte(strings.ReplaceAll(p.ImageID, "-", ""))); err != nil || n != len(o.ID) {
		return nil, fmt.Errorf("%q is no UUID", p.ImageID)
	}
	var contents []image.Content
	var files []image.File
	for n, name := range discFiles {
		size := int64(len(texts[n]))
		switch name {
		case ChecksName:
			size = checks
		case ParityFile:
			size = sectors * sectorSize
		}
		contents = append(contents, image.Content{Size: size})
		files = append(files, image.File{Path: name, Content: n, Mode: 0o444, ModTime: o.Time})
	}
	slices.SortFunc(files, func(a, b image.File) int { return strings.Compare(a.Path, b.Path) })
	return image.New(o, contents, files)
}

// Write writes the disc's image. Checks and parity open what an Accumulator's OpenChecks and OpenParity do.
func (d *Disc) Write(w io.Writer, checks, parity func() (io.ReadCloser, error)) error {
	return d.Layout.Write(w, func(i int) (io.ReadCloser, error) {
		switch discFiles[i] {
		case ChecksName:
			return checks()
		case ParityFile:
			return parity()
		}
		return io.NopCloser(bytes.NewReader(d.texts[i])), nil
	})
}

// LargestImage returns how many sectors a data image may have so that the set's parity discs fit media of capacity sectors. It is a
// multiple of 32, as images are.
func LargestImage(capacity int64, g Geometry) (int64, error) {
	if err := g.Validate(); err != nil {
		return 0, err
	}
	// Everything that the set will say, as long as it can be.
	const uuid, label = "00000000-0000-0000-0000-000000000000", "WWWWWWWWWWWWWWW"
	s := &Set{ID: uuid, Geometry: g, Created: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}
	for j := range g.Data {
		s.Members = append(s.Members, Member{j, fmt.Sprintf("00000000-0000-0000-0000-%012d", j), label, mostSectors, archive.Hash{}, mostSectors})
	}
	for i := range g.Parity {
		s.Parities = append(s.Parities, Parity{ImageID: fmt.Sprintf("00000000-0000-0000-0001-%012d", i), Label: label})
	}
	js, err := s.JSON()
	if err != nil {
		return 0, err
	}
	texts := [][]byte{s.Readme(), js, decoder, make([]byte, len(discFiles)*(64+2+16)), nil, nil}
	fits := func(sectors int64) (bool, error) {
		l, err := s.layout(s.Parities[0], texts, int64(g.images())*blocks(sectors)*checkSize, sectors)
		return err == nil && l.Sectors() <= capacity, err
	}
	low, high := int64(0), capacity/blockSectors // in blocks: low fits, or nothing does
	for low < high {
		middle := (low + high + 1) / 2
		ok, err := fits(middle * blockSectors)
		if err != nil {
			return 0, fmt.Errorf("largest image on a disc of %d sectors: %w", capacity, err)
		}
		if ok {
			low = middle
		} else {
			high = middle - 1
		}
	}
	if low == 0 {
		return 0, fmt.Errorf("a parity disc of %d sectors: %w", capacity, ErrTooSmall)
	}
	return low * blockSectors, nil
}
