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

// Incoming opens what has arrived of the content called name, or begins it. The name is of the caller's making,
// a single path element.
func (s *Store) Incoming(name string) (*Incoming, error) {
	path := filepath.Join(incoming, name)
	f, err := s.root.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open incoming %s: %w", name, full(err))
	}
	return &Incoming{store: s, path: path, file: f}, nil
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

// WriteAt implements io.WriterAt. It fails with ErrFull when the disk is.
func (i *Incoming) WriteAt(p []byte, off int64) (int, error) {
	n, err := i.file.WriteAt(p, off)
	if err != nil {
		return n, fmt.Errorf("write %s: %w", i.path, full(err))
	}
	return n, nil
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
	info, err := i.file.Stat()
	if err == nil {
		err = i.file.Sync()
	}
	if err == nil {
		err = i.store.root.Rename(i.path, segmentPath(id))
	}
	if err != nil {
		return fmt.Errorf("make %s segment %d: %w", i.path, id, full(err))
	}
	if err := i.store.syncDir(segments); err != nil {
		return err
	}
	i.store.used.Add(info.Size())
	return i.file.Close()
}

// Close keeps what has arrived for another time.
func (i *Incoming) Close() error { return i.file.Close() }

// Discard deletes it.
func (i *Incoming) Discard() error {
	i.file.Close()
	return i.store.Drop(filepath.Base(i.path))
}

// Expire deletes what has been incoming under a name with the prefix and was not written to since t.
func (s *Store) Expire(prefix string, t time.Time) error {
	dir, err := s.root.Open(incoming)
	if err != nil {
		return fmt.Errorf("expire incoming: %w", err)
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
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
	if err := s.root.Remove(filepath.Join(incoming, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("drop incoming %s: %w", name, err)
	}
	return nil
}
