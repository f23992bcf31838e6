package pioneer

import (
	"bufio"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// step is one exchange: the command that must come, and what the robot says to it. Answers are separated by
// spaces, each with its CR, or with a `~` for a line that breaks off; `@30s` after one is how long it takes.
type step struct{ command, answers string }

// script is a Line whose robot expects the commands of a script and no others.
type script struct {
	t      testing.TB
	pacing time.Duration

	mu     sync.Mutex
	steps  []step
	input  []byte
	heard  time.Time // when the driver took the last answer
	closed bool
	gone   error         // every use fails with it
	more   chan struct{} // closed and replaced when input came
}

func newScript(t testing.TB, steps ...[]step) *script {
	s := &script{t: t, more: make(chan struct{})}
	for _, some := range steps {
		s.steps = append(s.steps, some...)
	}
	return s
}

func (s *script) then(steps ...[]step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, some := range steps {
		s.steps = append(s.steps, some...)
	}
}

// finished fails the test when commands are missing.
func (s *script) finished() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, left := range s.steps {
		s.t.Errorf("the driver did not send %q", left.command)
	}
}

func (s *script) Send(ctx context.Context, frame []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone != nil {
		return s.gone
	}
	if len(frame) > 20 {
		s.t.Errorf("the command %q has more than 20 characters", frame)
	}
	if since := time.Since(s.heard); since < s.pacing {
		s.t.Errorf("%q came %v after the last answer, want %v", frame, since, s.pacing)
	}
	if len(s.steps) == 0 && strings.HasSuffix(string(frame), "?E\r") {
		s.answer("E00")
		return nil
	}
	if len(s.steps) == 0 {
		s.t.Errorf("%q came after the end of the script", frame)
		return nil
	}
	next := s.steps[0]
	if strings.HasSuffix(string(frame), "?E\r") && !strings.HasSuffix(next.command, "?E") {
		s.answer("E00") // the driver's look at the last error before and after a movement
		return nil
	}
	s.steps = s.steps[1:]
	if got := strings.TrimSuffix(string(frame), "\r"); got != next.command {
		s.t.Errorf("%q came, want %q", got, next.command)
	}
	for answer := range strings.FieldsSeq(next.answers) {
		s.answer(answer)
	}
	return nil
}

// answer says something now or later.
func (s *script) answer(answer string) {
	text, delay, _ := strings.Cut(answer, "@")
	text, half := strings.CutSuffix(text, "~")
	if !half {
		text += "\r"
	}
	hear := func() {
		s.input = append(s.input, text...)
		close(s.more)
		s.more = make(chan struct{})
	}
	if delay == "" {
		hear()
		return
	}
	d, err := time.ParseDuration(delay)
	if err != nil {
		s.t.Fatal(err)
	}
	time.AfterFunc(d, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		hear()
	})
}

func (s *script) Receive(ctx context.Context, split bufio.SplitFunc) ([]byte, error) {
	for {
		s.mu.Lock()
		if s.gone != nil {
			s.mu.Unlock()
			return nil, s.gone
		}
		advance, token, err := split(s.input, false)
		s.input = s.input[advance:]
		more := s.more
		if token != nil {
			s.heard = time.Now()
		}
		s.mu.Unlock()
		if token != nil || err != nil {
			return token, err
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *script) Discard() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stale := s.input
	s.input = nil
	return stale, s.gone
}

func (s *script) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.t.Error("the line was closed twice")
	}
	s.closed = true
	return nil
}

var errUnplugged = errors.New("unplugged")

// v3000 is a driver for a CAC-V3000 with its script.
func v3000(t testing.TB, units int) (*Changer, *script) {
	t.Helper()
	model, err := ModelNamed("CAC-V3000")
	if err != nil {
		t.Fatal(err)
	}
	return opened(t, Config{Model: model, Units: units})
}

func opened(t testing.TB, config Config) (*Changer, *script) {
	t.Helper()
	config, err := config.checked()
	if err != nil {
		t.Fatal(err)
	}
	s := newScript(t)
	c := &Changer{cfg: config, line: s}
	for n := range config.players() {
		s.then([]step{{c.prefix(c.player(n+1)) + "?X", "P151206"}})
	}
	s.pacing = config.Timing.Pacing
	c, err = Open(t.Context(), s, config)
	if err != nil {
		t.Fatal(err)
	}
	s.finished()
	return c, s
}

// look is the driver asking a player for its state. Values carry the prefix that machines with two players
// give to them, and are the same without.
func look(player, job, mode, disc string) []step {
	p := player + "PS"
	return []step{{p + "?J", job}, {p + "?P", p + mode}, {p + "?Z", disc}}
}

func rest(player, mode, disc string) []step { return look(player, "R", mode, disc) }

func say(command, answers string) []step { return []step{{command, answers}} }
