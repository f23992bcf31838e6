package staging

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Incoming is a content that arrives in pieces, over several connections if need be, until it becomes a segment.
type Incoming struct {
	store *Store
	path  string
	file  *os.File
}

// claim is the room that the open files of one name take together: two agents may bring parts of one content.
type claim struct {
	files int
	bytes int64
}

// Incoming opens what has arrived of the content called name, or begins it, and keeps room for all its bytes until it is closed. The
// name is of the caller's making, a single path element.
func (s *Store) Incoming(name string, bytes int64) (*Incoming, error) {
	if err := s.claim(name, bytes); err != nil {
		return nil, err
	}
	path := filepath.Join(incoming, name)
	f, err := s.root.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		s.unclaim(name)
		return nil, fmt.Errorf("open incoming %s: %w", name, full(err))
	}
	return &Incoming{store: s, path: path, file: f}, nil
}

func (s *Store) claim(name string, bytes int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.open[name]
	if c == nil {
		arrived, err := s.Arrived(name)
		if err != nil {
			return err
		}
		c = &claim{bytes: arrived}
	}
	if more := bytes - c.bytes; more > 0 {
		if err := s.Room(more); err != nil {
			return err
		}
		s.used.Add(more)
		c.bytes = bytes
	}
	c.files++
	s.open[name] = c
	return nil
}

// unclaim is called for each file that was claimed for; after the last one only what has arrived counts.
func (s *Store) unclaim(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.open[name]
	if c.files--; c.files > 0 {
		return
	}
	delete(s.open, name)
	arrived, err := s.Arrived(name)
	if err != nil {
		return // rather too much counted than too little
	}
	s.used.Add(arrived - c.bytes)
}

// Arrived returns how many bytes of the content called name have arrived without a gap from its start.
func (s *Store) Arrived(name string) (int64, error) {
	info, err := s.root.Stat(filepath.Join(incoming, name))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, fmt.Errorf("look for incoming %s: %w", name, err)
	}
	return info.Size(), nil
}

// ReadAt implements io.ReaderAt.
func (i *Incoming) ReadAt(p []byte, off int64) (int, error) { return i.file.ReadAt(p, off) }

// WriteAt implements io.WriterAt. It fails with ErrFull when the disk is. Large pieces of zeros become holes.
func (i *Incoming) WriteAt(p []byte, off int64) (int, error) {
	n, err := writeAt(i.file, p, off)
	if err != nil {
		return n, fmt.Errorf("write %s: %w", i.path, full(err))
	}
	return n, nil
}

// File returns the file itself, so that another process writes into it, with WriteAt. It is closed with i.
func (i *Incoming) File() *os.File { return i.file }

// Size returns where the file ends, in bytes: what has arrived may have gaps.
func (i *Incoming) Size() (int64, error) {
	info, err := i.file.Stat()
	if err != nil {
		return 0, fmt.Errorf("look how long %s is: %w", i.path, err)
	}
	return info.Size(), nil
}

// Truncate cuts it to size bytes.
func (i *Incoming) Truncate(size int64) error {
	if err := i.file.Truncate(size); err != nil {
		return fmt.Errorf("truncate %s: %w", i.path, err)
	}
	return nil
}

// Sync makes what has been written durable under its incoming name.
func (i *Incoming) Sync() error {
	if err := i.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", i.path, full(err))
	}
	return i.store.syncDir(incoming)
}

// Become makes it the segment id, durable, and closes it.
func (i *Incoming) Become(id int64) error {
	if err := i.file.Sync(); err != nil {
		return fmt.Errorf("make %s segment %d: %w", i.path, id, full(err))
	}
	if err := i.rename(id); err != nil {
		return err
	}
	if err := i.store.syncDir(segments); err != nil {
		return err
	}
	return i.Close()
}

// BecomeUnsynced makes it the segment id, which is durable only after Store.Sync, and closes it.
func (i *Incoming) BecomeUnsynced(id int64) error {
	if err := i.rename(id); err != nil {
		return err
	}
	return i.Close()
}

func (i *Incoming) rename(id int64) error {
	info, err := i.file.Stat()
	if err == nil {
		err = i.store.root.Rename(i.path, segmentPath(id))
	}
	if err != nil {
		return fmt.Errorf("make %s segment %d: %w", i.path, id, err)
	}
	i.store.used.Add(info.Size())
	return nil
}

// Close keeps what has arrived for another time. Whoever has an Incoming closes it, by Become and Discard too; once more does no harm.
func (i *Incoming) Close() error {
	if i.file == nil {
		return nil
	}
	err := i.file.Close()
	i.file = nil
	i.store.unclaim(filepath.Base(i.path))
	return err
}

// Discard deletes it.
func (i *Incoming) Discard() error {
	err := i.store.Drop(filepath.Base(i.path))
	return errors.Join(err, i.Close())
}

// Expire deletes what has been incoming under a name with the prefix and was not written to since t.
func (s *Store) Expire(prefix string, t time.Time) error {
	entries, err := s.list(incoming)
	if err != nil {
		return fmt.Errorf("expire incoming: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasPrefix(e.Name(), prefix) || !info.ModTime().Before(t) {
			continue // it became a segment meanwhile, or is still wanted
		}
		if err := s.Drop(e.Name()); err != nil {
			return err
		}
	}
	return nil
}

// Drop deletes what has arrived of the content called name; nothing is no error.
func (s *Store) Drop(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	arrived, err := s.Arrived(name)
	if err != nil {
		return err
	}
	if err := s.root.Remove(filepath.Join(incoming, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("drop incoming %s: %w", name, err)
	}
	if s.open[name] == nil {
		s.used.Add(-arrived)
	}
	return nil
}
