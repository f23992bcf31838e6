package odtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// TestSpareAreas: the discs of a vault that wants spare areas are formatted with them, planned smaller for it, and say so in the catalogue;
// those of another vault are not.
func TestSpareAreas(t *testing.T) {
	t.Parallel()
	const sectors = 3000
	s := New(t, Options{Sectors: sectors})
	source := s.path("source")
	s.fill(source, 1)
	for _, vault := range []string{"spared", "plain"} {
		if _, err := s.Client.Vaults.CreateVault(t.Context(), &pb.CreateVaultRequest{Name: vault, SpareAreas: vault == "spared"}); err != nil {
			t.Fatal(err)
		}
		a, err := s.Client.Put(t.Context(), client.Put{Dir: source, Vault: vault, Flush: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Client.Wait(t.Context(), a.GetJobId(), nil); err != nil {
			t.Fatal(err)
		}
		s.same(source, s.get(a))
	}
	status := s.Status()
	burned := map[string]int{}
	for _, d := range s.Discs() {
		if d.GetVault() == "" {
			continue
		}
		burned[d.GetVault()]++
		spare := d.GetVault() == "spared"
		folder := status.Slots[int(d.GetPlace().GetNumber())]
		if d.GetPlace().GetKind() == pb.ElementKind_ELEMENT_KIND_DRIVE {
			folder = status.Players[int(d.GetPlace().GetNumber())]
		}
		_, err := os.Stat(filepath.Join(s.path("jukebox", "discs"), folder, "spare_areas"))
		if d.GetSpareAreas() != spare || (err == nil) != spare {
			t.Errorf("disc %s of vault %s: spare areas %v in the catalogue, %v on it", d.GetLabel(), d.GetVault(), d.GetSpareAreas(), err == nil)
		}
		if spare && d.GetRecorded() > archive.WithSpareAreas("BD-R", sectors) {
			t.Errorf("disc %s has %d sectors", d.GetLabel(), d.GetRecorded())
		}
	}
	if burned["spared"] < 2 || burned["plain"] < 2 {
		t.Errorf("discs %v", burned)
	}
	s.CheckTruth(0)
}
