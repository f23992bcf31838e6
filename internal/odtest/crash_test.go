package odtest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/odarchive/odarchive/archive/tree"
	"github.com/odarchive/odarchive/internal/client"
)

func TestMain(m *testing.M) { Main(m) }

// long marks a test of which packages below have a shorter form: "make e2e" runs it, "make test" does not.
func long(t *testing.T) {
	t.Helper()
	if os.Getenv("ODARCHIVE_SLOW") == "" {
		t.Skip("runs with ODARCHIVE_SLOW")
	}
}

// moment is a point in the way of the data at which a process is killed.
type moment struct {
	name string
	// reached returns when the put or the get that runs has come to that point.
	reached func(s *Site, w *work)
}

// work is what is under way in a case.
type work struct {
	marks     map[Role]int
	uploading chan struct{} // closed when half of it has been sent
	sealing   chan struct{} // closed when the manifest is being sent
	sealed    chan struct{} // closed when the archive is
}

var moments = []moment{
	{name: "upload", reached: func(_ *Site, w *work) { <-w.uploading }},
	{name: "sealing", reached: func(_ *Site, w *work) { <-w.sealing }},
	{name: "planning", reached: func(_ *Site, w *work) { <-w.sealed }},
	{name: "planned", reached: func(s *Site, w *work) { s.Await(Controller, w.marks[Controller], "planned image") }},
	{name: "build", reached: func(s *Site, w *work) { s.Await(Agent, w.marks[Agent], "task started.*kind=build") }},
	{name: "move", reached: func(s *Site, w *work) { s.Await(Agent, w.marks[Agent], "task started.*kind=move") }},
	{name: "burn", reached: func(s *Site, w *work) {
		s.Await(Agent, w.marks[Agent], "task started.*kind=burn")
		_, before := s.recording()
		s.Eventually("a disc is being recorded", func() bool {
			_, now := s.recording()
			return now > before+1<<20
		})
	}},
	{name: "unload", reached: func(s *Site, w *work) {
		s.Await(Agent, w.marks[Agent], `task started.*kind=move from="?drive`)
	}},
	{name: "verify", reached: func(s *Site, w *work) { s.Await(Agent, w.marks[Agent], "task started.*kind=verify") }},
	{name: "restore", reached: func(s *Site, w *work) { s.Await(Agent, w.marks[Agent], "task started.*kind=read") }},
}

// recording is how many bytes the discs hold that have been begun and not closed: those being burned, and spoiled ones.
func (s *Site) recording() (discs int, bytes int64) {
	begun, err := filepath.Glob(s.path("jukebox", "discs", "*", "image.open"))
	if err != nil {
		s.Fatal(err)
	}
	for _, path := range begun {
		if info, err := os.Stat(path); err == nil {
			discs++
			bytes += info.Size()
		}
	}
	return discs, bytes
}

// Whatever is killed, whenever: the put and the get end well, nothing that was sealed is lost, and the catalogue tells the truth.
func TestKill(t *testing.T) {
	for _, victim := range []Role{Controller, Agent, Jukebox, Postgres} {
		t.Run(string(victim), func(t *testing.T) {
			t.Parallel()
			s := New(t, Options{Speed: 60, ReadRate: 10 << 20, WriteRate: 5 << 20, Sectors: 2000, Blanks: 100})
			for i, m := range moments {
				t.Run(m.name, func(t *testing.T) {
					s.T = t
					s.CheckTruth(s.survive(victim, m, uint64(i)))
				})
				if t.Failed() {
					return
				}
			}
		})
	}
}

// survive archives a folder and restores it while victim is killed at a moment. It returns how many discs may be spoiled: an agent
// feeds the drives, and so the discs that are being burned when it dies are lost.
func (s *Site) survive(victim Role, m moment, seed uint64) (spoiled int) {
	source, target := s.path("source"), s.path("restored")
	defer os.RemoveAll(source)
	defer os.RemoveAll(target)
	s.fillWith(source, seed, 5<<20)
	w := &work{marks: map[Role]int{}, uploading: make(chan struct{}), sealing: make(chan struct{}), sealed: make(chan struct{})}
	for role := range s.processes {
		w.marks[role] = s.Mark(role)
	}

	done := make(chan error, 1)
	go func() { done <- s.thereAndBack(w, source, target) }()
	m.reached(s, w)
	s.Kill(victim)
	if victim == Agent {
		spoiled, _ = s.recording()
	}
	if victim == Postgres {
		victim = Controller
	}
	s.Start(victim)
	select {
	case err := <-done:
		if err != nil {
			s.Fatal(err)
		}
	case <-time.After(2 * patience):
		s.Fatalf("the work has not ended within %v\ncontroller: %q\nagent: %q", 2*patience, s.processes[Controller].tail(10), s.processes[Agent].tail(10))
	}
	differences, err := tree.Compare(s.Context(), source, target, false)
	if err != nil || len(differences) > 0 {
		s.Fatalf("the restored folder differs: %v %v", differences, err)
	}
	return spoiled
}

func (s *Site) thereAndBack(w *work, source, target string) error {
	uploading, sealing := false, false
	a, err := s.Client.Put(s.Context(), client.Put{Dir: source, Flush: true, Progress: func(p client.Progress) {
		if p.Stage == "upload" && p.Bytes > p.TotalBytes/2 && !uploading {
			uploading = true
			close(w.uploading)
		}
		if p.Stage == "seal" && !sealing {
			sealing = true
			close(w.sealing)
		}
	}})
	if err != nil {
		return fmt.Errorf("put: %w", err)
	}
	close(w.sealed)
	if _, err := s.Client.Wait(s.Context(), a.GetJobId(), nil); err != nil {
		return fmt.Errorf("wait: %w", err)
	}
	if err := s.Client.Get(s.Context(), client.Get{Archive: a, Target: target}); err != nil {
		return fmt.Errorf("get: %w", err)
	}
	return nil
}

// fill makes a folder of some small files and one larger than a small disc.
func (s *Site) fill(dir string, seed uint64) {
	s.Helper()
	s.fillWith(dir, seed, 9<<20)
}

// fillWith is fill with a large file of so many bytes.
func (s *Site) fillWith(dir string, seed uint64, large int) {
	s.Helper()
	random := rand.NewChaCha8([32]byte{byte(seed), 1})
	write := func(name string, size int) {
		path := filepath.Join(dir, name)
		data := make([]byte, size)
		random.Read(data)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			s.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			s.Fatal(err)
		}
	}
	for n := range 20 {
		write(fmt.Sprintf("small/%02d", n), n*1000)
	}
	write("large", large)
}
