package udf

import (
	"path"

	"github.com/odarchive/odarchive/archive/image/extent"
)

// Visit is a file or directory of a walk.
type Visit struct {
	Path string // elements separated by '/'; "." is the root
	// Entry is the name that leads here; nil for the root.
	Entry *Entry
	// Node is nil where Err says why.
	Node *Node
	// Err is what is wrong with the node, or with the directory beside what it lists.
	Err error
	// Faults are wrong with a directory and kept nobody from reading on.
	Faults []error
}

// Walk yields every file and directory, a directory before what is in it, each once for each of its names, until yield returns false.
// It gives what io/fs doesn't: unique identifiers, link counts, where each descriptor lies.
func (v *Volume) Walk(yield func(Visit) bool) {
	l, err := v.list(v.root)
	if err != nil {
		yield(Visit{Path: ".", Err: err})
		return
	}
	v.walk(l, Visit{Path: "."}, 0, yield)
}

func (v *Volume) walk(l *listing, at Visit, depth int, yield func(Visit) bool) bool {
	at.Node, at.Err, at.Faults = l.node, l.err, l.faults
	if !yield(at) {
		return false
	}
	for i := range l.entries {
		e := &l.entries[i]
		child := Visit{Path: path.Join(at.Path, e.Name), Entry: e}
		if e.Dir {
			sub, err := v.enter(l, e)
			if err == nil && depth > maxDepth {
				err = damaged(sub.node.Sector, "directories deeper than %d", maxDepth)
			}
			if err == nil {
				if !v.walk(sub, child, depth+1, yield) {
					return false
				}
				continue
			}
			child.Err = err
		} else if child.Node, child.Err = v.node(e.at); child.Err == nil && child.Node.IsDir() {
			child.Node, child.Err = nil, damaged(child.Node.Sector, "a directory where %q should be a file", e.Name)
		}
		if !yield(child) {
			return false
		}
	}
	return true
}

// FileSet returns the sector of the File Set Descriptor.
func (v *Volume) FileSet() int64 { return v.fileSet }

// Counts are what the logical volume integrity descriptor says (ECMA-167 3/10.10, UDF 1.02 §2.2.6).
type Counts struct {
	Sector      int64
	Closed      bool
	NextUnique  uint64
	Files, Dirs uint32
}

// Counts reads the last logical volume integrity descriptor.
func (v *Volume) Counts() (c Counts, err error) {
	b, err := extent.Sector(v.r, v.Integrity.Sector)
	if err != nil {
		return c, err
	}
	if err := checkTag(b, tagIntegrity, uint32(v.Integrity.Sector), v.Integrity.Sector); err != nil {
		return c, err
	}
	// The counts are in the implementation use, behind two tables with a word for each partition.
	at := 80 + 8*int64(le.Uint32(b[72:]))
	if at+40 > int64(len(b)) {
		return c, damaged(v.Integrity.Sector, "integrity descriptor of %d partitions", le.Uint32(b[72:]))
	}
	return Counts{v.Integrity.Sector, le.Uint32(b[28:]) == 1, le.Uint64(b[40:]), le.Uint32(b[at+32:]), le.Uint32(b[at+36:])}, nil
}
