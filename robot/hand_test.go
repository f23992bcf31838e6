package robot_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/odarchive/odarchive/robot"
)

// TestHand: one has it, the next waits until it is given back or as long as he wants to, and a closed hand has no takers.
func TestHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h robot.Hand
		release, err := h.Take(t.Context(), "first")
		if err != nil {
			t.Fatal(err)
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := h.Take(impatient, "second"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v; want it to give up", err)
		}
		if _, err := h.Take(impatient, "third"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v; who has given up before gets nothing", err)
		}
		closed := make(chan error, 2)
		shut := errors.New("shut")
		for range 2 {
			go func() { closed <- h.CloseWith(func() error { return shut }) }()
		}
		synctest.Wait()
		if len(closed) > 0 {
			t.Error("closed while somebody has it")
		}
		release()
		if a, b := <-closed, <-closed; (a == nil) == (b == nil) {
			t.Errorf("%v, %v; want it closed once", a, b)
		}
		if _, err := h.Take(t.Context(), "fourth"); !errors.Is(err, os.ErrClosed) || err.Error() != "fourth: file already closed" {
			t.Errorf("%v", err)
		}
		h.Hold()()
	})
}
