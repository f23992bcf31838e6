package discset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"slices"

	"github.com/odarchive/odarchive/archive"
)

// ImageReport is what a verification found of one image.
type ImageReport struct {
	Index      int    `json:"index"`
	ImageID    string `json:"image"`
	Sectors    int64  `json:"sectors"`
	Present    bool   `json:"present"`
	Good       bool   `json:"good"` // every sector was read and the hash is right
	Unreadable Runs   `json:"unreadable"`
	Wrong      Runs   `json:"wrong"` // in whole blocks of 32 sectors
	Lost       Runs   `json:"lost"`  // in rows with more bad sectors than parity images
}

// Report is what a verification found.
type Report struct {
	Set    string        `json:"set"`
	Images []ImageReport `json:"images"` // in ascending order of indexes; missing members of a short set are not among them
	// Worst is the number of bad sectors in the worst row; Parity is how many can be made good.
	Worst  int `json:"worst"`
	Parity int `json:"parity"`
	// Inconsistent are rows in which all is as it was written, and the parity is not that of the data: the set was not made rightly.
	Inconsistent Runs `json:"inconsistent"`
}

// Good says that nothing is bad or absent.
func (r *Report) Good() bool {
	return r.Inconsistent.Sectors == 0 && !slices.ContainsFunc(r.Images, func(i ImageReport) bool { return !i.Good })
}

// Recoverable says that everything that is bad or absent can be rebuilt.
func (r *Report) Recoverable() bool { return r.Worst <= r.Parity && r.Inconsistent.Sectors == 0 }

// Verify reads the whole set, compares checksums, hashes and parity, and says what is bad and whether it can be made good.
func (r *Recovery) Verify(ctx context.Context, progress Progress) (*Report, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	v, err := r.verification()
	if err != nil {
		return nil, err
	}
	end := r.Set.Sectors()
	for first := int64(0); first < end; first += int64(r.stripe()) {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		n := int(min(int64(r.stripe()), end-first))
		if err := v.window(r.window(first, n, v.found)); err != nil {
			return nil, fmt.Errorf("verify set %s: %w", r.Set.ID, err)
		}
		if progress != nil {
			progress((first + int64(n)) * sectorSize)
		}
	}
	return v.end(), nil
}

type verification struct {
	r      *Recovery
	report *Report
	found  *Found
	sums   map[int]hash.Hash
	lost   map[int]*Runs
	coder  healer // of all parity from all members
	parity [][]byte
}

func (r *Recovery) verification() (*verification, error) {
	v := &verification{
		r: r, found: r.found(), sums: map[int]hash.Hash{}, lost: map[int]*Runs{},
		report: &Report{Set: r.Set.ID, Parity: r.Set.Geometry.Parity},
	}
	for _, m := range r.Set.Members {
		v.coder.inputs = append(v.coder.inputs, m.Index)
	}
	for i := range r.Set.Geometry.images() {
		if r.Set.sectors(i) > 0 {
			v.sums[i], v.lost[i] = sha256.New(), &Runs{}
		}
	}
	v.parity = buffers(r.Set.Geometry.Parity, r.stripe()*sectorSize)
	var err error
	v.coder.Encoder, err = newCoder(rows(r.Set.Geometry.Parity, v.coder.inputs))
	return v, err
}

func (v *verification) window(w *window) error {
	for i := range w.data {
		if err := w.load(i); err != nil {
			return err
		}
		if sum := v.sums[i]; sum != nil {
			sum.Write(w.data[i][:w.inside(i)*sectorSize])
		}
	}
	all := true
	for s := range w.n {
		bad := 0
		for i := range w.good {
			if !w.good[i][s] {
				bad++
			}
		}
		all = all && bad == 0
		v.report.Worst = max(v.report.Worst, bad)
		if bad > v.r.Set.Geometry.Parity {
			for i := range w.good {
				if !w.good[i][s] {
					v.lost[i].add(w.first+int64(s), 1)
				}
			}
		}
	}
	if all {
		return v.compare(w)
	}
	return nil
}

// compare computes the parity of a window in which all is good.
func (v *verification) compare(w *window) error {
	var in, out [][]byte
	for _, i := range v.coder.inputs {
		in = append(in, w.data[i])
	}
	for _, p := range v.parity {
		out = append(out, p[:w.n*sectorSize])
	}
	if err := code(v.coder, in, out); err != nil {
		return err
	}
	for s := range w.n {
		for i, p := range out {
			if span := func(b []byte) []byte { return b[s*sectorSize : (s+1)*sectorSize] }; !bytes.Equal(span(p), span(w.data[v.r.Set.Geometry.Data+i])) {
				v.report.Inconsistent.add(w.first+int64(s), 1)
				break
			}
		}
	}
	return nil
}

func (v *verification) end() *Report {
	for i := range v.r.Set.Geometry.images() {
		sum, ok := v.sums[i]
		if !ok {
			continue
		}
		x := ImageReport{Index: i, Sectors: v.r.Set.sectors(i), Present: v.r.Images[i] != nil, Lost: *v.lost[i]}
		if i < v.r.Set.Geometry.Data {
			x.ImageID = v.r.Set.member(i).ImageID
		} else {
			x.ImageID = v.r.Set.Parities[i-v.r.Set.Geometry.Data].ImageID
		}
		if u := v.found.Unreadable[i]; u != nil {
			x.Unreadable = *u
		}
		if u := v.found.Wrong[i]; u != nil {
			x.Wrong = *u
		}
		x.Good = x.Present && archive.Hash(sum.Sum(nil)) == v.r.Set.sum(i)
		v.report.Images = append(v.report.Images, x)
	}
	return v.report
}
