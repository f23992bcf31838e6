// Package staging is the controller's disk: segments, the files that hold contents that are accepted but not yet on
// discs, and contents brought back from discs. What lies where in them is written in Postgres: it knows only files,
// how to make them durable before anybody relies on them, and when the disk is full.
package staging

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ErrFull says that the disk has no room. Nothing that was durable before is lost.
var ErrFull = errors.New("staging is full")

// Store is a folder of segments. Its methods may be called by several goroutines.
type Store struct {
	root    *os.Root
	reserve int64
	limit   int64
	used    atomic.Int64 // bytes of segments, and of what arrives: of that all that was claimed, while it is open

	mu   sync.Mutex
	open map[string]*claim // of what arrives, by name
}

// Config says where a Store lies and how much it may take.
type Config struct {
	Dir string
	// Reserve is how many bytes of the file system stay free: the store refuses to grow into them.
	Reserve int64
	// Limit is how many bytes the store may hold; 0 means what the file system offers.
	Limit int64
}

const (
	segments = "segments"
	incoming = "incoming"
)

// Open opens the store in c.Dir and makes it when it isn't there. The folder belongs to one process.
func Open(c Config) (*Store, error) {
	for _, d := range []string{segments, incoming} {
		if err := os.MkdirAll(filepath.Join(c.Dir, d), 0o700); err != nil {
			return nil, fmt.Errorf("open staging: %w", err)
		}
	}
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("open staging: %w", err)
	}
	return &Store{root: root, reserve: c.Reserve, limit: c.Limit, open: map[string]*claim{}}, nil
}

// Close releases the folder.
func (s *Store) Close() error { return s.root.Close() }

// ErrAhead says that the folder holds segments that the catalogue never made: it has been lost, or put back to an earlier state.
var ErrAhead = errors.New("staging is ahead of the catalogue")

// Sweep deletes the segments that keep does not know and counts what else there is. It is called once, before anything is added:
// such files belong to segments that the catalogue had given up when a process died before it deleted them. A segment beyond last, the
// highest that the catalogue ever made, may hold the only copy of something: then nothing is deleted, and the error is ErrAhead.
func (s *Store) Sweep(last int64, keep func(segment int64) bool) error {
	found, err := s.list(segments)
	if err != nil {
		return fmt.Errorf("sweep staging: %w", err)
	}
	for _, e := range found {
		if id, err := strconv.ParseInt(e.Name(), 10, 64); err == nil && id > last {
			return fmt.Errorf("sweep staging: %w: segment %d in %s is newer than its last one, %d. Start on the database that belongs to this folder, "+
				"or restore a later dump of it; to go on without what came after it, move the segments beyond that number to a safe place", ErrAhead, id, s.root.Name(), last)
		}
	}
	var used int64
	for _, e := range found {
		id, err := strconv.ParseInt(e.Name(), 10, 64)
		if err != nil || !keep(id) {
			if err := s.root.Remove(filepath.Join(segments, e.Name())); err != nil {
				return fmt.Errorf("sweep staging: %w", err)
			}
			continue
		}
		if info, err := e.Info(); err == nil {
			used += info.Size()
		}
	}
	arrived, err := s.list(incoming)
	if err != nil {
		return fmt.Errorf("sweep staging: %w", err)
	}
	for _, e := range arrived {
		if info, err := e.Info(); err == nil {
			used += info.Size()
		}
	}
	s.used.Store(used)
	return nil
}

func (s *Store) list(folder string) ([]fs.DirEntry, error) {
	dir, err := s.root.Open(folder)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.ReadDir(-1)
}

// Room reports ErrFull, with figures, when n more bytes don't fit. It keeps no place for them.
func (s *Store) Room(n int64) error {
	if used := s.used.Load(); s.limit > 0 && used+n > s.limit {
		return fmt.Errorf("%w: it holds %d bytes of at most %d, %d more don't fit", ErrFull, used, s.limit, n)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(s.root.Name(), &st); err != nil {
		return fmt.Errorf("ask how full staging is: %w", err)
	}
	if free := int64(st.Bavail) * st.Bsize; free-n < s.reserve {
		return fmt.Errorf("%w: %d bytes of its file system are free, %d more would leave less than the reserve of %d", ErrFull, free, n, s.reserve)
	}
	return nil
}

func segmentPath(id int64) string { return filepath.Join(segments, strconv.FormatInt(id, 10)) }

// Segment is a segment that is being written, by one goroutine.
type Segment struct {
	ID    int64
	store *Store
	file  *os.File
	size  int64
	named bool // its folder entry is durable
}

// Create begins the segment id, which must be new.
func (s *Store) Create(id int64) (*Segment, error) {
	f, err := s.root.OpenFile(segmentPath(id), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create segment %d: %w", id, full(err))
	}
	return &Segment{ID: id, store: s, file: f}, nil
}

// Size returns how many bytes have been written, and so where the next Write begins.
func (g *Segment) Size() int64 { return g.size }

// Write appends p. What a failed Write left behind is overwritten by the next.
func (g *Segment) Write(p []byte) (int, error) {
	n, err := g.file.WriteAt(p, g.size)
	if err != nil {
		return 0, fmt.Errorf("write segment %d: %w", g.ID, full(err))
	}
	g.size += int64(n)
	g.store.used.Add(int64(n))
	return n, nil
}

// Sync makes everything that was written durable, the segment's name included.
func (g *Segment) Sync() error {
	if err := g.file.Sync(); err != nil {
		return fmt.Errorf("sync segment %d: %w", g.ID, full(err))
	}
	if g.named {
		return nil
	}
	if err := g.store.syncDir(segments); err != nil {
		return err
	}
	g.named = true
	return nil
}

// Sync makes a segment that was written without being synced durable, its name included. One that isn't there is no error.
func (s *Store) Sync(id int64) error {
	f, err := s.root.OpenFile(segmentPath(id), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("sync segment %d: %w", id, err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync segment %d: %w", id, full(err))
	}
	return s.syncDir(segments)
}

// Close releases the file without making it durable.
func (g *Segment) Close() error { return g.file.Close() }

func (s *Store) syncDir(name string) error {
	d, err := s.root.Open(name)
	if err != nil {
		return fmt.Errorf("sync staging: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync staging: %w", full(err))
	}
	return nil
}

// Read opens a segment for reading. The caller closes it; deleting the segment meanwhile does no harm.
func (s *Store) Read(id int64) (*os.File, error) {
	f, err := s.root.Open(segmentPath(id))
	if err != nil {
		return nil, fmt.Errorf("open segment %d: %w", id, err)
	}
	return f, nil
}

// Delete removes a segment; one that isn't there is no error.
func (s *Store) Delete(id int64) error {
	info, err := s.root.Stat(segmentPath(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = s.root.Remove(segmentPath(id))
	}
	if err != nil {
		return fmt.Errorf("delete segment %d: %w", id, err)
	}
	s.used.Add(-info.Size())
	return nil
}

func full(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w (%w)", ErrFull, err)
	}
	return err
}
