// Package project makes sets of disc images of folders without any server. Its work is kept between commands in
// a folder that looks like what a disc says about itself: catalogue.json, and the manifests in archives. It knows files and images;
// it knows nothing of terminals and burners.
package project

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
)

// Errors that callers decide by.
var (
	ErrNone   = errors.New("there is no catalogue.json: make one with create_db")
	ErrLocked = errors.New("another odarchive works on it")
	ErrNoDisc = errors.New("there is no such disc in the plan")
)

// plansDir holds the catalogue of each plan as its discs carry it.
const plansDir = "plans"

// Project is the work on a disc set, in a folder. It is used by one goroutine, and by one process at a time.
type Project struct {
	dir  string
	lock *os.File
	c    *catalogue.Catalogue
	// program is what discs of the next plan carry of this program.
	program []catalogue.Tool
}

// Open opens the project in dir.
func Open(dir string) (*Project, error) {
	p, err := lock(dir)
	if err != nil {
		return nil, err
	}
	if p.c, err = ReadCatalogue(filepath.Join(dir, catalogue.CatalogName)); errors.Is(err, fs.ErrNotExist) {
		err = ErrNone
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open project %s: %w", dir, err), p.Close())
	}
	if p.c.SetID == "" { // an ancestor's: it goes on as ours
		p.c.SetID, p.c.JobID = uuid.NewString(), cmp.Or(p.c.JobID, uuid.NewString())
	}
	return p, nil
}

// Create makes a project in dir, which is made when it isn't there, and refuses where there is one. Nothing is written yet.
func Create(dir, name string) (*Project, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("make project: %w", err)
	}
	p, err := lock(dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(p.path(catalogue.CatalogName)); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("make project: %s exists already", p.path(catalogue.CatalogName)), p.Close())
	}
	p.c = &catalogue.Catalogue{Root: "/" + catalogue.DataDir, SetID: uuid.NewString(), JobID: uuid.NewString(), JobName: name}
	return p, nil
}

// lock takes the folder for this process. The lock is the kernel's: it ends with the process, however that ends.
func lock(dir string) (*Project, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open project: %w", err)
	}
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		d.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("open project %s: %w", dir, err)
	}
	return &Project{dir: dir, lock: d}, nil
}

// Close lets the folder go.
func (p *Project) Close() error { return p.lock.Close() }

func (p *Project) path(elements ...string) string {
	return filepath.Join(append([]string{p.dir}, elements...)...)
}

func (p *Project) manifest(id string) string { return p.path(catalogue.ManifestPath(id)) }

// Catalogue returns what the project knows. It may be read until the next change.
func (p *Project) Catalogue() *catalogue.Catalogue { return p.c }

// ReadCatalogue reads a catalogue from a file.
func ReadCatalogue(path string) (*catalogue.Catalogue, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return catalogue.Read(bufio.NewReaderSize(f, 1<<20))
}

// save writes the catalogue under a new GUID. What was there before stays until the new one is safe on the disk.
func (p *Project) save() error {
	p.c.Saved = time.Now().UTC()
	p.c.GUID = uuid.NewString()
	if err := writeFile(p.path(catalogue.CatalogName), p.c.Write); err != nil {
		return err
	}
	return p.tidy()
}

// tidy removes manifests and plans that nothing refers to any more.
func (p *Project) tidy() error {
	keep := map[string]bool{}
	for _, a := range p.c.Archives {
		keep[p.manifest(a.ID)] = true
	}
	for _, d := range p.c.Discs {
		keep[p.plan(d.Plan)] = true
		for i := range d.Program {
			keep[p.tool(&d.Program[i])] = true
		}
	}
	for i := range p.program {
		keep[p.tool(&p.program[i])] = true
	}
	for _, dir := range []string{catalogue.ArchivesDir, plansDir, programDir} {
		entries, err := os.ReadDir(p.path(dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			name := p.path(dir, e.Name())
			ours := strings.HasSuffix(name, ".jsonl") || strings.HasSuffix(name, ".json") || strings.HasSuffix(name, temporary) || strings.HasSuffix(name, toolType)
			if !keep[name] && ours && e.Type().IsRegular() {
				if err := os.Remove(name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (p *Project) plan(guid string) string { return p.path(plansDir, guid+".json") }

const temporary = ".odarchive-tmp"

// writeFile writes a file so that, whenever the machine stops, the old one or the whole new one is there.
func writeFile(path string, write func(io.Writer) error) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	temp := path + temporary
	f, err := os.Create(temp)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", path, err), f.Close(), os.Remove(temp))
		}
	}()
	if err := errors.Join(write(f), f.Sync()); err != nil {
		return err
	}
	return keep(f, temp, path)
}

// keep closes a temporary file and gives it its name for good.
func keep(f *os.File, temp, path string) error {
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// archiveOf returns an archive of the set.
func (p *Project) archiveOf(id string) *catalogue.SetArchive {
	i := slices.IndexFunc(p.c.Archives, func(a catalogue.SetArchive) bool { return a.ID == id })
	if i < 0 {
		return nil
	}
	return &p.c.Archives[i]
}

// files calls yield for each file of an archive's manifest, in order, after checking the whole manifest's hash.
func (p *Project) files(a *catalogue.SetArchive, yield func(*archive.Entry) error) error {
	entries, err := readManifest(func() (io.ReadCloser, error) { return os.Open(p.manifest(a.ID)) }, a.RootHash)
	if err != nil {
		return err
	}
	for i := range entries {
		if entries[i].Kind == archive.File {
			if err := yield(&entries[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// readManifest reads a manifest whose SHA-256 is known.
func readManifest(open func() (io.ReadCloser, error), root archive.Hash) ([]archive.Entry, error) {
	r, err := open()
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	defer r.Close()
	return catalogue.ReadManifest(r, root)
}
