package agent

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/odarchive/odarchive/robot/changer/manual"
)

// TestDesk: a person at a terminal gets the requests and answers them, also one that came before he did.
func TestDesk(t *testing.T) {
	dir := t.TempDir()
	abort := make(chan struct{})
	d, err := openDesk(dir, slog.New(slog.DiscardHandler), abort)
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan manual.Answer)
	go func() {
		a, err := d.Do(t.Context(), "put disc QK-0042 into drive 1")
		if err != nil {
			t.Error(err)
		}
		said <- a
	}()
	keyboard, typed := io.Pipe()
	var screen screen
	ended := make(chan error)
	go func() { ended <- Attend(t.Context(), dir, keyboard, &screen) }()
	if _, err := io.WriteString(typed, "what?\n"); err != nil {
		t.Fatal(err)
	}
	for answered := false; !answered; {
		if screen.has("QK-0042") {
			if _, err := io.WriteString(typed, "done\n"); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case a := <-said:
			answered = true
			if a != manual.Done {
				t.Errorf("answer %q", a)
			}
		default:
		}
	}
	close(abort)
	if _, err := d.Do(t.Context(), "x"); err != errAborted {
		t.Errorf("%v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	typed.Close()
}

type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.text.String(), text)
}
