package agent

import (
	"math/rand/v2"
	"time"
)

// patience is how long to wait before a controller that is away is called again: twice as long each time, and never
// quite as long as another agent does.
type patience struct{ next time.Duration }

const (
	shortestWait = 200 * time.Millisecond
	longestWait  = 10 * time.Second
)

func (p *patience) reset() { p.next = 0 }

// wait returns between half of the present limit and all of it, at least shortestWait.
func (p *patience) wait() time.Duration {
	p.next = min(max(2*p.next, shortestWait), longestWait)
	return max(shortestWait, p.next/2+rand.N(p.next/2+1))
}
