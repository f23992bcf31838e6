package simulate

import (
	"fmt"
	"math/rand/v2"
)

// Trouble is what goes wrong besides drives that fail. Shares are of 1, how often something happens is for a year of one library, lengths are
// in seconds. The zero value is a library without trouble.
type Trouble struct {
	// Exchange is the share of the picker's moves that fail: the disc stays where it was, and nothing moves until somebody has freed the
	// picker and the robot has been asked what is where.
	Exchange float64 `toml:"exchange" json:"exchange"`
	Freeing  float64 `toml:"freeing" json:"freeing"`
	// Slow is the share of its moves that take SlowTimes as long.
	Slow      float64 `toml:"slow" json:"slow"`
	SlowTimes float64 `toml:"slow_times" json:"slow_times"`
	// Unreadable is the share of reads and verifies that a drive gives up, after GivingUp; at most 0.9. They are tried in a second drive, and the
	// share Lost of them fails there too: then the same sectors of SetDiscs others of the set are read in their place.
	Unreadable float64 `toml:"unreadable" json:"unreadable"`
	GivingUp   float64 `toml:"giving_up" json:"giving_up"`
	Lost       float64 `toml:"lost" json:"lost"`
	SetDiscs   int     `toml:"set_discs" json:"set_discs"`
	SetParity  int     `toml:"set_parity" json:"set_parity"`
	// Unknown is how often nobody knows any more what a slot holds, Looking how long it takes until somebody has looked.
	Unknown float64 `toml:"unknown" json:"unknown"`
	Looking float64 `toml:"looking" json:"looking"`
	// Doors is how often somebody opens the door, Open how long it is before the robot moves again.
	Doors float64 `toml:"doors" json:"doors"`
	Open  float64 `toml:"open" json:"open"`
	// Agent and Controller are how often one of them is away, and the others for how long: what was begun ends and is reported afterwards,
	// nothing new is begun. A controller that comes back knows what its database says, and has learned nothing yet.
	Agent          float64 `toml:"agent" json:"agent"`
	AgentAway      float64 `toml:"agent_away" json:"agent_away"`
	Controller     float64 `toml:"controller" json:"controller"`
	ControllerAway float64 `toml:"controller_away" json:"controller_away"`
}

// DefaultTrouble has nothing go wrong, and says how long it takes if it does.
func DefaultTrouble() Trouble {
	return Trouble{
		Freeing: 1800, SlowTimes: 5, GivingUp: 120, Lost: .3, SetDiscs: 10, SetParity: 2, Looking: 3600, Open: 300, AgentAway: 600, ControllerAway: 120,
	}
}

// any says whether anything goes wrong.
func (t Trouble) any() bool {
	return t.Exchange > 0 || t.Slow > 0 || t.Unreadable > 0 || t.Unknown > 0 || t.Doors > 0 || t.Agent > 0 || t.Controller > 0
}

// limits names what a trouble may be.
func (t Trouble) limits() []limit {
	return []limit{
		{"trouble.exchange", t.Exchange, 0, .9},
		{"trouble.freeing", t.Freeing, 0, most31},
		{"trouble.slow", t.Slow, 0, 1},
		{"trouble.slow_times", t.SlowTimes, 0, 1e6},
		{"trouble.unreadable", t.Unreadable, 0, .9},
		{"trouble.giving_up", t.GivingUp, 0, most31},
		{"trouble.lost", t.Lost, 0, 1},
		{"trouble.set_discs", float64(t.SetDiscs), 0, 1000},
		{"trouble.set_parity", float64(t.SetParity), 0, 1000},
		{"trouble.unknown", t.Unknown, 0, 1e6},
		{"trouble.looking", t.Looking, 0, most31},
		{"trouble.doors", t.Doors, 0, 1e6},
		{"trouble.open", t.Open, 0, most31},
		{"trouble.agent", t.Agent, 0, 1e6},
		{"trouble.agent_away", t.AgentAway, 0, most31},
		{"trouble.controller", t.Controller, 0, 1e6},
		{"trouble.controller_away", t.ControllerAway, 0, most31},
	}
}

// most31 is a month, in seconds: what isn't put right by then is another library.
const most31 = 31 * 86400

// year is one in seconds.
const year = 365.25 * 86400

// troubles lets things go wrong while requests come. Each kind has its own random numbers, so that more of one changes nothing of another.
func (c Config) troubles(e *engine, i uint64) {
	e.trouble, e.seed = c.Trouble, c.Seed
	e.luck = rand.New(rand.NewPCG(c.Seed+2, i))
	if len(e.requests) == 0 {
		return
	}
	span := e.requests[len(e.requests)-1].arrive.Seconds()
	for n, k := range []struct {
		kind  kind
		often float64
	}{{opens, c.Trouble.Doors}, {doubted, c.Trouble.Unknown}, {agentLeaves, c.Trouble.Agent}, {controllerLeaves, c.Trouble.Controller}} {
		if k.often == 0 {
			continue
		}
		r := rand.New(rand.NewPCG(c.Seed+3+uint64(n), i))
		for t := r.ExpFloat64() * year / k.often; t < span; t += r.ExpFloat64() * year / k.often {
			e.push(t, happening{kind: k.kind, task: 1 + r.Int64N(int64(c.Discs)), epoch: anyEpoch})
		}
	}
}

// sets says which discs belong together: one after the other, as they were burned.
func (t Trouble) set(disc int64) int64 {
	if t.Unreadable == 0 || t.SetDiscs == 0 {
		return 0
	}
	return (disc-1)/int64(t.SetDiscs+t.SetParity) + 1
}

// Lines says for people what went wrong; nothing when nothing did.
func (t Troubles) Lines() (lines []string) {
	add := func(n int, format string, args ...any) {
		if n > 0 {
			lines = append(lines, fmt.Sprintf(format, args...))
		}
	}
	add(t.Exchanges+t.Slow, "%d moves failed, %d were slow", t.Exchanges, t.Slow)
	add(t.Unreadable, "%d attempts to read failed; the set was read for %d, of which %d were lost", t.Unreadable, t.Healed, t.Hopeless)
	add(t.Unknown+t.Doors, "%d times a slot was unknown, %d times the door was opened", t.Unknown, t.Doors)
	add(t.Agents+t.Controllers, "%d times the agent was away, %d times the controller", t.Agents, t.Controllers)
	if t.Still > 0 {
		lines = append(lines, fmt.Sprintf("nothing could move for %.1f %% of the time", 100*t.Still))
	}
	return lines
}
