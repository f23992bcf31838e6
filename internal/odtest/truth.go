package odtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/archive/image"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot/sim"
)

// stock tells the catalogue of the blanks.
func (s *Site) stock() {
	s.Helper()
	s.Eventually("the agent has shown the library", func() bool {
		resp, err := s.Client.Library.ListElements(s.Context(), &pb.ListElementsRequest{Library: s.library})
		return err == nil && len(resp.GetElements()) > 0
	})
	_, err := s.Client.Library.StockBlanks(s.Context(), &pb.StockBlanksRequest{
		Library: s.library, Slots: []*pb.SlotRange{{First: 1, Last: int32(s.options.Blanks)}}, Medium: "BD-R", Capacity: s.options.Sectors,
	})
	if err != nil {
		s.Fatalf("stock blanks: %v", err)
	}
}

// Status is what a look into the jukebox shows.
func (s *Site) Status() (status sim.Status) {
	s.Helper()
	if err := json.Unmarshal([]byte(s.Hand("status")), &status); err != nil {
		s.Fatal(err)
	}
	return status
}

// Discs are all discs of the catalogue by label.
func (s *Site) Discs() map[string]*pb.Disc {
	s.Helper()
	resp, err := s.Client.Library.ListDiscs(s.Context(), &pb.ListDiscsRequest{PageSize: 10000})
	if err != nil {
		s.Fatal(err)
	}
	discs := map[string]*pb.Disc{}
	for _, d := range resp.GetDiscs() {
		discs[d.GetLabel()] = d
	}
	return discs
}

// CheckTruth waits until the machine rests and then asserts that the catalogue says of every element what is physically there, that
// the robot has never been asked for the impossible, that no image is on more discs than its vault wants, and none is spoiled beyond
// the given number.
func (s *Site) CheckTruth(spoiled int) {
	s.Helper()
	var last error
	s.Eventually("the catalogue says what is so", func() bool {
		if err := s.differs(); err != nil {
			if last == nil || err.Error() != last.Error() {
				s.Logf("not yet: %v", err)
			}
			last = err
			return false
		}
		return true
	})
	if n := s.Status().Refused; n != 0 {
		s.Errorf("the robot was asked %d times for what is impossible", n)
	}
	discs := s.Discs()
	carriers, bad := map[string][]string{}, 0
	for label, d := range discs {
		switch d.GetState() {
		case pb.DiscState_DISC_STATE_GOOD:
			carriers[d.GetImageId()] = append(carriers[d.GetImageId()], label)
		case pb.DiscState_DISC_STATE_SPOILED:
			bad++
			s.Logf("disc %s is spoiled: %s", label, d.GetReason())
		case pb.DiscState_DISC_STATE_BLANK:
		default:
			s.Errorf("disc %s is %v: %s", label, d.GetState(), d.GetReason())
		}
	}
	for id, on := range carriers {
		if len(on) > 1 {
			s.Errorf("image %s is on discs %v", id, on)
		}
	}
	if bad > spoiled {
		s.Errorf("%d discs are spoiled, at most %d may be", bad, spoiled)
	}
}

// differs names a difference between the catalogue and what is physically so.
func (s *Site) differs() error {
	resp, err := s.Client.Library.ListElements(s.Context(), &pb.ListElementsRequest{Library: s.library})
	if err != nil {
		return err
	}
	status, discs := s.Status(), s.Discs()
	if len(status.Transport) > 0 {
		return fmt.Errorf("discs are on their way: %v", status.Transport)
	}
	for _, e := range resp.GetElements() {
		place := map[pb.ElementKind]map[int]string{pb.ElementKind_ELEMENT_KIND_SLOT: status.Slots, pb.ElementKind_ELEMENT_KIND_DRIVE: status.Players}[e.GetAddress().GetKind()]
		if place == nil {
			continue
		}
		where := fmt.Sprintf("%v %d", e.GetAddress().GetKind(), e.GetAddress().GetNumber())
		there, full := place[int(e.GetAddress().GetNumber())]
		if e.GetFlag() != "" {
			return fmt.Errorf("%s is flagged: %s", where, e.GetFlag())
		}
		if !full && e.GetAddress().GetKind() == pb.ElementKind_ELEMENT_KIND_SLOT && int(e.GetAddress().GetNumber()) > s.options.Blanks && e.GetFill() == pb.Fill_FILL_UNKNOWN {
			continue // never stocked and never visited: the robot can't see into its slots
		}
		if known := (e.GetFill() == pb.Fill_FILL_FULL); e.GetFill() == pb.Fill_FILL_UNKNOWN || known != full {
			return fmt.Errorf("%s is %v in the catalogue, and holds %q", where, e.GetFill(), there)
		}
		if !full {
			continue
		}
		disc := discs[e.GetDisc()]
		if disc == nil {
			return fmt.Errorf("%s holds %q, and the catalogue does not know which disc", where, there)
		}
		if err := s.sameDisc(there, disc); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
	}
	return nil
}

// sameDisc compares what is recorded on a disc with what the catalogue says of it.
func (s *Site) sameDisc(folder string, d *pb.Disc) error {
	dir := s.path("jukebox", "discs", folder)
	f, err := os.Open(filepath.Join(dir, "image.iso"))
	if errors.Is(err, fs.ErrNotExist) {
		_, err := os.Stat(filepath.Join(dir, "image.open"))
		if started := err == nil; started != (d.GetState() == pb.DiscState_DISC_STATE_SPOILED) {
			return fmt.Errorf("disc %s is %v in the catalogue; has a burn been begun: %v", d.GetLabel(), d.GetState(), started)
		}
		return nil
	} else if err != nil {
		return err
	}
	defer f.Close()
	id, err := image.ReadIdentity(f)
	if err != nil {
		return err
	}
	if got := uuid.UUID(id.ID).String(); got != d.GetImageId() {
		return fmt.Errorf("disc %s carries image %s, in the catalogue %q", d.GetLabel(), got, d.GetImageId())
	}
	return nil
}
