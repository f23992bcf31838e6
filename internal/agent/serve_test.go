package agent

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/odarchive/odarchive/archive"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// shelved is an image on the scratch disk, and a task that reads from it: small contents, a large one, an empty one and a part.
func shelved() (image []byte, t *pb.Task) {
	image = inSectors(imageA, 8000)
	sum, empty := sha256.Sum256(image), sha256.Sum256(nil)
	part := extent(image, 7000, 900_000)
	other := sha256.Sum256([]byte("a content of which the rest is elsewhere"))
	part.Hash, part.Size, part.Offset = other[:], 2_000_000, 50_000
	return image, &pb.Task{Work: &pb.Task_Serve{Serve: &pb.Serve{ImageId: imageA, Sectors: 8000, Sha256: sum[:], Extents: []*pb.ReadExtent{
		{Hash: empty[:]}, extent(image, 100, 100_000), extent(image, 149, 1), extent(image, 1000, 10_000_000), part,
	}}}}
}

// came compares what has been stored with the extents of an image.
func (s *site) came(image []byte, extents ...*pb.ReadExtent) {
	s.Helper()
	s.seen(func() {
		for _, x := range extents {
			if got, ok := s.stored[string(x.GetHash())]; !ok || !bytes.Equal(got, image[x.GetSector()*archive.SectorSize:][:x.GetLength()]) {
				s.Errorf("the content at sector %d has %d bytes, want %d", x.GetSector(), len(got), x.GetLength())
			}
		}
	})
}

// What retrievals wait for comes from the scratch disk while no drive is there at all, and the image stays.
func TestServe(t *testing.T) {
	image, task := shelved()
	inBubble(t, 1, 1, func(s *site) {
		s.scratchFile(imageA, image, task.GetServe().GetSha256())
		part := task.GetServe().GetExtents()[4]
		s.inParts[string(part.GetHash())] = 0
		defer s.start().end()
		r := s.run(task)
		s.ok(r)
		if r.GetBytes() != 100_000+1+10_000_000+900_000 || len(r.GetLost()) > 0 {
			t.Errorf("%d bytes, %d lost", r.GetBytes(), len(r.GetLost()))
		}
		s.came(image, task.GetServe().GetExtents()...)
		if left := s.scratchNames(); !slices.Equal(left, []string{imageA + built, imageA + summed}) {
			t.Errorf("%v is left", left)
		}
	})
}

// A content whose hash is refused was wrong when the image was burned, if the image has its hash. If it hasn't, it is deleted, and nothing is said of
// the content. Of a part that is refused nothing is said either.
func TestServeOfWrongContent(t *testing.T) {
	image, task := shelved()
	extents := task.GetServe().GetExtents()
	wrong, part := extents[1], extents[4]
	for _, c := range []struct {
		name  string
		spoil bool // the scratch disk has changed a byte of the content
		part  int  // how often the part is refused
	}{{"wrong from the beginning", false, 0}, {"changed on the scratch disk", true, 0}, {"a part is refused", false, 2}} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, 1, 1, func(s *site) {
				now := bytes.Clone(image)
				if c.spoil {
					now[wrong.GetSector()*archive.SectorSize+5] ^= 1
				}
				s.scratchFile(imageA, now, task.GetServe().GetSha256())
				s.refuse[string(wrong.GetHash())] = c.part == 0
				s.inParts[string(part.GetHash())] = c.part
				defer s.start().end()
				r := s.run(task)
				switch {
				case c.part > 0:
					s.ok(r)
				case c.spoil:
					s.failed(r, pb.Failure_FAILURE_RETRY)
				default:
					s.failed(r, pb.Failure_FAILURE_DISC)
				}
				if lost := c.part == 0 && !c.spoil; r.GetMissing() != c.spoil || len(r.GetLost()) > 0 != lost || lost && !bytes.Equal(r.GetLost()[0], wrong.GetHash()) {
					t.Errorf("missing %v, lost %x", r.GetMissing(), r.GetLost())
				}
				if left := s.scratchNames(); len(left) > 0 == c.spoil {
					t.Errorf("%v is left", left)
				}
				s.came(image, extents[2], extents[3])
			})
		})
	}
}

// An image that isn't on the scratch disk, or not as it should be, is said to be missing; what makes no sense is refused.
func TestServeOfNothing(t *testing.T) {
	image, _ := shelved()
	for _, c := range []struct {
		name string
		lies []byte
		task func(t *pb.Serve)
		want pb.Failure
	}{
		{"nothing", nil, nil, pb.Failure_FAILURE_RETRY},
		{"half of it", image[:len(image)/2], nil, pb.Failure_FAILURE_RETRY},
		{"beyond the end", image, func(t *pb.Serve) {
			t.Extents = append(t.Extents, extent(image, 7999, 2048))
			t.Extents[5].Length++
			t.Extents[5].Size++
		}, pb.Failure_FAILURE_INTERNAL},
		{"no image id", image, func(t *pb.Serve) { t.ImageId = "../a" }, pb.Failure_FAILURE_INTERNAL},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, task := shelved()
			inBubble(t, 1, 1, func(s *site) {
				if c.lies != nil {
					s.scratchFile(imageA, c.lies, task.GetServe().GetSha256())
				}
				if c.task != nil {
					c.task(task.GetServe())
				}
				defer s.start().end()
				r := s.run(task)
				s.failed(r, c.want)
				if c.want == pb.Failure_FAILURE_RETRY && !r.GetMissing() {
					t.Error("nobody says that it is missing")
				}
			})
		})
	}
}

// TestServeDies has the agent die at every step on the way from a torn copy to what is wanted of it. What the next one says is believed, the image
// is as it was burned, and the content comes.
func TestServeDies(t *testing.T) {
	x := share(t, 600, 0)
	sum := sha256.Sum256(x.data[0])
	wanted := extent(x.data[0], 390, 60_000)
	for step := int64(1); ; step++ {
		var died string
		inBubble(t, 3, 2, func(s *site) {
			d := recorded(x.data[0])
			d.bad = sectors(400)
			s.world.drives[1], s.world.home[1] = d, 1
			p := s.start()
			r := s.run(x.copy(1))
			p.end()
			s.others(x)
			p = s.start()
			for _, task := range x.rows(r.GetLacking()) {
				s.ok(s.run(task))
			}
			p.end()
			p = s.startDoomed(step)
			for _, task := range []*pb.Task{x.mend(), {Work: &pb.Task_Serve{Serve: &pb.Serve{
				ImageId: imageA, Sectors: int64(len(x.data[0])) / archive.SectorSize, Sha256: sum[:], Extents: []*pb.ReadExtent{wanted},
			}}}} {
				for {
					id := s.lease(task)
					for s.waitOrDeath(p, id) {
						died = p.died
						<-p.done
						p = s.start()
					}
					if r := s.result(id); r.GetError() == "" {
						break
					} else if r.GetFailure() != pb.Failure_FAILURE_INTERRUPTED {
						t.Errorf("%v: %s", r.GetFailure(), r.GetError())
						break
					}
				}
			}
			p.end()
			s.came(x.data[0], wanted)
			got, err := os.ReadFile(filepath.Join(s.dir, "scratch", imageA+built))
			if err != nil || !bytes.Equal(got, x.data[0]) {
				t.Errorf("the image differs: %v", err)
			}
		})
		if died == "" {
			if step < 5 {
				t.Errorf("there are only %d steps", step)
			}
			return
		}
		if t.Failed() {
			t.Fatalf("with death at step %d, %s", step, died)
		}
	}
}
