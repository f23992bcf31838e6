package tree

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/archive"
)

// ErrExists says that a restore would have written over something.
var ErrExists = errors.New("it exists already")

// ErrWrong says that a file's bytes have another hash than was archived.
var ErrWrong = errors.New("not what was archived")

// Restore writes entries back below a folder. Files may be written in any order, each by one goroutine at a time; the
// calls are Begin, then Create for each of Files, then Finish.
type Restore struct {
	root    *os.Root
	entries []archive.Entry
	omitted map[string]bool // paths
	had     map[string]bool // paths of what an earlier restore has made
	unmade  []string
	// Overwrite lets a restore take the place of files and symlinks that exist. Directories are always shared.
	Overwrite bool
	// Resume goes on with a restore into the same folder that ended early: what that has made whole, by its hash, stays as it is.
	Resume bool
	// Owners gives entries their owners back, which takes privileges.
	Owners bool
	// Sync makes each file durable before it gets its name, and directories at the end: what has been restored is on the disk, and
	// after a power failure too a file that has its name is whole. Several files at a time cost little more than one.
	Sync bool
	// Hash makes the function by which a file's Content.Hash is its hash; nil for SHA-256. Older archives have others.
	Hash func(e *archive.Entry) hash.Hash
}

// NewRestore prepares to write entries, in ascending order of paths, below target, which is made when it isn't there. The
// entries may come from anywhere: none leads out of target.
func NewRestore(target string, entries []archive.Entry) (*Restore, error) {
	if err := os.MkdirAll(target, 0o777); err != nil {
		return nil, fmt.Errorf("restore to %s: %w", target, err)
	}
	root, err := os.OpenRoot(target)
	if err != nil {
		return nil, fmt.Errorf("restore to %s: %w", target, err)
	}
	return &Restore{root: root, entries: relink(entries)}, nil
}

// relink makes the first of several hard links a file of its own where the name that they point to is not among entries.
func relink(entries []archive.Entry) []archive.Entry {
	entries = slices.Clone(entries)
	firsts := map[string]string{} // HardLink → the name that stands for it
	for i := range entries {
		e := &entries[i]
		if e.Kind != archive.File {
			continue
		}
		if e.HardLink == "" {
			firsts[e.Path] = e.Path
		} else if first, ok := firsts[e.HardLink]; ok {
			e.HardLink = first
		} else {
			firsts[e.HardLink] = e.Path
			e.HardLink = ""
		}
	}
	return entries
}

// Files returns the entries whose contents are to be written.
func (r *Restore) Files() []*archive.Entry {
	var files []*archive.Entry
	for i := range r.entries {
		if e := &r.entries[i]; e.Kind == archive.File && e.HardLink == "" {
			files = append(files, e)
		}
	}
	return files
}

// Omit leaves the file of e, which must be one of Files and was not written, out of what Finish makes, with all hard links to it. It
// returns their paths in ascending order.
func (r *Restore) Omit(e *archive.Entry) (paths []string) {
	if r.omitted == nil {
		r.omitted = map[string]bool{}
	}
	for i := range r.entries {
		if x := &r.entries[i]; x == e || x.Kind == archive.File && x.HardLink == e.Path {
			r.omitted[x.Path] = true
			paths = append(paths, x.Path)
		}
	}
	return paths
}

// Close releases the folder.
func (r *Restore) Close() error { return r.root.Close() }

// Begin checks that nothing is in the way, before anything is written, and makes the directories.
func (r *Restore) Begin() error {
	for i := range r.entries {
		if err := r.entries[i].Validate(); err != nil {
			return fmt.Errorf("restore: %w", err)
		}
		if err := r.inTheWay(&r.entries[i]); err != nil {
			return err
		}
	}
	for i := range r.entries {
		e := &r.entries[i]
		dir := path.Dir(e.Path)
		if e.Kind == archive.Dir {
			dir = e.Path
		}
		// Ours alone until the end, whatever the directory's own mode: files are being written in it.
		if err := r.root.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("restore %q: %w", e.Path, err)
		}
	}
	return nil
}

func (r *Restore) inTheWay(e *archive.Entry) error {
	info, err := r.root.Lstat(e.Path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil
	} else if err != nil {
		return fmt.Errorf("restore %q: %w", e.Path, err)
	}
	switch {
	case e.Kind == archive.Dir && info.IsDir():
		return r.enter(e)
	case r.Resume && r.made(e, info):
		if r.had == nil {
			r.had = map[string]bool{}
		}
		r.had[e.Path] = true
		return nil
	case e.Kind == archive.Dir || info.IsDir():
		return fmt.Errorf("restore %q: %w as something else (%v)", e.Path, ErrExists, info.Mode().Type())
	case !r.Overwrite:
		return fmt.Errorf("restore %q: %w", e.Path, ErrExists)
	}
	return nil
}

// File is a file that is being written. It has its own name only once it is whole.
type File struct {
	r    *Restore
	e    *archive.Entry
	temp string
	file directFile
	sum  hash.Hash
	size int64
	// scattered says that runs came in another order than that of the file: its hash is made in the end.
	scattered bool
}

// Create begins the file of e, which must be one of Files.
func (r *Restore) Create(e *archive.Entry) (*File, error) {
	// A name that no entry of the tree can have been given by chance: the hash tells two contents apart, the length two names.
	dir, base := path.Split(e.Path)
	sum := sha256.Sum256([]byte(base))
	temp := fmt.Sprintf("%s.odarchive-%x.tmp", dir, sum[:12])
	f, err := r.root.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("restore %q: %w", e.Path, err)
	}
	file := &File{r: r, e: e, temp: temp, file: directFile{File: f}, sum: r.hash(e)}
	if r.Sync && e.Content.Size >= directSize {
		file.file.goDirect()
	}
	return file, nil
}

func (r *Restore) hash(e *archive.Entry) hash.Hash {
	if r.Hash != nil {
		return r.Hash(e)
	}
	return sha256.New()
}

// holeSize is the shortest run of zeros that becomes a hole: a block of most file systems, in bytes.
const holeSize = 4096

var zeros [holeSize]byte

// Write appends p. Whole blocks of zeros become holes. Large files that are to be durable are written fastest from a Buffer.
func (f *File) Write(p []byte) (int, error) {
	if f.size+int64(len(p)) > f.e.Content.Size {
		return 0, fmt.Errorf("restore %q: more than its %d bytes came", f.e.Path, f.e.Content.Size)
	}
	f.sum.Write(p)
	for start, at := 0, 0; at < len(p); {
		next := min(at+holeSize, len(p))
		empty := next-at == holeSize && bytes.Equal(p[at:next], zeros[:])
		if !empty {
			at = next
		}
		if (empty || at == len(p)) && start < at {
			if _, err := f.file.WriteAt(p[start:at], f.size+int64(start)); err != nil {
				return 0, fmt.Errorf("restore %q: %w", f.e.Path, err)
			}
		}
		if empty {
			at = next
			start = next
		}
	}
	f.size += int64(len(p))
	return len(p), nil
}

// Size returns how many bytes have been written; after Continue, where the next go.
func (f *File) Size() int64 { return f.size }

// Continue lets the next Write go to byte at: runs of a file may come in any order. Commit then reads the file again to hash it, and
// whoever calls it answers for there being no gaps that were not meant.
func (f *File) Continue(at int64) {
	f.scattered = f.scattered || at != f.size
	f.size = at
}

// Commit checks the whole against its hash and gives the file its attributes and its name.
func (f *File) Commit() error { return CommitAll([]*File{f}) }

// CommitAll is Commit for several files. Where they are to be durable it is much faster than one by one, because the file system's journal is
// written once for many; to sync from several goroutines at once is no substitute. The error is the first file's that failed: that one is
// removed, and so are others that failed; the rest are there.
func CommitAll(files []*File) error {
	var failed error
	each := func(do func(*File) error) {
		var good []*File
		for _, f := range files {
			err := do(f)
			if err == nil {
				good = append(good, f)
				continue
			}
			f.Abort()
			if failed == nil {
				failed = fmt.Errorf("restore %q: %w", f.e.Path, err)
			}
		}
		files = good
	}
	each((*File).settle)
	for _, f := range files {
		f.startSync()
	}
	each((*File).sync)
	each((*File).name)
	return failed
}

// settle checks the whole and gives it its attributes.
func (f *File) settle() error {
	e := f.e
	if f.scattered {
		if err := f.rehash(); err != nil {
			return err
		}
	}
	if f.size != e.Content.Size || archive.Hash(f.sum.Sum(nil)) != e.Content.Hash {
		return fmt.Errorf("%d of %d bytes came, and they are %w", f.size, e.Content.Size, ErrWrong)
	}
	if err := f.file.Truncate(f.size); err != nil { // a hole at the end
		return err
	}
	return f.r.attributes(f.file.File, f.e)
}

// startSync has the disk begin with what is to be durable. File systems choose the place of what was written only then, and note it in their
// journal: when all have been begun with before the first is waited for, the journal is written for all of them at once.
func (f *File) startSync() {
	if !f.r.Sync {
		return
	}
	if raw, err := f.file.SyscallConn(); err == nil { // and where it can't be done, sync does all of it
		raw.Control(func(fd uintptr) { unix.SyncFileRange(int(fd), 0, 0, unix.SYNC_FILE_RANGE_WRITE) })
	}
}

// sync makes it durable when that is wanted.
func (f *File) sync() error {
	if !f.r.Sync {
		return nil
	}
	return f.file.Sync()
}

// name gives it its name.
func (f *File) name() error {
	if err := f.file.Close(); err != nil {
		return err
	}
	return f.r.rename(f.temp, f.e.Path)
}

// rehash hashes a file whose runs came in any order.
func (f *File) rehash() error {
	if err := f.file.goPlain(); err != nil { // what isn't written is read as it comes
		return err
	}
	if err := f.file.Truncate(f.e.Content.Size); err != nil { // a hole at the end
		return err
	}
	f.sum = f.r.hash(f.e)
	var err error
	f.size, err = io.Copy(f.sum, io.NewSectionReader(f.file.File, 0, f.e.Content.Size))
	return err
}

// Abort removes what has been written.
func (f *File) Abort() {
	f.file.Close()
	f.r.root.Remove(f.temp)
}

// rename gives a finished file its name, and takes the place of another only when that is allowed.
func (r *Restore) rename(from, to string) error {
	if r.Overwrite {
		return r.root.Rename(from, to)
	}
	err := r.root.Link(from, to)
	switch {
	case err == nil:
		return r.root.Remove(from)
	case errors.Is(err, fs.ErrExist):
		return ErrExists
	}
	// A file system without hard links: Begin has seen that nothing is there.
	return r.root.Rename(from, to)
}

// attributes sets what an open file or directory has besides its content: the owner first, because that clears other bits.
func (r *Restore) attributes(f *os.File, e *archive.Entry) error {
	if r.Owners {
		if err := f.Chown(int(e.UID), int(e.GID)); err != nil {
			return err
		}
	}
	if err := writeXattrs(f, e.Xattrs); err != nil {
		return err
	}
	if err := unix.Fchmod(int(f.Fd()), e.Mode); err != nil {
		return fmt.Errorf("set mode %04o: %w", e.Mode, err)
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: e.ModTime.Unix(), Nsec: int64(e.ModTime.Nanosecond())}}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), times, 0); err != nil {
		return fmt.Errorf("set modification time: %w", err)
	}
	return nil
}

// Finish makes hard links, symlinks and special files, and then, from the deepest, gives directories their attributes.
func (r *Restore) Finish(ctx context.Context) error {
	var dirs []*archive.Entry
	for i := range r.entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		e := &r.entries[i]
		var err error
		switch {
		case r.omitted[e.Path] || r.had[e.Path]:
		case e.Kind == archive.Dir:
			dirs = append(dirs, e)
		case e.Kind == archive.Symlink:
			err = r.symlink(e)
		case e.HardLink != "":
			err = r.link(e)
		case e.Kind.Special():
			err = r.special(e)
		}
		if err != nil {
			return fmt.Errorf("restore %q: %w", e.Path, err)
		}
	}
	slices.SortStableFunc(dirs, func(a, b *archive.Entry) int { return strings.Count(b.Path, "/") - strings.Count(a.Path, "/") })
	// The root comes last: its path has no slash, as those of its children.
	slices.SortStableFunc(dirs, func(a, b *archive.Entry) int { return boolInt(a.Path == ".") - boolInt(b.Path == ".") })
	for _, e := range dirs {
		d, err := open(r.root, e.Path)
		if err == nil {
			err = errors.Join(r.attributes(d, e), r.sync(d), d.Close())
		}
		if err != nil {
			return fmt.Errorf("restore %q: %w", e.Path, err)
		}
	}
	return nil
}

// sync makes a directory's entries durable when that is wanted.
func (r *Restore) sync(d *os.File) error {
	if !r.Sync {
		return nil
	}
	return d.Sync()
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (r *Restore) link(e *archive.Entry) error {
	if r.Overwrite {
		if err := r.root.Remove(e.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return r.root.Link(e.HardLink, e.Path)
}

func (r *Restore) symlink(e *archive.Entry) error {
	if r.Overwrite {
		if err := r.root.Remove(e.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := r.root.Symlink(e.Target, e.Path); err != nil {
		return err
	}
	if r.Owners {
		if err := r.root.Lchown(e.Path, int(e.UID), int(e.GID)); err != nil {
			return err
		}
	}
	// The link's own time: through its folder, so that the link itself is never followed.
	d, err := open(r.root, path.Dir(e.Path))
	if err != nil {
		return err
	}
	defer d.Close()
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: e.ModTime.Unix(), Nsec: int64(e.ModTime.Nanosecond())}}
	return unix.UtimesNanoAt(int(d.Fd()), path.Base(e.Path), times, unix.AT_SYMLINK_NOFOLLOW)
}

// Open opens a file that has been restored.
func (r *Restore) Open(e *archive.Entry) (*os.File, error) {
	f, err := open(r.root, e.Path)
	if err != nil {
		return nil, fmt.Errorf("read %q again: %w", e.Path, err)
	}
	return f, nil
}
