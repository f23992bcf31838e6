// Package excerpt keeps some sectors of a disc in a file: those that somebody has read of it, such as a rebuild of the catalogue would. The
// file is as large as what it keeps, and says of every other sector that it is not there. It knows nothing of what sectors mean.
//
// A file is sectors of 2,048 bytes, the first of which holds the magic and zeros; then a JSON document, the index; then a tail of 32 bytes:
//
//	magic      "odarchive excerpt 1\n", at the beginning of the file
//	sectors    in any order; the index says which
//	index      {"sectors": 12219392, "runs": [[16, 12], [256, 1]], "bad": [28], "sha256": "…", …}
//	tail       "odarchive end 1\n", the length of the index in bytes (8 bytes, little-endian), its CRC-32C (4), zeros (4)
//
// A run is a sector of the disc and how many from it on are kept, in the order of the file; bad are the sectors that could not be read, and
// sha256 is that of everything before the index. A file without its tail is one that was never finished.
package excerpt

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"

	"github.com/odarchive/odarchive/archive"
)

const (
	magic      = "odarchive excerpt 1\n"
	end        = "odarchive end 1\n"
	tailSize   = 32
	sectorSize = archive.SectorSize
	// largestIndex bounds an index, in bytes: a million runs.
	largestIndex = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrNone says that a file is no excerpt, or one that was never finished.
var ErrNone = errors.New("not an excerpt of a disc, or one that was broken off")

// AbsentError is of a sector that the disc may have and that was not kept.
type AbsentError struct{ Sector int64 }

func (e *AbsentError) Error() string { return fmt.Sprintf("sector %d is not in the excerpt", e.Sector) }

// UnreadableError is of a sector that could not be read off the disc.
type UnreadableError struct{ Sector int64 }

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("sector %d could not be read when the excerpt was made", e.Sector)
}

// About is what an excerpt says of its disc besides the sectors. Nobody who reads sectors needs it.
type About struct {
	Image string `json:"image"` // UUID
	Label string `json:"label"` // of the image
	Vault string `json:"vault,omitempty"`
	// Set is the UUID of the disc's set and Index its place in it; Lists are the archives of which it has the whole list, as "id root-hash".
	Set   string   `json:"set,omitempty"`
	Index int      `json:"index,omitempty"`
	Lists []string `json:"lists,omitempty"`
	// Doubts are what was to be kept and could not be read, or made no sense.
	Doubts []string `json:"doubts,omitempty"`
	// Own is how many sectors from the first on the disc has before the contents of archives.
	Own int64 `json:"own,omitempty"`
}

type index struct {
	Sectors int64      `json:"sectors"`
	Runs    [][2]int64 `json:"runs"`
	Bad     []int64    `json:"bad,omitempty"`
	SHA256  string     `json:"sha256"`
	About   About      `json:"about"`
}

// run is sectors of the disc that lie one after the other in the file, from sector at of it on.
type run struct{ first, count, at int64 }

// Excerpt is an open file. It is an io.ReaderAt over the whole disc, for several goroutines.
type Excerpt struct {
	About
	Sectors int64 // of the disc
	file    io.ReaderAt
	closer  io.Closer
	runs    []run // ascending
	bad     map[int64]bool
}

// Open opens an excerpt and makes sure that it is as it was written. It returns ErrNone for anything else.
func Open(name string) (*Excerpt, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	x, err := open(f, info.Size())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open excerpt %s: %w", name, err), f.Close())
	}
	x.closer = f
	return x, nil
}

// Is says whether a file begins as an excerpt does.
func Is(r io.ReaderAt) bool {
	b := make([]byte, len(magic))
	n, _ := r.ReadAt(b, 0)
	return string(b[:n]) == magic
}

// open opens an excerpt of size bytes.
func open(f io.ReaderAt, size int64) (*Excerpt, error) {
	var tail [tailSize]byte
	if !Is(f) || size < sectorSize+tailSize {
		return nil, ErrNone
	}
	if _, err := f.ReadAt(tail[:], size-tailSize); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(tail[len(end):])
	if string(tail[:len(end)]) != end || n > largestIndex || int64(n) > size-tailSize-sectorSize {
		return nil, ErrNone
	}
	start := size - tailSize - int64(n)
	b := make([]byte, n)
	if _, err := f.ReadAt(b, start); err != nil {
		return nil, err
	}
	if crc32.Checksum(b, castagnoli) != binary.LittleEndian.Uint32(tail[len(end)+8:]) {
		return nil, errors.New("its index is damaged")
	}
	var i index
	if err := json.Unmarshal(b, &i); err != nil {
		return nil, fmt.Errorf("its index: %w", err)
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, start)); err != nil {
		return nil, err
	}
	if fmt.Sprintf("%x", h.Sum(nil)) != i.SHA256 {
		return nil, errors.New("its sectors are not what they were when they were read off the disc")
	}
	x := &Excerpt{About: i.About, Sectors: i.Sectors, file: f, bad: map[int64]bool{}}
	for _, s := range i.Bad {
		x.bad[s] = true
	}
	at := int64(1)
	for _, r := range i.Runs {
		if r[0] < 0 || r[1] < 1 || r[1] > i.Sectors-r[0] || r[1] > start/sectorSize-at {
			return nil, fmt.Errorf("its index names %d sectors from %d on, of %d", r[1], r[0], i.Sectors)
		}
		x.runs = append(x.runs, run{r[0], r[1], at})
		at += r[1]
	}
	if at*sectorSize != start {
		return nil, fmt.Errorf("it has %d bytes before its index, which names %d sectors", start, at-1)
	}
	slices.SortFunc(x.runs, byFirst)
	for i := range x.runs[min(1, len(x.runs)):] {
		if x.runs[i+1].first < x.runs[i].first+x.runs[i].count {
			return nil, fmt.Errorf("its index names sector %d twice", x.runs[i+1].first)
		}
	}
	return x, nil
}

func byFirst(a, b run) int {
	switch {
	case a.first < b.first:
		return -1
	case a.first > b.first:
		return 1
	}
	return 0
}

// Close closes the file.
func (x *Excerpt) Close() error { return x.closer.Close() }

// Kept returns how many sectors there are.
func (x *Excerpt) Kept() (n int64) {
	for _, r := range x.runs {
		n += r.count
	}
	return n
}

// ReadAt follows io.ReaderAt over the whole disc. At a sector that could not be read it ends with an *UnreadableError, and at another one that was
// not kept with an *AbsentError, with every byte before it delivered.
func (x *Excerpt) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("read at %d: negative offset", off)
	}
	for n < len(p) {
		at := off + int64(n)
		sector := at / sectorSize
		if sector >= x.Sectors {
			return n, io.EOF
		}
		r, ok := find(x.runs, sector)
		if !ok && x.bad[sector] {
			return n, &UnreadableError{sector}
		}
		if !ok {
			return n, &AbsentError{sector}
		}
		part := p[n:]
		part = part[:min(int64(len(part)), (r.first+r.count)*sectorSize-at)]
		k, err := x.file.ReadAt(part, (r.at-r.first)*sectorSize+at)
		n += k
		if k < len(part) {
			return n, err
		}
	}
	return n, nil
}

// find returns the run that has a sector.
func find(runs []run, sector int64) (run, bool) {
	i, ok := slices.BinarySearchFunc(runs, sector, func(r run, s int64) int {
		switch {
		case r.first+r.count <= s:
			return -1
		case r.first > s:
			return 1
		}
		return 0
	})
	if !ok {
		return run{}, false
	}
	return runs[i], true
}

// finish writes the index and the tail behind the sectors.
func finish(f *os.File, sectors int64, runs []run, bad []int64, about About) error {
	slices.SortFunc(runs, func(a, b run) int { return int(a.at - b.at) })
	i := index{Sectors: sectors, Runs: [][2]int64{}, Bad: bad, About: about}
	start := int64(1)
	for _, r := range runs {
		i.Runs = append(i.Runs, [2]int64{r.first, r.count})
		start += r.count
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, start*sectorSize)); err != nil {
		return err
	}
	i.SHA256 = fmt.Sprintf("%x", h.Sum(nil))
	b, err := json.Marshal(i)
	if err != nil {
		return err
	}
	var tail bytes.Buffer
	tail.Write(b)
	tail.WriteString(end)
	tail.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(b))))
	tail.Write(binary.LittleEndian.AppendUint32(nil, crc32.Checksum(b, castagnoli)))
	tail.Write(make([]byte, 4))
	if _, err := f.WriteAt(tail.Bytes(), start*sectorSize); err != nil {
		return err
	}
	if err := f.Truncate(start*sectorSize + int64(tail.Len())); err != nil {
		return err
	}
	return f.Sync()
}
