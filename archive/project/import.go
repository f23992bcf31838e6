package project

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/odarchive/odarchive/archive/catalogue"
)

// Import makes a project in dir of an old catalogue: one that a project left, or that lies on a disc, with the manifests beside it. It is
// the same plan again: discs that were not made can be made, just as they were to be. With burned all its discs exist.
func Import(dir, file string, burned bool) (_ *Project, err error) {
	c, err := ReadCatalogue(file)
	if err != nil {
		return nil, err
	}
	if c.Disc != "" {
		return nil, errors.New("it is the catalogue of one disc of a library, which knows no set")
	}
	p, err := Create(dir, c.JobName)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("import %s: %w", file, errors.Join(err, p.Close()))
		}
	}()
	set, job := p.c.SetID, p.c.JobID
	p.c = c
	if c.SetID == "" {
		c.SetID = set
	}
	if c.JobID == "" {
		c.JobID = job
	}
	beside := filepath.Dir(file)
	for _, a := range c.Archives {
		if err := p.copy(p.manifest(a.ID), filepath.Join(beside, catalogue.ManifestPath(a.ID))); err != nil {
			return nil, err
		}
		if err := p.check(&a); err != nil {
			return nil, err
		}
	}
	for i := range c.Discs {
		d := &c.Discs[i]
		if err := p.importTools(d, beside); err != nil {
			return nil, err
		}
		if burned {
			d.State = catalogue.Burned
		} else if d.State == "" {
			d.State = catalogue.Planned
		}
		from := filepath.Join(beside, plansDir, d.Plan+".json")
		if d.Plan == c.GUID {
			from = file // a disc carries the very plan that it was made by
		}
		if err := p.copy(p.plan(d.Plan), from); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	return p, p.save()
}

func (p *Project) copy(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return writeFile(to, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}

// check reads an archive's manifest and holds it against its hash.
func (p *Project) check(a *catalogue.SetArchive) error {
	_, err := readManifest(func() (io.ReadCloser, error) { return os.Open(p.manifest(a.ID)) }, a.RootHash)
	if err != nil {
		return fmt.Errorf("archive %s of %s: %w", a.ID, a.Source, err)
	}
	return nil
}

// Numbers returns the numbers of the set's own discs that have one of the states, in ascending order.
func (p *Project) Numbers(states ...catalogue.DiscState) (numbers []int64) {
	for _, d := range p.c.Discs {
		if slices.Contains(states, d.State) && (d.SetID == "" || d.SetID == p.c.SetID) {
			numbers = append(numbers, d.Number)
		}
	}
	slices.Sort(numbers)
	return numbers
}
