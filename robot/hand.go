package robot

import (
	"context"
	"fmt"
	"os"
	"sync"
)

// Hand is what a robot has one of. A driver embeds it or keeps one: whoever has taken it has the machine for himself, and everybody
// else waits. It ends with the driver's life. The zero value is a hand that nobody has taken; its methods may be called by several goroutines.
type Hand struct {
	once sync.Once
	free chan struct{} // holds a token while nobody has the hand
	shut bool          // whoever has the hand may look
}

// token is where the hand lies while it is free.
func (h *Hand) token() chan struct{} {
	h.once.Do(func() {
		h.free = make(chan struct{}, 1)
		h.free <- struct{}{}
	})
	return h.free
}

// Take waits for the hand until ctx ends. Whoever gets it must call release once. It fails with ctx's error, also when the hand
// is free, and with os.ErrClosed once the hand was closed; op is what was to be done, for the error.
func (h *Hand) Take(ctx context.Context, op string) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	free := h.token()
	select {
	case <-free:
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", op, ctx.Err())
	}
	release = func() { free <- struct{}{} }
	if h.shut {
		release()
		return nil, fmt.Errorf("%s: %w", op, os.ErrClosed)
	}
	return release, nil
}

// Hold waits for the hand however long that takes, and gets a closed one too: it is for what needs no machine.
func (h *Hand) Hold() (release func()) {
	free := h.token()
	<-free
	return func() { free <- struct{}{} }
}

// CloseWith waits for whoever has the hand, closes it, and with it what only the hand's owner uses. Closing again does nothing.
func (h *Hand) CloseWith(end func() error) error {
	defer h.Hold()()
	if h.shut {
		return nil
	}
	h.shut = true
	return end()
}
