package rebuild

import (
	"context"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"
)

const (
	// mostWorkers bounds how many discs are read at the same time: each takes a few megabytes, and a connection to the database.
	mostWorkers = 4
	// adjacent is how many discs that follow each other one worker reads: those of one archive mostly do, and one of them is enough for its list.
	adjacent = 16
)

// workers is how many discs are read at the same time.
func workers() int { return min(runtime.GOMAXPROCS(0), mostWorkers) }

// each calls read for the numbers below n, a run of adjacent ones by one worker after the other, until it returns an error. The first are read
// alone, until alone says that it is enough.
func each(ctx context.Context, n int, alone func() bool, read func(ctx context.Context, i int) error) error {
	first := 0
	for ; first < n && alone(); first++ {
		if err := read(ctx, first); err != nil {
			return err
		}
	}
	run := max(1, min(adjacent, (n-first+workers()-1)/workers()))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers())
	for ; first < n; first += run {
		if ctx.Err() != nil {
			break
		}
		from, end := first, min(first+run, n)
		g.Go(func() error {
			for i := from; i < end; i++ {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := read(ctx, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// claims are what is being taken in: no two discs take in the same image or archive at the same time. The zero value is ready.
type claims struct {
	mu   sync.Mutex
	held map[string]chan struct{}
}

// claim waits until nobody else has the key, and returns what gives it back.
func (c *claims) claim(ctx context.Context, key string) (release func(), err error) {
	for {
		c.mu.Lock()
		held, taken := c.held[key]
		if !taken {
			if c.held == nil {
				c.held = map[string]chan struct{}{}
			}
			mine := make(chan struct{})
			c.held[key] = mine
			c.mu.Unlock()
			return func() {
				c.mu.Lock()
				delete(c.held, key)
				c.mu.Unlock()
				close(mine)
			}, nil
		}
		c.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
