package udf

import (
	"io/fs"
	"time"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/image/extent"
)

// File types (ECMA-167 4/14.6.6).
const (
	kindDirectory = 4
	kindFile      = 5
	kindSymlink   = 12
)

// Node is a File Entry: what a file is, apart from its names.
type Node struct {
	Sector   int64 // of the entry
	Kind     byte  // file type of ECMA-167 4/14.6.6
	Mode     fs.FileMode
	Size     int64  // bytes
	Recorded uint64 // blocks, as the entry says
	Links    uint16 // File Identifier Descriptors that lead here, as the entry says
	Unique   uint64
	ModTime  time.Time
	// Extents hold Size bytes; none where they are in the entry itself.
	Extents []extent.Extent

	at     address
	runs   []run
	inline []byte
}

// run is an extent with its first block, by which the descriptors in it say where they are.
type run struct {
	extent.Extent
	block uint32
}

// IsDir says whether the node is a directory.
func (n *Node) IsDir() bool { return n.Kind == kindDirectory }

// Inline returns the file's bytes when they are in the entry itself, else nil.
func (n *Node) Inline() []byte { return n.inline }

// maxDescents bounds the blocks of allocation descriptors beside the entry.
const maxDescents = 4096

// node reads the File Entry at a.
func (v *Volume) node(a address) (*Node, error) {
	sector, err := v.locate(a)
	if err != nil {
		return nil, err
	}
	b, err := extent.Sector(v.r, sector)
	if err != nil {
		return nil, err
	}
	id := le.Uint16(b)
	if id != tagExtendedEntry {
		id = tagEntry
	}
	if err := checkTag(b, id, a.block, sector); err != nil {
		return nil, err
	}
	if strategy := le.Uint16(b[20:]); strategy != 4 {
		return nil, damaged(sector, "ICB strategy %d", strategy)
	}
	n := &Node{Sector: sector, Kind: b[27], Links: le.Uint16(b[48:]), at: a}
	flags := le.Uint16(b[34:])
	n.Mode = modeOf(n.Kind, le.Uint32(b[44:]), flags)
	size := le.Uint64(b[56:])
	head, modified, unique, recorded := 176, 84, 160, 64
	if id == tagExtendedEntry {
		head, modified, unique, recorded = 216, 92, 200, 72
	}
	n.Recorded = le.Uint64(b[recorded:])
	n.ModTime = stamp(b[modified:])
	n.Unique = le.Uint64(b[unique:])
	if size > 1<<62 {
		return nil, damaged(sector, "a file of %d bytes", size)
	}
	n.Size = int64(size)
	attributes, descriptors := int64(le.Uint32(b[head-8:])), int64(le.Uint32(b[head-4:]))
	if int64(head)+attributes+descriptors > int64(len(b)) {
		return nil, damaged(sector, "%d bytes of attributes and %d of allocation descriptors", attributes, descriptors)
	}
	b = b[int64(head)+attributes:][:descriptors]
	switch kind := flags & 7; kind {
	case 0, 1:
		return n, v.allocate(n, b, kind == 1)
	case 3:
		if n.Size > descriptors {
			return nil, damaged(sector, "%d bytes of %d are in the entry", descriptors, n.Size)
		}
		n.inline = b[:n.Size]
		return n, nil
	default:
		return nil, damaged(sector, "allocation descriptors of kind %d", kind)
	}
}

// allocate reads allocation descriptors (ECMA-167 4/12, 4/14.14): short ones are blocks of the entry's own partition.
func (v *Volume) allocate(n *Node, b []byte, long bool) error {
	width := 8
	if long {
		width = 16
	}
	left, onDisc := n.Size, int64(0)
	for descents := 0; len(b) >= width; {
		word := le.Uint32(b)
		length, kind := int64(word&(1<<30-1)), word>>30
		a := address{n.at.partition, le.Uint32(b[4:])}
		if long {
			a = longAddress(b)
		}
		b = b[width:]
		if length == 0 {
			break
		}
		if kind == 3 {
			if descents++; descents > maxDescents {
				return damaged(n.Sector, "allocation descriptors go on and on")
			}
			var err error
			if b, err = v.more(a); err != nil {
				return err
			}
			continue
		}
		// A file's tail may have space that is not its own.
		length = min(length, left)
		if length == 0 {
			break
		}
		left -= length
		if left > 0 && length%archive.SectorSize != 0 {
			return damaged(n.Sector, "an extent of %d bytes that is not the last", length)
		}
		e := run{extent.Extent{Sector: -1, Length: length}, a.block}
		if kind == 0 {
			if onDisc += length; onDisc > v.size*archive.SectorSize {
				return damaged(n.Sector, "a file of more than the whole volume")
			}
			first, err := v.locate(a)
			if err != nil {
				return err
			}
			last, err := v.locate(address{a.partition, a.block + uint32(archive.Sectors(length)-1)})
			if err != nil {
				return err
			}
			if last-first != archive.Sectors(length)-1 {
				return damaged(n.Sector, "an extent of %d bytes from sector %d to %d", length, first, last)
			}
			e.Sector = first
		}
		n.runs = append(n.runs, e)
		n.Extents = append(n.Extents, e.Extent)
	}
	if left > 0 {
		return damaged(n.Sector, "extents of %d bytes for a file of %d", n.Size-left, n.Size)
	}
	return nil
}

// more reads an Allocation Extent Descriptor (ECMA-167 4/14.5).
func (v *Volume) more(a address) ([]byte, error) {
	sector, err := v.locate(a)
	if err != nil {
		return nil, err
	}
	b, err := extent.Sector(v.r, sector)
	if err != nil {
		return nil, err
	}
	if err := checkTag(b, tagAllocation, a.block, sector); err != nil {
		return nil, err
	}
	n := le.Uint32(b[20:])
	if int64(n) > int64(len(b)-24) {
		return nil, damaged(sector, "%d bytes of allocation descriptors", n)
	}
	return b[24 : 24+n], nil
}

// reader returns the bytes of a node.
func (v *Volume) reader(n *Node) *extent.Reader {
	if n.inline != nil {
		return extent.NewReader(inline(n.inline), []extent.Extent{{Sector: 0, Length: n.Size}})
	}
	return extent.NewReader(v.r, n.Extents)
}

type inline []byte

func (b inline) ReadAt(p []byte, off int64) (int, error) { return copy(p, b[off:]), nil }
