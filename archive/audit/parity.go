package audit

import (
	"context"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/snapshot"
)

// parity audits a disc of a set's parity: whatever else lies on it must be in SHA256SUMS.
func (a *audit) parity() {
	a.Kind = Parity
	b, ok := a.small(discset.SetName)
	if !ok {
		return
	}
	set, err := discset.ReadSet(b)
	if err != nil {
		a.find("", "%v", err)
		return
	}
	var own *discset.Parity
	index := set.Geometry.Data
	for i := range set.Parities {
		if p := &set.Parities[i]; a.disc.ID == "" && p.Label == a.disc.Label || a.disc.ID != "" && p.ImageID == a.disc.ID {
			own = p
			index += i
		}
	}
	if own == nil {
		a.find(discset.SetName, "the set has no parity disc %s, %q", a.disc.ID, a.disc.Label)
		return
	}
	a.identity(discset.SetName, own.ImageID, own.Label)
	words := []string{set.ID}
	for _, m := range set.Members {
		words = append(words, m.ImageID)
	}
	for _, p := range set.Parities {
		words = append(words, p.ImageID)
	}
	a.mentions(words...)
	a.wants = map[string]*want{
		discset.ReadmeName: {size: -1}, discset.SetName: {size: int64(len(b))}, discset.DecoderName: {size: -1}, discset.SumsName: {size: -1},
		discset.ChecksName: {size: set.ChecksSize(), hash: &set.Checks},
		discset.ParityFile: {size: set.Sectors() * archive.SectorSize, hash: &own.SHA256},
	}
	large := map[string]bool{discset.ChecksName: true, discset.ParityFile: true, discset.SnapshotName: true}
	if a.has(discset.InfoName) { // the first parity discs have none
		a.parityInfo(set, own, index)
	}
	if a.has(discset.SnapshotName) {
		a.snapshot(set)
	}
	if !a.listed() {
		return
	}
	a.side(a.disc.UDF, true)
	a.side(a.disc.ISO, false)
	a.Names, a.Contents = int64(len(a.wants)), int64(len(a.wants))
	r := &reader{audit: a}
	for p, w := range a.wants {
		if w.hash != nil && large[p] {
			r.total += w.size
		}
	}
	for p, w := range a.wants {
		if w.hash != nil && (!large[p] || a.o.Contents) {
			r.file(p, w.size, w.hash)
		}
	}
	if !a.o.Contents {
		a.Read = 0
	}
}

// listed takes in what SHA256SUMS lists, which is everything but itself.
func (a *audit) listed() bool {
	f, err := a.fsys.Open(discset.SumsName)
	if err != nil {
		a.find(discset.SumsName, "%v", err)
		return false
	}
	defer f.Close()
	for s, err := range catalogue.ReadSums(f) {
		if err != nil {
			a.find("", "%v", err)
			return false
		}
		w := a.wants[s.Path]
		switch {
		case w == nil:
			w = &want{size: -1}
			a.wants[s.Path] = w
		case w.summed:
			a.find(discset.SumsName, "%q is in it twice", s.Path)
		case s.Path == discset.SumsName:
			a.find(discset.SumsName, "it lists itself")
			continue
		case w.hash != nil && *w.hash != s.Hash:
			a.find(s.Path, "its SHA-256 is %v in %s and %v in %s", s.Hash, discset.SumsName, *w.hash, discset.SetName)
		}
		w.hash, w.summed = &s.Hash, true
	}
	for p, w := range a.wants {
		if !w.summed && p != discset.SumsName {
			a.find(p, "%s lacks it", discset.SumsName)
		}
	}
	return true
}

// parityInfo holds what a parity disc says of itself against its set.
func (a *audit) parityInfo(set *discset.Set, own *discset.Parity, index int) {
	b, ok := a.small(discset.InfoName)
	if !ok {
		return
	}
	a.wants[discset.InfoName] = &want{size: int64(len(b))}
	d, err := catalogue.ReadInfo(b)
	switch {
	case err != nil:
		a.find("", "%v", err)
	case d.ImageID != own.ImageID || d.Label != own.Label:
		a.find(discset.InfoName, "it calls the disc %s, %q; %s calls it %s, %q", d.ImageID, d.Label, discset.SetName, own.ImageID, own.Label)
	case d.Parity == nil || *d.Parity != catalogue.Parity{Set: set.ID, Index: index, Data: set.Geometry.Data, Images: set.Geometry.Parity}:
		a.find(discset.InfoName, "it puts the disc into another place than %s, which has it as image %d of set %s of %v", discset.SetName, index, set.ID, set.Geometry)
	case len(d.Archives) > 0:
		a.find(discset.InfoName, "it names archives, and a parity disc has none")
	}
}

// snapshot holds the catalogue that a parity disc carries against its own rules, when contents are looked at.
func (a *audit) snapshot(set *discset.Set) {
	f, err := a.fsys.Open(discset.SnapshotName)
	if err != nil {
		a.find(discset.SnapshotName, "%v", err)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		a.find(discset.SnapshotName, "%v", err)
		return
	}
	a.wants[discset.SnapshotName] = &want{size: info.Size()}
	if !a.o.Contents {
		return
	}
	sum, err := snapshot.Read(f, func(snapshot.Record) error { return context.Cause(a.ctx) })
	if err != nil {
		a.find(discset.SnapshotName, "%v", err)
	} else if sum.Set != set.ID {
		a.find(discset.SnapshotName, "it is of set %s, the disc of %s", sum.Set, set.ID)
	}
}
