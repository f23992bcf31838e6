package odtest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"

	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/image"
	"github.com/odarchive/odarchive/archive/snapshot"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// carries reads the snapshot of the catalogue off a parity disc, and fails when it doesn't name every disc of the set: each by its image and, when
// all had been verified before the set was sealed, by its label and with its readings too.
func (s *Site) carries(set *pb.DiscSet, parity string, verified bool) {
	s.Helper()
	f, err := os.Open(s.path("jukebox", "discs", parity, "image.iso"))
	if err != nil {
		s.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		s.Fatal(err)
	}
	sides, err := image.Open(f, info.Size()/2048)
	if err != nil {
		s.Fatal(err)
	}
	text, err := fs.ReadFile(sides.FS(), catalogue.InfoName)
	if err != nil {
		s.Fatal(err)
	}
	d, err := catalogue.ReadInfo(text)
	if err != nil || !d.OfParity() || d.Parity.Set != set.GetId() || d.Vault != set.GetVault() || d.Library != set.GetLibrary() {
		s.Errorf("the parity disc says of itself %+v, %v", d, err)
	}
	b, err := fs.ReadFile(sides.FS(), snapshot.Name)
	if err != nil {
		s.Fatal(err)
	}
	images, discs, kinds := map[string]*snapshot.Image{}, map[string]*snapshot.Disc{}, map[string]int{}
	sum, err := snapshot.Read(bytes.NewReader(b), func(r snapshot.Record) error {
		kinds[r.Kind()]++
		switch x := r.(type) {
		case *snapshot.Image:
			images[x.ID] = x
		case *snapshot.Disc:
			discs[x.Label] = x
		case *snapshot.Set:
			if x.ID == set.GetId() && (len(x.Parities) != 1 || x.Parities[0].ID != d.ImageID) {
				return errors.New("the set has other parity discs")
			}
		}
		return nil
	})
	if err != nil || !sum.Complete || !sum.Full() || sum.Set != set.GetId() || kinds["vault"] != 1 || kinds["library"] != 1 || kinds["set"] == 0 || kinds["archive"] == 0 {
		s.Fatalf("%+v %v: %v", sum, kinds, err)
	}
	for i, m := range set.GetMembers() {
		if i >= int(set.GetData()) || len(m.GetDiscs()) == 0 || m.GetDiscs()[0] == parity {
			continue
		}
		x := images[m.GetImageId()]
		if x == nil || x.Set != set.GetId() || *x.Index != i || x.SHA256 == nil {
			s.Errorf("image %d of the set is %+v", i, x)
		}
		for _, label := range m.GetDiscs() {
			d := discs[label]
			if d == nil && !verified { // it was burned later
				continue
			}
			if d == nil || d.Image != m.GetImageId() || verified && (d.State != "good" || d.Verified == nil) {
				s.Errorf("disc %s is %+v", label, d)
			}
		}
	}
	if verified && (len(discs) == 0 || kinds["reading"] < len(discs)) {
		s.Errorf("%d discs with %d readings", len(discs), kinds["reading"])
	}
}
