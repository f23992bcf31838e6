package udf

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/odarchive/odarchive/archive/image/extent"
)

var (
	_ fs.ReadDirFS  = (*Volume)(nil)
	_ fs.StatFS     = (*Volume)(nil)
	_ fs.ReadLinkFS = (*Volume)(nil)
)

// find returns the node of a name of io/fs and, when it is a directory, what is in it.
func (v *Volume) find(name string) (*Node, *listing, error) {
	if !fs.ValidPath(name) {
		return nil, nil, fs.ErrInvalid
	}
	l, err := v.list(v.root)
	if err != nil {
		return nil, nil, err
	}
	if name == "." {
		return l.node, l, nil
	}
	for range maxDepth {
		element, rest, more := strings.Cut(name, "/")
		e := l.lookup(element)
		if e == nil {
			// It may be in the part of the directory that can't be read.
			return nil, nil, errors.Join(fs.ErrNotExist, l.err)
		}
		if !e.Dir {
			if more {
				return nil, nil, fs.ErrNotExist
			}
			n, err := v.node(e.at)
			return n, nil, err
		}
		if l, err = v.enter(l, e); err != nil {
			return nil, nil, err
		}
		if !more {
			return l.node, l, nil
		}
		name = rest
	}
	return nil, nil, damaged(l.node.Sector, "directories deeper than %d", maxDepth)
}

func (l *listing) lookup(name string) *Entry {
	if i, ok := l.names[name]; ok {
		return &l.entries[i]
	}
	return nil
}

func info(name string, n *Node) *extent.Info {
	return &extent.Info{Base: name, Bytes: n.Size, Bits: n.Mode, Modified: n.ModTime, Node: n}
}

// Open opens a file or directory. A file is an *extent.File, which reads at any place and says where it lies; a symbolic link's bytes
// are its path components.
func (v *Volume) Open(name string) (fs.File, error) {
	n, l, err := v.find(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if l != nil {
		return extent.NewDir(info(path.Base(name), n), v.entries(l), l.err), nil
	}
	return extent.NewFile(info(path.Base(name), n), v.reader(n)), nil
}

// ReadDir lists a directory. Where a part of it can't be read or is damaged, the rest comes with the error; where a
// file's entry is, its name comes and its Info is the error.
func (v *Volume) ReadDir(name string) ([]fs.DirEntry, error) {
	_, l, err := v.find(name)
	if err == nil && l == nil {
		err = errors.New("not a directory")
	}
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	if l.err != nil {
		err = &fs.PathError{Op: "readdir", Path: name, Err: l.err}
	}
	return v.entries(l), err
}

func (v *Volume) entries(l *listing) []fs.DirEntry {
	all := make([]fs.DirEntry, len(l.entries))
	for i := range l.entries {
		e := &l.entries[i]
		n, err := v.node(e.at)
		switch {
		case err != nil && e.Dir:
			all[i] = &extent.Info{Base: e.Name, Bits: fs.ModeDir, Err: err}
		case err != nil:
			all[i] = &extent.Info{Base: e.Name, Bits: fs.ModeIrregular, Err: err}
		case n.IsDir() != e.Dir:
			all[i] = &extent.Info{Base: e.Name, Bits: fs.ModeIrregular, Err: damaged(n.Sector, "%q is a directory or not", e.Name)}
		default:
			all[i] = info(e.Name, n)
		}
	}
	slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return all
}

// Stat describes a file; its Sys is a *Node.
func (v *Volume) Stat(name string) (fs.FileInfo, error) {
	n, _, err := v.find(name)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return info(path.Base(name), n), nil
}

// Lstat is Stat: nothing here follows symbolic links.
func (v *Volume) Lstat(name string) (fs.FileInfo, error) { return v.Stat(name) }

// maxLink bounds a symbolic link's path components, in bytes.
const maxLink = 1 << 16

// ReadLink returns where a symbolic link points (ECMA-167 4/14.16).
func (v *Volume) ReadLink(name string) (string, error) {
	n, _, err := v.find(name)
	var target string
	if err == nil {
		target, err = v.target(n)
	}
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return target, nil
}

func (v *Volume) target(n *Node) (string, error) {
	if n.Kind != kindSymlink || n.Size > maxLink {
		return "", fs.ErrInvalid
	}
	b := make([]byte, n.Size)
	if k, err := v.reader(n).ReadAt(b, 0); k < len(b) {
		return "", err
	} else if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	var elements []string
	for len(b) >= 4 {
		kind, length := b[0], int(b[1])
		if 4+length > len(b) {
			break
		}
		id := b[4 : 4+length]
		b = b[4+length:]
		switch kind {
		case 1, 2:
			elements = []string{""}
		case 3:
			elements = append(elements, "..")
		case 4:
			elements = append(elements, ".")
		case 5:
			s, _ := text(id)
			elements = append(elements, s)
		}
	}
	if len(elements) == 1 && elements[0] == "" {
		return "/", nil
	}
	return strings.Join(elements, "/"), nil
}
