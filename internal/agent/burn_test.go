package agent

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"
	"time"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

const imageB = "0a1b2c3d-0000-4000-8000-00000000000b"

func burnTask(id string, sectors int64, sum []byte) *pb.Task {
	return &pb.Task{Work: &pb.Task_Burn{Burn: &pb.Burn{ImageId: id, Drive: 1, Sectors: sectors, Sha256: sum}}}
}

func TestBurn(t *testing.T) {
	image := inSectors(imageA, 700)
	sum := sha256.Sum256(image)
	for _, c := range []struct {
		name      string
		prepare   func(*site)
		failure   pb.Failure
		state     robot.DiscState
		identity  pb.Identity_State
		rebuilds  bool // the scratch copy is gone
		spent     bool // something was recorded, as far as the agent can say
		noScratch bool
	}{
		{name: "succeeds", state: robot.Complete, identity: pb.Identity_STATE_BLANK},
		{name: "no image", noScratch: true, failure: pb.Failure_FAILURE_RETRY, state: robot.Blank, rebuilds: true},
		{
			name: "not blank", prepare: func(s *site) { s.world.drives[1] = recorded(inSectors(imageB, 3)) },
			failure: pb.Failure_FAILURE_DISC, state: robot.Complete, identity: pb.Identity_STATE_OURS,
		},
		{
			name: "too small", prepare: func(s *site) { s.world.drives[1].capacity = 699 },
			failure: pb.Failure_FAILURE_DISC, state: robot.Blank, identity: pb.Identity_STATE_BLANK,
		},
		{
			name: "no disc", prepare: func(s *site) { s.world.drives[1] = nil },
			failure: pb.Failure_FAILURE_ROBOT, identity: pb.Identity_STATE_NO_DISC,
		},
		{
			name: "drive broken", prepare: func(s *site) { s.world.loadError = robot.ErrDriveFault },
			failure: pb.Failure_FAILURE_DRIVE, state: robot.Blank,
		},
		{
			name: "write error", spent: true, prepare: func(s *site) { s.world.burnError = robot.ErrWrite },
			failure: pb.Failure_FAILURE_DISC, state: robot.Open, identity: pb.Identity_STATE_BLANK,
		},
		{
			name: "refused by the drive", prepare: func(s *site) { s.world.burnError = robot.ErrTooLarge },
			failure: pb.Failure_FAILURE_DISC, state: robot.Blank, identity: pb.Identity_STATE_BLANK,
		},
		{
			name: "no program", prepare: func(s *site) {
				s.world.burnError = &robot.Error{Op: "burn", Kind: robot.ErrDriveFault, Untouched: true}
			},
			failure: pb.Failure_FAILURE_DRIVE, state: robot.Blank, identity: pb.Identity_STATE_BLANK,
		},
		{
			name: "scratch copy changed", spent: true, prepare: func(s *site) {
				path := filepath.Join(s.dir, "scratch", imageA+built)
				data, _ := os.ReadFile(path)
				data[100_000]++
				if err := os.WriteFile(path, data, 0o600); err != nil {
					s.Fatal(err)
				}
			},
			failure: pb.Failure_FAILURE_DISC, state: robot.Complete, identity: pb.Identity_STATE_BLANK, rebuilds: true,
		},
		{
			name: "another build", prepare: func(s *site) {
				if err := os.WriteFile(filepath.Join(s.dir, "scratch", imageA+summed), []byte("00"+fmtHex(sum[1:])+"  x\n"), 0o600); err != nil {
					s.Fatal(err)
				}
			},
			failure: pb.Failure_FAILURE_RETRY, state: robot.Blank, rebuilds: true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, 2, 1, func(s *site) {
				s.world.drives[1], s.world.home[1] = blank(800), 1
				if !c.noScratch {
					s.scratchFile(imageA, image, sum[:])
				}
				if c.prepare != nil {
					c.prepare(s)
				}
				p := s.start()
				defer p.end()
				r := s.run(burnTask(imageA, 700, sum[:]))
				if c.failure == pb.Failure_FAILURE_NONE {
					s.ok(r)
				} else {
					s.failed(r, c.failure)
				}
				if want := c.failure != pb.Failure_FAILURE_NONE && !c.spent; r.GetUntouched() != want {
					t.Errorf("nothing was recorded: %v, want %v", r.GetUntouched(), want)
				}
				if r.GetIdentity().GetState() != c.identity {
					t.Errorf("identity %v, want %v", r.GetIdentity(), c.identity)
				}
				s.world.mu.Lock()
				defer s.world.mu.Unlock()
				if d := s.world.drives[1]; d != nil && d.state != c.state {
					t.Errorf("the disc is %v, want %v", d.state, c.state)
				}
				if _, err := os.Stat(filepath.Join(s.dir, "scratch", imageA+built)); (err != nil) != c.rebuilds {
					t.Errorf("scratch copy: %v; want it gone: %v", err, c.rebuilds)
				}
			})
		})
	}
}

func fmtHex(p []byte) string {
	const digits = "0123456789abcdef"
	var s []byte
	for _, b := range p {
		s = append(s, digits[b>>4], digits[b&15])
	}
	return string(s)
}

// TestBurnIsNotInterrupted: neither the controller's change of mind nor a signal ends a burn, and its progress goes on
// while it is waited for. Only Abort does, and the disc is said to be spent.
func TestBurnIsNotInterrupted(t *testing.T) {
	image := inSectors(imageA, 700)
	sum := sha256.Sum256(image)
	burning := func(s *site, then func(p *process, id int64)) {
		s.world.drives[1], s.world.home[1] = blank(800), 1
		s.world.burnTime = 15 * time.Minute
		s.scratchFile(imageA, image, sum[:])
		p := s.start()
		id := s.lease(burnTask(imageA, 700, sum[:]))
		s.started(id)
		time.Sleep(time.Minute)
		then(p, id)
	}
	t.Run("cancelled", func(t *testing.T) {
		inBubble(t, 2, 1, func(s *site) {
			burning(s, func(p *process, id int64) {
				s.cancel(id)
				time.Sleep(20 * time.Minute)
				p.end()
				s.watched(func() {
					if d := s.world.drives[1]; d.state != robot.Complete || d.burns != 1 {
						t.Errorf("the disc is %v after %d burns", d.state, d.burns)
					}
				})
			})
		})
	})
	t.Run("stopped", func(t *testing.T) {
		inBubble(t, 2, 1, func(s *site) {
			burning(s, func(p *process, id int64) {
				began := time.Now()
				p.end()
				s.ok(s.result(id))
				if d := time.Since(began); d < 13*time.Minute || d > 15*time.Minute {
					t.Errorf("stopping took %v", d)
				}
				s.seen(func() {
					if !s.draining {
						t.Error("the controller was not told")
					}
					if steps := s.progress[id]; len(steps) < 800 || steps[len(steps)-1] < int64(len(image))*9/10 {
						t.Errorf("progress came %d times, the last: %v", len(steps), steps[max(0, len(steps)-3):])
					}
				})
			})
		})
	})
	t.Run("aborted", func(t *testing.T) {
		inBubble(t, 2, 1, func(s *site) {
			burning(s, func(p *process, id int64) {
				p.stop()
				time.Sleep(time.Second)
				p.abort()
				p.end()
				p = s.start()
				s.failed(s.result(id), pb.Failure_FAILURE_INTERRUPTED)
				p.end()
				s.watched(func() {
					if d := s.world.drives[1]; d.state != robot.Open {
						t.Errorf("the disc is %v", d.state)
					}
				})
			})
		})
	})
}
