package stack

import (
	"errors"
	"fmt"
)

// errBuried is that the robot alone can't get at a disc.
var errBuried = errors.New("the robot can't get at it")

// hop is a disc's way from one place to the next.
type hop struct{ from, to Place }

// fetchPlan is how a disc comes into a drive: first, what lies on it is moved away, from the top on, each disc once.
// The drive must be empty.
func fetchPlan(m Machine, o Order, slot, drive int) ([]hop, error) {
	at, above, ok := o.find(slot)
	switch {
	case !ok || at.Kind != InBin:
		return nil, fmt.Errorf("disc %d is in no bin: %w", slot, errBuried)
	case !m.Bins[at.Number-1].Gives:
		return nil, fmt.Errorf("disc %d lies in %v, from which the robot takes none: carry that pile as it is to a bin from which it does, and say so: %w", slot, at, errBuried)
	}
	o = o.clone()
	var hops []hop
	carry := func(from, to Place) {
		o.put(to, o.take(from))
		hops = append(hops, hop{from, to})
	}
	for range above {
		to, ok := restingPlace(m, o, at)
		if !ok {
			return nil, fmt.Errorf("disc %d lies under %d others, and there is no room to put them: %w", slot, above, errBuried)
		}
		if m.Shifts {
			carry(at, to)
		} else {
			carry(at, Drive(drive))
			carry(Drive(drive), to)
		}
	}
	return append(hops, hop{at, Drive(drive)}), nil
}

// returnPlan is how the disc in a drive comes to a bin.
func returnPlan(m Machine, o Order, drive int) ([]hop, error) {
	to, ok := restingPlace(m, o, Place{})
	if !ok {
		return nil, fmt.Errorf("no bin has room: %w", errBuried)
	}
	return []hop{{Drive(drive), to}}, nil
}

// restingPlace is the bin on which a disc does least harm: it makes every disc below it harder to get at, so that the lowest pile
// is best, and a bin from which nothing can be taken is the last resort.
func restingPlace(m Machine, o Order, not Place) (best Place, ok bool) {
	for i, b := range m.Bins {
		p := Bin(i + 1)
		if !b.Takes || p == not || len(o.Bins[i]) >= b.Capacity {
			continue
		}
		better := !ok || b.Gives && !m.Bins[best.Number-1].Gives ||
			b.Gives == m.Bins[best.Number-1].Gives && len(o.Bins[i]) < len(o.Bins[best.Number-1])
		if better {
			best, ok = p, true
		}
	}
	return best, ok
}
