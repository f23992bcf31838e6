package udf

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/image/extent"
)

// Entry is a name in a directory: a File Identifier Descriptor (ECMA-167 4/14.4).
type Entry struct {
	Name   string
	Dir    bool
	Hidden bool
	// Unique is the low half of the file's unique identifier, as the directory has it (UDF 1.02 §2.3.4.2).
	Unique uint32
	// Sector is the one that the descriptor begins in.
	Sector int64

	at address
}

// listing is a directory that was read.
type listing struct {
	node    *Node
	parent  address
	entries []Entry
	names   map[string]int // indices of entries
	err     error          // what is wrong with it beside the entries
	faults  []error        // what is wrong and keeps nobody from reading on
}

const (
	maxDirectory = 1 << 29 // bytes: ten million names
	maxDepth     = 2048    // more than a path of 4,095 bytes has
	cached       = 16      // directories
)

// list reads the directory at a, and keeps the last few. What can't be read or makes no sense is the listing's err, and the rest is
// there.
func (v *Volume) list(a address) (*listing, error) {
	sector, err := v.locate(a)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	l := v.cache[sector]
	v.mu.Unlock()
	if l != nil {
		return l, nil
	}
	n, err := v.node(a)
	if err != nil {
		return nil, err
	}
	if !n.IsDir() {
		return nil, damaged(sector, "a directory's entry is of a file of type %d", n.Kind)
	}
	if n.Size > maxDirectory {
		return nil, damaged(sector, "a directory of %d bytes", n.Size)
	}
	l = &listing{node: n}
	l.err = v.parse(l)
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.cache[sector]; !ok {
		v.cache[sector] = l
		if v.order = append(v.order, sector); len(v.order) > cached {
			delete(v.cache, v.order[0])
			v.order = v.order[1:]
		}
	}
	return l, nil
}

// parse reads the identifiers of a directory.
func (v *Volume) parse(l *listing) error {
	b := make([]byte, min(l.node.Size, maxDirectory))
	n, failed := v.reader(l.node).ReadAt(b, 0)
	if errors.Is(failed, io.EOF) && n == len(b) {
		failed = nil
	}
	b = b[:n]
	dirs := map[address]bool{v.root: true}
	l.names = map[string]int{}
	parents := 0
	for at := 0; at < len(b); {
		sector, block := l.node.place(int64(at))
		f := b[at:]
		if len(f) < 38 {
			return errors.Join(failed, damaged(sector, "a directory ends within an identifier"))
		}
		nameLength, use := int(f[19]), int(le.Uint16(f[36:]))
		size := (38 + nameLength + use + 3) &^ 3
		if size > len(f) {
			return errors.Join(failed, damaged(sector, "an identifier of %d bytes in the last %d of a directory", size, len(f)))
		}
		if err := checkTag(f[:size], tagIdentifier, block, sector); err != nil {
			// Its length can't be trusted, and so nothing behind it.
			return errors.Join(failed, err)
		}
		at += size
		const hidden, directory, deleted, parent = 1, 2, 4, 8
		e := Entry{Dir: f[18]&directory != 0, Hidden: f[18]&hidden != 0, Sector: sector, at: longAddress(f[20:]), Unique: le.Uint32(f[32:])}
		if f[18]&deleted != 0 {
			continue
		}
		if f[18]&parent != 0 {
			l.parent = e.at
			parents++
			continue
		}
		if strings.Trim(string(f[38+use+nameLength:size]), "\x00") != "" && len(l.faults) < 100 {
			l.faults = append(l.faults, damaged(sector, "bytes behind an identifier are not zero"))
		}
		name, ok := text(f[38+use : 38+use+nameLength])
		_, twice := l.names[name]
		switch {
		case !ok || name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00"):
			failed = errors.Join(failed, damaged(sector, "a file is called %q", f[38+use:38+use+nameLength]))
			continue
		case twice:
			failed = errors.Join(failed, damaged(sector, "two files are called %q", name))
			continue
		case e.Dir && dirs[e.at]:
			failed = errors.Join(failed, damaged(sector, "directory %q is elsewhere too", name))
			continue
		}
		l.names[name] = len(l.entries)
		if e.Dir {
			dirs[e.at] = true
		}
		e.Name = name
		l.entries = append(l.entries, e)
	}
	if parents != 1 && failed == nil {
		failed = damaged(l.node.Sector, "a directory with %d parents", parents)
	}
	return failed
}

// place returns the sector and the block of a byte of the node.
func (n *Node) place(at int64) (sector int64, block uint32) {
	for _, r := range n.runs {
		if at < r.Length {
			return r.Sector + at/archive.SectorSize, r.block + uint32(at/archive.SectorSize)
		}
		at -= r.Length
	}
	return n.Sector, n.at.block
}

// enter lists the directory of an entry of parent, which must say that parent is its parent: else it could be an ancestor.
func (v *Volume) enter(parent *listing, e *Entry) (*listing, error) {
	l, err := v.list(e.at)
	if err != nil {
		return nil, err
	}
	if l.parent != parent.node.at && l.err != nil {
		return nil, l.err
	} else if l.parent != parent.node.at {
		return nil, &extent.Error{Sector: l.node.Sector, Err: fmt.Errorf("%w: directory %q has another parent", ErrDamaged, e.Name)}
	}
	return l, nil
}
