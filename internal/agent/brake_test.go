package agent

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/odarchive/odarchive/archive"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// TestBrake reads discs with places that can be read slowly only: every kind of reading gets them, says how many, and leaves the drive as fast as it
// was. Places far apart make it slow twice, and places near each other once.
func TestBrake(t *testing.T) {
	whole, g := augmented(t, 8000)
	size := int64(len(whole)) / archive.SectorSize
	sum := sha256.Sum256(whole)
	read := &pb.Task{Work: &pb.Task_Read{Read: &pb.Read{ImageId: imageA, Drive: 1, Extents: []*pb.ReadExtent{extent(whole, 100, 14_000_000)}}}}
	verify := &pb.Task{Work: &pb.Task_Verify{Verify: &pb.Verify{ImageId: imageA, Drive: 1, Sectors: size, Sha256: sum[:], LayerSectors: g.Layer}}}
	copied := &pb.Task{Work: &pb.Task_Copy{Copy: &pb.Copy{ImageId: imageA, Drive: 1, Sectors: size, Sha256: sum[:]}}}
	near, far := []int64{200, 201, 900}, []int64{200, 200 + calm + 600}
	for _, c := range []struct {
		name     string
		task     *pb.Task
		strained []int64
		oneSpeed bool
		slowed   int
		failure  pb.Failure
	}{
		{name: "a good disc", task: read},
		{name: "near", task: read, strained: near, slowed: 1},
		{name: "far apart", task: read, strained: far, slowed: 2},
		{name: "a verify", task: verify, strained: far, slowed: 2},
		{name: "a copy", task: copied, strained: near, slowed: 1},
		{name: "a drive with one speed", task: read, strained: near, oneSpeed: true, failure: pb.Failure_FAILURE_DISC},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, 2, 1, func(s *site) {
				d := recorded(bytes.Clone(whole))
				d.strained = sectors(c.strained...)
				s.world.drives[1], s.world.home[1], s.oneSpeed = d, 1, c.oneSpeed
				defer s.start().end()
				r := s.run(c.task)
				if c.failure != pb.Failure_FAILURE_NONE {
					s.failed(r, c.failure)
				} else if s.ok(r); r.GetSlowly() != int64(c.slowed) { // while it is slow, nothing is strained
					t.Errorf("%d sectors made the drive slow and came then, want %d", r.GetSlowly(), c.slowed)
				}
				s.watched(func() {
					if s.slowed != c.slowed || s.crawls[1] {
						t.Errorf("the drive was made slow %d times, want %d; it is slow now: %v", s.slowed, c.slowed, s.crawls[1])
					}
				})
			})
		})
	}
}
