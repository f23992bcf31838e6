package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/odarchive/odarchive/robot"
)

// careful is a changer whose units each make one move after the other, and none while it is not known what came of the last one: several drives
// want the same hand, and no controller keeps them apart.
type careful struct {
	robot.Changer
	unit func(from, to robot.Address) int

	mu     sync.Mutex
	change *sync.Cond
	busy   map[int]robot.Address // by unit: from where the move is that runs or is in doubt
	stuck  map[int]bool
}

func newCareful(c robot.Changer, unit func(from, to robot.Address) int) *careful {
	k := &careful{Changer: c, unit: unit, busy: map[int]robot.Address{}, stuck: map[int]bool{}}
	k.change = sync.NewCond(&k.mu)
	return k
}

// Move follows robot.Changer. After an error that leaves open what happened, other moves of the unit wait until settled was called. A unit that is stuck
// moves nothing more.
func (k *careful) Move(ctx context.Context, from, to robot.Address) error {
	u := k.unit(from, to)
	k.mu.Lock()
	for _, busy := k.busy[u]; busy && !k.stuck[u]; _, busy = k.busy[u] {
		k.change.Wait()
	}
	if k.stuck[u] {
		k.mu.Unlock()
		return &robot.Error{Op: fmt.Sprintf("move %v to %v", from, to), Place: from, Kind: robot.ErrUnreachable, Detail: "the unit stands still"}
	}
	k.busy[u] = from
	k.mu.Unlock()
	err := k.Changer.Move(ctx, from, to)
	if !errors.Is(err, robot.ErrJam) && !errors.Is(err, robot.ErrComm) {
		k.settled(from, to, false)
	}
	return err
}

// settled says what has come of a move: lost that nobody knows where its disc is.
func (k *careful) settled(from, to robot.Address, lost bool) {
	u := k.unit(from, to)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.busy[u] == from {
		delete(k.busy, u)
	}
	k.stuck[u] = k.stuck[u] || lost
	k.change.Broadcast()
}
