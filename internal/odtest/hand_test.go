package odtest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// A robot doesn't let go of a disc while others are wanted. It is not told to carry anything else until somebody has looked; then what is wanted comes.
func TestDiscStaysInHand(t *testing.T) {
	long(t)
	t.Parallel()
	s := New(t, Options{Sectors: 3000, Blanks: 4})
	source := s.path("source")
	s.fill(source, 1) // three discs
	a := s.put(source)
	s.Eventually("the discs are back in their slots", s.rests)
	s.Hand("fault", "ZS", "held")
	target := s.path("restored")
	done := make(chan error, 1)
	go func() { done <- s.Client.Get(s.Context(), client.Get{Archive: a, Target: target}) }()
	s.Eventually("it is said that a disc may be in the hand", func() bool {
		for _, e := range s.flagged() {
			if e.GetAddress().GetKind() == pb.ElementKind_ELEMENT_KIND_PICKER && strings.Contains(e.GetFlag(), "may be in its hand") {
				return true
			}
		}
		return false
	})
	// The robot is asked for its state, and tells nothing of its hand; the agent calls again, and could be given something to do.
	for seen, calls := s.lastSeen(), 0; calls < 3; calls++ {
		s.Eventually("the agent calls again", func() bool {
			now := s.lastSeen()
			if !now.After(seen) {
				return false
			}
			seen = now
			return true
		})
	}
	doubts := slices.DeleteFunc(s.flagged(), func(e *pb.Element) bool { return e.GetFlag() == "" }) // the robot's last error stands for both units
	if len(doubts) != 3 {
		t.Errorf("%d places are in doubt, want a slot, a drive and the hand: %v", len(doubts), doubts)
	}
	s.Hand("tidy") // somebody takes it out and lays it into its slot, and says so; of the slot last, for then the robot goes on
	slices.Reverse(doubts)
	for _, e := range doubts {
		fill, label := pb.Fill_FILL_EMPTY, ""
		switch e.GetAddress().GetKind() {
		case pb.ElementKind_ELEMENT_KIND_PICKER:
			continue
		case pb.ElementKind_ELEMENT_KIND_SLOT:
			if label = s.Status().Slots[int(e.GetAddress().GetNumber())]; label != "" {
				fill = pb.Fill_FILL_FULL
			}
		}
		if _, err := s.Client.Library.SetElement(t.Context(), &pb.SetElementRequest{Library: "site", Address: e.GetAddress(), Fill: fill, Disc: label}); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.same(source, target)
	s.Eventually("the discs are back in their slots", s.rests)
	for _, e := range s.flagged() {
		if e.GetFlag() != "" {
			t.Error(e)
		}
	}
	s.CheckTruth(0)
}

// lastSeen is when the agent has called.
func (s *Site) lastSeen() time.Time {
	s.Helper()
	resp, err := s.Client.Library.ListLibraries(s.Context(), &pb.ListLibrariesRequest{})
	if err != nil || len(resp.GetLibraries()) != 1 {
		s.Fatal(err)
	}
	return resp.GetLibraries()[0].GetLastSeen().AsTime()
}
