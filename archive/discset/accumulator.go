package discset

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/archive"
)

// Accumulator gathers the parity of a set in a folder while its images come, in any order and number. A sum can't be taken back, so
// nothing is ever changed in place: an addition writes new parity files beside the old ones, and one rename of the journal makes
// them the set's. Until then the old ones are, so that a crash at any moment leaves a set with or without what was being
// added, and an image that is added again is found there. While it adds, it needs room for the parity twice.
//
// One process has a folder open at a time. Methods may be called by several goroutines; additions wait for each other.
type Accumulator struct {
	root *os.Root
	lock *os.File
	mu   sync.Mutex
	j    journal
	// crash, in tests, is called between any two steps that reach the disk.
	crash func(step string)
}

// journal is what journal.json says: the only file that decides.
type journal struct {
	Format     string          `json:"format"`
	Version    int             `json:"version"`
	Set        string          `json:"set"`
	Data       int             `json:"data"`
	Parity     int             `json:"parity"`
	Generation int64           `json:"generation"` // of the parity files; 0 while nothing was added
	Members    []memberJSON    `json:"members"`
	Sealed     json.RawMessage `json:"sealed,omitempty"` // set.json
}

const (
	journalName    = "journal.json"
	journalFormat  = "odarchive-disc-set-accumulation"
	journalVersion = 1
	lockName       = "lock"
)

func parityName(generation int64, i int) string { return fmt.Sprintf("%06d.parity%03d", generation, i) }

func checksName(generation int64, i int) string { return fmt.Sprintf("%06d.checks%03d", generation, i) }
func memberName(index int) string               { return fmt.Sprintf("member%03d.checks", index) }

// Open opens the accumulation of set id in dir, or begins one, and deletes what a crash left half made there.
func Open(dir, id string, g Geometry) (*Accumulator, error) {
	err := g.Validate()
	if err == nil && !validUUID(id) {
		err = errors.New("no UUID")
	}
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	var a *Accumulator
	if err == nil {
		a, err = open(dir, id, g)
	}
	if err != nil {
		return nil, fmt.Errorf("open the accumulation of set %s in %s: %w", id, dir, err)
	}
	return a, nil
}

// Resume opens the accumulation in dir, whichever it is. It is fs.ErrNotExist when none was begun there.
func Resume(dir string) (*Accumulator, error) {
	a, err := open(dir, "", Geometry{})
	if err != nil {
		return nil, fmt.Errorf("open the accumulation in %s: %w", dir, err)
	}
	return a, nil
}

// open opens set id, or whichever there is when it is empty.
func open(dir, id string, g Geometry) (_ *Accumulator, err error) {
	a := &Accumulator{crash: func(string) {}}
	if a.root, err = os.OpenRoot(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if a.lock, err = a.root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, err
	}
	if err := unix.Flock(int(a.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return nil, ErrInUse
	} else if err != nil {
		return nil, err
	}
	b, err := a.root.ReadFile(journalName)
	switch {
	case errors.Is(err, fs.ErrNotExist) && id != "":
		a.j = journal{Format: journalFormat, Version: journalVersion, Set: id, Data: g.Data, Parity: g.Parity}
	case err != nil:
		return nil, err
	default:
		if err := json.Unmarshal(b, &a.j); err != nil {
			return nil, fmt.Errorf("%s: %w", journalName, err)
		}
		if a.j.Format != journalFormat || a.j.Version != journalVersion {
			return nil, fmt.Errorf("%s is %q, version %d", journalName, a.j.Format, a.j.Version)
		}
		if id == "" {
			id, g = a.j.Set, Geometry{a.j.Data, a.j.Parity}
		}
		if a.j.Set != id || a.j.Data != g.Data || a.j.Parity != g.Parity {
			return nil, fmt.Errorf("it is set %s of %d+%d, not %v: %w", a.j.Set, a.j.Data, a.j.Parity, g, ErrConflict)
		}
	}
	return a, a.tidy()
}

// tidy deletes every file that the journal does not know.
func (a *Accumulator) tidy() error {
	known := map[string]bool{journalName: true, lockName: true}
	for _, m := range a.j.Members {
		known[memberName(m.Index)] = true
	}
	for i := range a.j.Parity {
		known[parityName(a.j.Generation, i)] = a.j.Generation > 0
		known[checksName(a.j.Generation, i)] = a.j.Generation > 0
	}
	files, err := fs.ReadDir(a.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, f := range files {
		if !known[f.Name()] {
			if err := a.root.Remove(f.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close lets go of the folder, which keeps what was added.
func (a *Accumulator) Close() error {
	err := a.root.Close()
	if a.lock != nil {
		err = errors.Join(err, a.lock.Close())
	}
	return err
}

// Set returns the set's id and how many images it takes.
func (a *Accumulator) Set() (id string, g Geometry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.j.Set, Geometry{a.j.Data, a.j.Parity}
}

// Members returns the images that were added, in ascending order of their indexes.
func (a *Accumulator) Members() []Member {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.members()
}

func (a *Accumulator) members() (members []Member) {
	for _, m := range a.j.Members {
		members = append(members, Member{m.Index, m.Image, m.Label, m.Sectors, m.SHA256, m.DiscSectors})
	}
	return members
}

// commit makes j the journal. It is the moment at which what it tells of becomes true.
func (a *Accumulator) commit(j journal) error {
	b, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return err
	}
	const part = journalName + ".part"
	if err := a.write(part, append(b, '\n')); err != nil {
		return err
	}
	a.crash("journal written")
	if err := a.root.Rename(part, journalName); err != nil {
		return err
	}
	a.j = j
	a.crash("journal renamed")
	return a.syncFolder()
}

func (a *Accumulator) write(name string, b []byte) error {
	f, err := a.root.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

func (a *Accumulator) syncFolder() error {
	d, err := a.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Seal ends the set with the images that it has and returns it; created counts in whole seconds. parities name its parity images,
// whose hashes it fills in. A set that is sealed already is returned as it was sealed.
func (a *Accumulator) Seal(parities []Parity, created time.Time) (*Set, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.seal(parities, created)
	if err != nil {
		return nil, fmt.Errorf("seal set %s: %w", a.j.Set, err)
	}
	return s, nil
}

func (a *Accumulator) seal(parities []Parity, created time.Time) (*Set, error) {
	if a.j.Sealed != nil {
		return ReadSet(a.j.Sealed)
	}
	s := &Set{
		ID: a.j.Set, Geometry: Geometry{a.j.Data, a.j.Parity}, Created: created.UTC().Truncate(time.Second),
		Members: a.members(), Parities: slices.Clone(parities),
	}
	if err := s.validate(); err != nil {
		return nil, err
	}
	for i := range s.Parities {
		var err error
		if s.Parities[i].SHA256, err = a.hashParity(i, s.Sectors()); err != nil {
			return nil, err
		}
	}
	var err error
	if s.Checks, err = a.hashChecks(s); err != nil {
		return nil, err
	}
	b, err := s.JSON()
	if err != nil {
		return nil, err
	}
	j := a.j
	j.Sealed = b
	return s, a.commit(j)
}

// hashParity reads a whole parity file and holds it against its checksums.
func (a *Accumulator) hashParity(i int, sectors int64) (sum archive.Hash, err error) {
	f, err := a.root.Open(parityName(a.j.Generation, i))
	if err != nil {
		return sum, err
	}
	defer f.Close()
	return hashBlocks(f, sectors, func(first, n int64) ([]byte, error) {
		return a.readChecks(checksName(a.j.Generation, i), first, n)
	})
}

func (a *Accumulator) readChecks(name string, first, n int64) ([]byte, error) {
	f, err := a.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, n*checkSize)
	if _, err := io.ReadFull(io.NewSectionReader(f, first*checkSize, int64(len(b))), b); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

// checksParts names the files of checksums in their order.
func (a *Accumulator) checksParts(s *Set) (names []string) {
	for _, m := range s.Members {
		names = append(names, memberName(m.Index))
	}
	for i := range s.Parities {
		names = append(names, checksName(a.j.Generation, i))
	}
	return names
}

func (a *Accumulator) hashChecks(s *Set) (sum archive.Hash, err error) {
	r := a.openChecks(s)
	defer r.Close()
	return hashOf(r, s.ChecksSize())
}

// OpenChecks opens the checksums of a sealed set as one file: what its parity discs carry.
func (a *Accumulator) OpenChecks() (io.ReadCloser, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.sealed()
	if err != nil {
		return nil, err
	}
	return a.openChecks(s), nil
}

// OpenParity opens parity file i of a sealed set.
func (a *Accumulator) OpenParity(i int) (*os.File, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.sealed(); err != nil {
		return nil, err
	}
	return a.root.Open(parityName(a.j.Generation, i))
}

// LinkParity gives parity file i of a sealed set another name, outside of the accumulation's folder, which spares copying what is as
// large as a disc. It fails where the file system has no links, or another one has that name's folder.
func (a *Accumulator) LinkParity(i int, name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.sealed(); err != nil {
		return err
	}
	return os.Link(filepath.Join(a.root.Name(), parityName(a.j.Generation, i)), name)
}

// Sealed returns the set as it was sealed, or an error when it has not been.
func (a *Accumulator) Sealed() (*Set, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sealed()
}

func (a *Accumulator) sealed() (*Set, error) {
	if a.j.Sealed == nil {
		return nil, fmt.Errorf("set %s is not sealed", a.j.Set)
	}
	return ReadSet(a.j.Sealed)
}

// openChecks reads the files of checksums one behind the other, each opened when its turn comes.
func (a *Accumulator) openChecks(s *Set) io.ReadCloser {
	return &chain{open: a.root.Open, names: a.checksParts(s)}
}

type chain struct {
	open  func(string) (*os.File, error)
	names []string
	now   *os.File
}

func (c *chain) Read(p []byte) (int, error) {
	for {
		if c.now == nil {
			if len(c.names) == 0 {
				return 0, io.EOF
			}
			f, err := c.open(c.names[0])
			if err != nil {
				return 0, err
			}
			c.now, c.names = f, c.names[1:]
		}
		n, err := c.now.Read(p)
		if !errors.Is(err, io.EOF) || n > 0 {
			return n, err
		}
		if err := c.Close(); err != nil {
			return 0, err
		}
	}
}

func (c *chain) Close() error {
	if c.now == nil {
		return nil
	}
	err := c.now.Close()
	c.now = nil
	return err
}
