package postgres

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// rounds lets those who want to sit at their libraries' desks share transactions: while some are under way, those who come wait, and go together
// into the next. So the more there is to do the less each costs, and one who comes alone waits for nobody. Nobody is answered before the
// transaction that he had a part in is committed. A round is run by one of its members for all: there is no goroutine besides. The
// zero value is ready.
type rounds struct {
	mu      sync.Mutex
	waiting []*seat
	busy    map[string]bool // libraries that sit in rounds now
	running int
}

// seat is a place in a round.
type seat struct {
	ctx     context.Context
	sitting sitting
	lead    chan []*seat  // gets all seats of the round that this one's caller is to run
	done    chan struct{} // closed when another has run it
	err     error
}

// maxSeats is how many libraries share a transaction. It bounds how long the locks of their rows are held.
const maxSeats = 64

// maxRounds is how many transactions run side by side. More would be smaller.
func maxRounds() int { return min(max(runtime.GOMAXPROCS(0), 2), 8) }

// join waits for a round of which s is part and that has ended. The caller may have to run it. When ctx of s ends before, s is in none.
func (r *rounds) join(s *seat, run func(members []*seat)) error {
	s.lead, s.done = make(chan []*seat, 1), make(chan struct{})
	r.mu.Lock()
	r.waiting = append(r.waiting, s)
	r.start()
	r.mu.Unlock()
	canceled := s.ctx.Done()
	for {
		select {
		case <-s.done:
			return s.err
		case members := <-s.lead:
			defer r.over(members)
			run(members)
			return s.err
		case <-canceled:
			if r.leave(s) {
				return s.ctx.Err()
			}
			canceled = nil // too late: it sits
		}
	}
}

// leave takes s out of those who wait, and says whether it was among them.
func (r *rounds) leave(s *seat) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(r.waiting, s)
	if i < 0 {
		return false
	}
	r.waiting = slices.Delete(r.waiting, i, i+1)
	return true
}

// start has those who wait begin rounds as long as there may be more of them. It is called with mu held.
func (r *rounds) start() {
	for r.running < maxRounds() {
		members := r.gather()
		if len(members) == 0 {
			return
		}
		r.running++
		members[0].lead <- members
	}
}

// gather takes out of those who wait, in their order, one of each library that is in no round.
func (r *rounds) gather() (members []*seat) {
	if r.busy == nil {
		r.busy = map[string]bool{}
	}
	r.waiting = slices.DeleteFunc(r.waiting, func(s *seat) bool {
		if len(members) == maxSeats || r.busy[s.sitting.lib] {
			return false
		}
		r.busy[s.sitting.lib] = true
		members = append(members, s)
		return true
	})
	return members
}

// over ends a round: its members go, and the next one starts.
func (r *rounds) over(members []*seat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range members {
		delete(r.busy, m.sitting.lib)
		close(m.done)
	}
	r.running--
	r.start()
}

// contextOf returns a context for a round. It ends when nobody waits for its outcome any more, and carries the values of the first member.
func contextOf(members []*seat) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(members[0].ctx))
	var left atomic.Int64
	left.Store(int64(len(members)))
	var stops []func() bool
	for _, m := range members {
		stops = append(stops, context.AfterFunc(m.ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		}))
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}

// inOrder sorts seats by library, the order in which locks are taken.
func inOrder(members []*seat) []*seat {
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b *seat) int { return strings.Compare(a.sitting.lib, b.sitting.lib) })
	return members
}
