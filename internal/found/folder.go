package found

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/archive/excerpt"
)

// Folder is the folder of one survey, which one process writes at a time. Its methods may be called by several goroutines.
type Folder struct {
	dir  string
	lock *os.File

	mu    sync.Mutex
	slots map[int]Slot
	discs map[string]Disc // by image
}

// Disc is a disc of which there is an excerpt.
type Disc struct {
	excerpt.About
	Path  string
	Bytes int64
}

// Open opens the folder of a library's survey, which is made when there is none, and takes away what was not finished. An excerpt that is
// damaged is taken away too: its disc is to be read again.
func Open(dir, library string) (_ *Folder, err error) {
	if err := os.MkdirAll(filepath.Join(dir, slotsName), 0o755); err != nil {
		return nil, fmt.Errorf("open the survey: %w", err)
	}
	f := &Folder{dir: dir, slots: map[int]Slot{}, discs: map[string]Disc{}}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open the survey in %s: %w", dir, err), f.Close())
		}
	}()
	if f.lock, err = os.Open(dir); err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("another process writes it: %w", err)
	}
	switch h, err := readHead(dir); {
	case errors.Is(err, ErrNone):
		if err := f.write(headName, head{1, library}); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	case h.Library != library:
		return nil, fmt.Errorf("it is of library %q, not of %q", h.Library, library)
	}
	_, slots, err := Read(dir)
	if err != nil {
		return nil, err
	}
	for _, s := range slots {
		f.slots[s.Slot] = s
	}
	return f, f.load()
}

// load finds the excerpts.
func (f *Folder) load() error {
	parts, err := filepath.Glob(filepath.Join(escaped(f.dir), "*"+partType))
	if err != nil {
		return err
	}
	for _, name := range parts {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	names, err := filepath.Glob(filepath.Join(escaped(f.dir), "*"+Type))
	if err != nil {
		return err
	}
	for _, name := range names {
		x, err := excerpt.Open(name)
		if err != nil {
			if err := os.Remove(name); err != nil {
				return err
			}
			continue
		}
		f.discs[x.Image] = Disc{x.About, name, x.Kept() * 2048}
		if err := x.Close(); err != nil {
			return err
		}
	}
	return nil
}

// Close lets others write the folder.
func (f *Folder) Close() error {
	if f.lock == nil {
		return nil
	}
	return f.lock.Close()
}

// Slot returns what was found in a slot.
func (f *Folder) Slot(n int) (Slot, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.slots[n]
	return s, ok
}

// Disc returns the excerpt of an image.
func (f *Folder) Disc(image string) (Disc, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, ok := f.discs[image]
	return d, ok
}

// Discs returns all excerpts.
func (f *Folder) Discs() []Disc {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]Disc, 0, len(f.discs))
	for _, d := range f.discs {
		all = append(all, d)
	}
	return all
}

// Slots returns what was found in all slots.
func (f *Folder) Slots() []Slot {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]Slot, 0, len(f.slots))
	for _, s := range f.slots {
		all = append(all, s)
	}
	return all
}

// Save keeps what was found in a slot.
func (f *Folder) Save(s Slot) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.write(slotFile(s.Slot), s); err != nil {
		return fmt.Errorf("keep what is in slot %d: %w", s.Slot, err)
	}
	f.slots[s.Slot] = s
	return nil
}

func slotFile(n int) string { return filepath.Join(slotsName, fmt.Sprintf("slot-%04d.json", n)) }

// Forget forgets what was found in all slots, and keeps the excerpts.
func (f *Folder) Forget() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n := range f.slots {
		if err := os.Remove(filepath.Join(f.dir, slotFile(n))); err != nil {
			return err
		}
		delete(f.slots, n)
	}
	return syncFolder(filepath.Join(f.dir, slotsName))
}

// Part makes a file for an excerpt that is being written.
func (f *Folder) Part() (*os.File, error) { return os.CreateTemp(f.dir, "*"+partType) }

// plain is a label that can be a file's name.
var plain = regexp.MustCompile(`^[A-Za-z0-9_]{1,32}$`)

// Keep gives a finished excerpt its name. One of the same image is replaced.
func (f *Folder) Keep(part string, about excerpt.About, bytes int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := about.Image + Type
	if plain.MatchString(about.Label) {
		name = about.Label + "-" + name
	}
	name = filepath.Join(f.dir, name)
	err := os.Chmod(part, 0o644)
	if err == nil {
		err = os.Rename(part, name)
	}
	if err == nil {
		err = syncFolder(f.dir)
	}
	if err != nil {
		return fmt.Errorf("keep the excerpt of disc %s: %w", about.Label, err)
	}
	f.discs[about.Image] = Disc{about, name, bytes}
	return nil
}

// write writes a JSON file, durably, whole or not at all.
func (f *Folder) write(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	part, err := f.Part()
	if err != nil {
		return err
	}
	_, err = part.Write(append(b, '\n'))
	if err == nil {
		err = part.Chmod(0o644)
	}
	if err == nil {
		err = part.Sync()
	}
	err = errors.Join(err, part.Close())
	name = filepath.Join(f.dir, name)
	if err == nil {
		err = os.Rename(part.Name(), name)
	}
	if err == nil {
		return syncFolder(filepath.Dir(name))
	}
	return errors.Join(err, os.Remove(part.Name()))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
