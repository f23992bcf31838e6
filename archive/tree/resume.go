package tree

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/odarchive/odarchive/archive"
)

// Had says, after Begin, that an earlier restore has made the file of e already. It needn't be written; Open opens it.
func (r *Restore) Had(e *archive.Entry) bool { return r.had[e.Path] }

// enter makes a directory that an earlier restore has given its own mode ours for as long as files are being written in it.
func (r *Restore) enter(e *archive.Entry) error {
	if !r.Resume {
		return nil
	}
	return r.root.Chmod(e.Path, 0o700)
}

// made says whether what is there is what e would become. A file has its name only when it is whole, but who knows what happened since:
// it is hashed.
func (r *Restore) made(e *archive.Entry, info fs.FileInfo) bool {
	switch {
	case e.Kind == archive.Symlink && info.Mode().Type() == fs.ModeSymlink:
		target, err := r.root.Readlink(e.Path)
		return err == nil && target == e.Target
	case e.Kind.Special():
		st, ok := info.Sys().(*unixStat)
		if !ok {
			return false
		}
		kind, target, err := special(st)
		return err == nil && kind == e.Kind && target == e.Target
	case e.Kind != archive.File || !info.Mode().IsRegular():
		return false
	case e.HardLink != "":
		first, err := r.root.Lstat(path.Clean(e.HardLink))
		return err == nil && os.SameFile(first, info)
	case info.Size() != e.Content.Size:
		return false
	}
	f, err := open(r.root, e.Path)
	if errors.Is(err, fs.ErrPermission) && r.root.Chmod(e.Path, 0o600) == nil {
		defer r.root.Chmod(e.Path, fs.FileMode(e.Mode).Perm())
		f, err = open(r.root, e.Path)
	}
	if err != nil {
		return false
	}
	defer f.Close()
	sum := r.hash(e)
	_, err = io.Copy(sum, f)
	return err == nil && archive.Hash(sum.Sum(nil)) == e.Content.Hash
}
