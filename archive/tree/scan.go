// Package tree walks, hashes and describes a tree of files, writes one back, and compares two. It knows file systems and entries
// and nothing of discs. Whatever it writes stays below the folder that it was given.
package tree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/odarchive/odarchive/archive"
)

// Options say how a tree is scanned. The zero value stops at the first unreadable file.
type Options struct {
	// Jobs is how many files are read at a time; 0 means one for each processor.
	Jobs int
	// KeepGoing leaves out what can't be read, after telling Skipped, instead of ending the scan.
	KeepGoing bool
	// OneFileSystem leaves out what is mounted below the root.
	OneFileSystem bool
	// Skipped is told of everything that is left out and why; it is called by one goroutine at a time.
	Skipped func(path string, err error)
	// Progress is told now and then how much has been hashed, in any order; it may be called by several goroutines.
	Progress func(files, bytes int64)
}

// ErrSpecial says that something else is where a file was, or that an entry is nothing that archives hold.
var ErrSpecial = errors.New("not a file")

// ErrChanging says that a file changed each time while it was read.
var ErrChanging = errors.New("the file changes while it is read")

// Scan returns the entries of the tree at root, in ascending order of path bytes, with the hashes of all files.
func Scan(ctx context.Context, root string, o Options) ([]archive.Entry, error) {
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("scan %s: %w", root, err)
	}
	defer r.Close()
	s := &scanner{root: r, name: root, options: o, links: map[inode]int{}}
	if s.options.Jobs <= 0 {
		s.options.Jobs = runtime.GOMAXPROCS(0)
	}
	if err := s.walk(ctx); err != nil {
		return nil, err
	}
	if err := s.hash(ctx); err != nil {
		return nil, err
	}
	return s.result(), nil
}

type inode struct{ dev, ino uint64 }

// found is an entry while it is being scanned.
type found struct {
	archive.Entry
	id   inode // of a file with several names
	link int   // index of the first entry that is the same file, or -1
	lost bool  // it was left out after all
}

type scanner struct {
	root    *os.Root
	name    string
	options Options
	dev     uint64
	links   map[inode]int
	entries []found
	mu      sync.Mutex // of Skipped
	files   atomic.Int64
	bytes   atomic.Int64
}

func (s *scanner) skip(path string, err error) {
	if s.options.Skipped == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options.Skipped(path, err)
}

// fail leaves path out, or ends the scan.
func (s *scanner) fail(path string, err error) error {
	if s.options.KeepGoing {
		s.skip(path, err)
		return nil
	}
	return fmt.Errorf("scan %s: %w", filepath.Join(s.name, path), err)
}

// walk collects all names in order: a directory's path, with a slash, sorts before everything below it, but a plain sort by
// bytes puts "a.b" between "a" and "a/c". So the order is made at the end.
func (s *scanner) walk(ctx context.Context) error {
	if err := s.add("."); err != nil {
		return err
	}
	if len(s.entries) == 0 || s.entries[0].Kind != archive.Dir {
		return fmt.Errorf("scan %s: not a directory", s.name)
	}
	for todo := []string{"."}; len(todo) > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		dir := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		names, err := s.list(dir)
		if err != nil {
			if dir == "." {
				return fmt.Errorf("scan %s: %w", s.name, err)
			}
			if err := s.fail(dir, err); err != nil {
				return err
			}
			continue
		}
		for _, name := range names {
			path := name
			if dir != "." {
				path = dir + "/" + name
			}
			n := len(s.entries)
			if err := s.add(path); err != nil {
				return err
			}
			if len(s.entries) > n && s.entries[n].Kind == archive.Dir {
				todo = append(todo, path)
			}
		}
	}
	slices.SortFunc(s.entries, func(a, b found) int { return strings.Compare(a.Path, b.Path) })
	return nil
}

func (s *scanner) list(dir string) ([]string, error) {
	d, err := s.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// add describes what lies at path.
func (s *scanner) add(path string) error {
	info, err := s.root.Lstat(path)
	if err != nil {
		return s.fail(path, err)
	}
	st, ok := info.Sys().(*unixStat)
	if !ok {
		return fmt.Errorf("scan %s: the system doesn't say who owns it", path)
	}
	e := found{link: -1, Entry: archive.Entry{
		Path: path, Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid, ModTime: info.ModTime().UTC(),
	}}
	switch {
	case info.IsDir():
		e.Kind = archive.Dir
		if path == "." {
			s.dev = uint64(st.Dev)
		} else if s.options.OneFileSystem && uint64(st.Dev) != s.dev {
			s.skip(path, errors.New("another file system is mounted there"))
			return nil
		}
	case info.Mode().IsRegular():
		e.Kind = archive.File
		if st.Nlink > 1 {
			e.id = inode{uint64(st.Dev), st.Ino}
		}
	case info.Mode()&fs.ModeSymlink != 0:
		e.Kind = archive.Symlink
		if e.Target, err = s.root.Readlink(path); err != nil {
			return s.fail(path, err)
		}
	default:
		if e.Kind, e.Target, err = special(st); err != nil {
			return s.fail(path, err)
		}
	}
	if err := archive.ValidPath(path); err != nil {
		return s.fail(path, err)
	}
	if e.Kind == archive.Dir {
		if e.Xattrs, err = s.dirXattrs(path); err != nil {
			return s.fail(path, err)
		}
	}
	s.entries = append(s.entries, e)
	return nil
}

func (s *scanner) dirXattrs(path string) (map[string][]byte, error) {
	d, err := open(s.root, path)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return readXattrs(d)
}

// hash reads every file once, several at a time, and finds hard links.
func (s *scanner) hash(ctx context.Context) error {
	jobs := make(chan int)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(jobs)
		for i := range s.entries {
			if e := &s.entries[i]; e.Kind != archive.File || s.isLink(i) {
				continue
			}
			select {
			case jobs <- i:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range s.options.Jobs {
		g.Go(func() error {
			h := newHasher()
			for i := range jobs {
				e := &s.entries[i]
				read, err := h.file(ctx, s.root, e.Path, func(n int64) { s.bytes.Add(n); s.tell() })
				if err != nil {
					if ctx.Err() != nil {
						return ctx.Err()
					}
					e.lost = true
					if err := s.fail(e.Path, err); err != nil {
						return err
					}
					continue
				}
				e.Content, e.ModTime, e.Xattrs = read.Content, read.ModTime, read.Xattrs
				s.files.Add(1)
				s.tell()
			}
			return nil
		})
	}
	return g.Wait()
}

func (s *scanner) tell() {
	if s.options.Progress != nil {
		s.options.Progress(s.files.Load(), s.bytes.Load())
	}
}

// isLink says whether entry i is another name of a file that came before it, and notes that.
func (s *scanner) isLink(i int) bool {
	e := &s.entries[i]
	if e.id == (inode{}) {
		return false
	}
	first, seen := s.links[e.id]
	if seen {
		e.link = first
		return true
	}
	s.links[e.id] = i
	return false
}

// result completes the hard links and drops what was lost.
func (s *scanner) result() []archive.Entry {
	out := make([]archive.Entry, 0, len(s.entries))
	for i := range s.entries {
		e := &s.entries[i]
		if e.link >= 0 {
			first := &s.entries[e.link]
			if first.lost {
				continue
			}
			e.HardLink, e.Content, e.ModTime, e.Xattrs = first.Path, first.Content, first.ModTime, first.Xattrs
		}
		if !e.lost {
			out = append(out, e.Entry)
		}
	}
	return out
}

// progressStep is how many bytes are hashed between two calls of a progress function.
const progressStep = 8 << 20

// settle is how often a file that changes is read again.
const settle = 3

// Changed says whether the file of e looks different from when it was scanned, or is gone.
func Changed(root *os.Root, e *archive.Entry) bool {
	info, err := root.Lstat(e.Path)
	return err != nil || !info.Mode().IsRegular() || info.Size() != e.Content.Size || !info.ModTime().Equal(e.ModTime)
}

// Rescan reads the file of e again.
func Rescan(ctx context.Context, root *os.Root, e *archive.Entry) error {
	w, err := newHasher().file(ctx, root, e.Path, func(int64) {})
	if err != nil {
		return err
	}
	e.Content, e.ModTime, e.Xattrs = w.Content, w.ModTime, w.Xattrs
	return nil
}

// Open opens the file of e. When something else has taken its place, a FIFO that nobody writes to for one, that is ErrChanging.
func Open(root *os.Root, e *archive.Entry) (*os.File, error) {
	f, err := open(root, e.Path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrChanging
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
