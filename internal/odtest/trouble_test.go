package odtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/odarchive/odarchive/internal/client"
	"github.com/odarchive/odarchive/internal/controller"
	"github.com/odarchive/odarchive/internal/staging"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot/drive/file"
)

// job reads a job.
func (s *Site) job(id string) *pb.Job {
	s.Helper()
	j, err := s.Client.Jobs.GetJob(s.Context(), &pb.GetJobRequest{Id: id})
	if err != nil {
		s.Fatal(err)
	}
	return j
}

// flagged are the elements that somebody should look at.
func (s *Site) flagged() []*pb.Element {
	s.Helper()
	resp, err := s.Client.Library.ListElements(s.Context(), &pb.ListElementsRequest{Library: "site", FlaggedOnly: true})
	if err != nil {
		s.Fatal(err)
	}
	return resp.GetElements()
}

func TestNoBlankLeft(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Sectors: 3000, Blanks: 1})
	source := s.path("source")
	s.fill(source, 1) // three discs
	a, err := s.Client.Put(t.Context(), client.Put{Dir: source, Flush: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Eventually("the job says what it waits for", func() bool {
		return strings.Contains(s.job(a.GetJobId()).GetWaitingFor(), "blank")
	})
	t.Log(s.job(a.GetJobId()).GetWaitingFor())

	for slot := int32(2); slot <= 4; slot++ {
		name, sectors := fmt.Sprint("new", slot), int64(3000)
		if slot == 2 {
			sectors = 300 // too small, which only its drive knows: it stays blank, and the next one is taken
		}
		if err := file.NewDisc(s.path("jukebox", "discs", name), file.Medium{Type: "BD-R", Sectors: sectors}); err != nil {
			t.Fatal(err)
		}
		s.Hand("put", fmt.Sprint(slot), name)
	}
	if _, err := s.Client.Library.StockBlanks(t.Context(), &pb.StockBlanksRequest{
		Library: "site", Slots: []*pb.SlotRange{{First: 2, Last: 4}}, Medium: "BD-R", Capacity: 3000,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Client.Wait(t.Context(), a.GetJobId(), nil); err != nil {
		t.Fatal(err)
	}
	s.same(source, s.get(a))
	s.CheckTruth(0)
	for label, d := range s.Discs() {
		if blank := d.GetState() == pb.DiscState_DISC_STATE_BLANK; blank != (d.GetCapacity() == 300) || blank != strings.Contains(d.GetReason(), "it takes 300 sectors") {
			t.Errorf("disc %s of %d sectors is %v: %s", label, d.GetCapacity(), d.GetState(), d.GetReason())
		}
	}
}

// A disc that lies where the catalogue has another goes back, and both places are flagged. What was wanted comes back all the same, be it
// that the robot finds where the discs are or that an operator looks and says it, and the catalogue ends with the truth.
func TestWrongDisc(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Sectors: 3000, Blanks: 4})
	source := s.path("source")
	s.fill(source, 1)
	a := s.put(source)
	s.Eventually("the discs are back in their slots", s.rests)
	s.CheckTruth(0)
	mark := s.Mark(Agent)
	s.Hand("swap", "1", "2")

	target := s.path("restored")
	done := make(chan error, 1)
	go func() { done <- s.Client.Get(s.Context(), client.Get{Archive: a, Target: target}) }()
	s.Eventually("the retrieval ends", func() bool {
		s.settle()
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return true
		default:
			return false
		}
	})
	s.same(source, target)
	s.Await(Agent, mark, "task finished.*kind=move") // it did come from discs
	s.Eventually("everything that was flagged is settled", func() bool {
		s.settle()
		return len(s.flagged()) == 0
	})
	s.CheckTruth(0)
}

// rests says that every disc is in a slot.
func (s *Site) rests() bool {
	status := s.Status()
	return len(status.Players) == 0 && len(status.Transport) == 0
}

// settle is what an operator does who is called: he looks into the flagged slots, while nothing moves, and says what is there.
func (s *Site) settle() {
	s.Helper()
	for _, e := range s.flagged() {
		if !s.rests() || e.GetAddress().GetKind() != pb.ElementKind_ELEMENT_KIND_SLOT {
			return
		}
		s.Logf("%v %d: %s", e.GetAddress().GetKind(), e.GetAddress().GetNumber(), e.GetFlag())
		fill, label := pb.Fill_FILL_EMPTY, s.Status().Slots[int(e.GetAddress().GetNumber())]
		if label != "" {
			fill = pb.Fill_FILL_FULL
		}
		if _, err := s.Client.Library.SetElement(s.Context(), &pb.SetElementRequest{
			Library: "site", Address: e.GetAddress(), Fill: fill, Disc: label,
		}); err != nil {
			s.Fatal(err)
		}
	}
}

// A disc in a blank's slot that is not blank is left alone: another blank is burned.
func TestBlankThatIsNone(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Sectors: 3000, Blanks: 9})
	first, second := s.path("first"), s.path("second")
	s.fill(first, 1)
	s.fill(second, 2)
	s.put(first)
	s.Eventually("the discs are back in their slots", s.rests)
	s.Hand("swap", "1", "4") // a good disc comes to lie where the next blank is expected
	b := s.put(second)
	s.Eventually("somebody is called", func() bool { return len(s.flagged()) > 0 })
	s.same(second, s.get(b))
	spoiled := 0
	for label, d := range s.Discs() {
		if d.GetState() == pb.DiscState_DISC_STATE_SPOILED {
			t.Errorf("disc %s is spoiled: %s", label, d.GetReason())
			spoiled++
		}
	}
	if n := s.Status().Refused; n != 0 || spoiled > 0 {
		t.Errorf("%d impossible acts, %d spoiled discs", n, spoiled)
	}
}

// A full staging disk refuses before anything is sealed, and loses nothing that is.
func TestStagingFull(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Sectors: 3000, Blanks: 6, StagingLimit: 12 << 20})
	source := s.path("source")
	s.fill(source, 1)
	if err := os.WriteFile(filepath.Join(source, "more"), make([]byte, 8<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := s.Client.Put(t.Context(), client.Put{Dir: source, Flush: true})
	if status.Code(err) != codes.ResourceExhausted {
		t.Fatalf("put of more than staging holds: %v", err)
	}
	t.Log(err)
	list, err := s.Client.Archives.ListArchives(t.Context(), &pb.ListArchivesRequest{})
	if err != nil || len(list.GetArchives()) > 0 {
		t.Fatalf("sealed all the same: %v %v", list, err)
	}
	small := filepath.Join(source, "small")
	s.same(small, s.get(s.put(small)))
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Sectors: 3000, Blanks: 4})
	source := s.path("source")
	s.fill(source, 1)
	a := s.put(source)
	s.Eventually("the last disc has gone home", s.rests)
	moves := s.Status().Moves

	_, err := s.Client.Put(t.Context(), client.Put{Dir: source, Vault: "nobody's"})
	if err == nil || !strings.Contains(err.Error(), "nobody's") {
		t.Errorf("a vault that does not exist: %v", err)
	}
	err = s.Client.Get(t.Context(), client.Get{Archive: a, Target: source})
	if err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("a restore over files that exist: %v", err)
	}
	err = s.Client.Get(t.Context(), client.Get{Archive: a, Target: s.path("new"), Paths: []string{"no such"}})
	if err == nil || !strings.Contains(err.Error(), "no such") {
		t.Errorf("a path that is not in the archive: %v", err)
	}
	_, err = s.Client.Library.StockBlanks(t.Context(), &pb.StockBlanksRequest{
		Library: "site", Slots: []*pb.SlotRange{{First: 1, Last: 1}}, Medium: "BD-R", Capacity: 3000,
	})
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("blanks where a burned disc belongs: %v", err)
	}
	if s.Status().Moves != moves {
		t.Error("a refused request has moved discs")
	}
	if err := s.Client.Get(t.Context(), client.Get{Archive: a, Target: source, Overwrite: true}); err != nil {
		t.Errorf("a restore that may overwrite: %v", err)
	}
}

// A controller whose catalogue was lost does not start on a staging folder that may hold the only copy of something, and touches nothing.
func TestLostCatalogue(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Sectors: 3000, Blanks: 1})
	source := s.path("source")
	s.fill(source, 1)
	if _, err := s.Client.Put(t.Context(), client.Put{Dir: source}); err != nil { // sealed, and not on discs
		t.Fatal(err)
	}
	s.Stop(Agent)
	s.Stop(Controller)
	segments := s.path("controller", "staging", "segments")
	before, err := os.ReadDir(segments)
	if err != nil || len(before) == 0 {
		t.Fatalf("nothing is staged: %v", err)
	}
	kept := s.path("controller", "postgres.kept")
	if err := os.Rename(s.path("controller", "postgres"), kept); err != nil {
		t.Fatal(err)
	}
	err = (&controller.Main{DataDir: s.path("controller")}).Run(t.Context())
	if !errors.Is(err, staging.ErrAhead) {
		t.Fatalf("started without its catalogue: %v", err)
	}
	t.Log(err)
	if after, err := os.ReadDir(segments); err != nil || len(after) != len(before) {
		t.Errorf("%d segments of %d are left: %v", len(after), len(before), err)
	}
	if err := os.RemoveAll(s.path("controller", "postgres")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(kept, s.path("controller", "postgres")); err != nil {
		t.Fatal(err)
	}
	s.Start(Controller)
	if list, err := s.Client.Archives.ListArchives(t.Context(), &pb.ListArchivesRequest{}); err != nil || len(list.GetArchives()) != 1 {
		t.Errorf("with its catalogue again: %v %v", list, err)
	}
}
