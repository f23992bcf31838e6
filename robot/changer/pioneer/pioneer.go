// Package pioneer drives the Pioneer CAC family of autochangers: V3000, V3200, V5000, and V180M. It speaks
// their Level III commands over a Line that it is given; it opens no port and keeps no record of discs.
//
// The facts are from the Pioneer CAC-V5000 and CAC-V3000 user manuals (command list p. 11, error chart
// pp. 18-19 of the former) and from owners' notes on what the wire really carries. A command is
// `<player>PS<argument><mnemonic>` with CR, at most 20 characters. An answer is R (done), Enn (failed), or a
// value, with CR; it doesn't say to which command it belongs. Hence the rules of this driver:
//
//   - One command is outstanding, ever, and everything received before a command is discarded.
//   - R is not believed. Communication modes differ in whether it comes when a movement has begun or ended,
//     so that after it the player is asked (?J, ?P, ?Z) until it rests and shows the disc.
//   - Nothing that moves is sent twice. Questions are, after the line has been brought into step with ?X,
//     whose answer looks like no other.
//   - ZS puts away, unasked, the disc that the player holds; so a player must be seen empty before.
package pioneer

import (
	"fmt"
	"strings"
	"time"
)

// Model is one of the family.
type Model struct {
	Name     string // as on the front: "CAC-V3000"
	Slots    int    // per unit
	Players  int    // per unit
	MaxUnits int    // on one line
	Baud     int    // as delivered, in bits per second; always 8N1
	Prefix   bool   // whether commands name a player
}

// The family. The V3200 differs from the V3000 in nothing that a line can tell.
var models = []Model{
	{Name: "CAC-V3000", Slots: 300, Players: 2, MaxUnits: 2, Baud: 9600, Prefix: true},
	{Name: "CAC-V3200", Slots: 300, Players: 2, MaxUnits: 2, Baud: 9600, Prefix: true},
	{Name: "CAC-V5000", Slots: 500, Players: 2, MaxUnits: 2, Baud: 9600, Prefix: true},
	{Name: "CAC-V180M", Slots: 18, Players: 1, MaxUnits: 1, Baud: 4800, Prefix: false},
}

// ModelNamed returns the model of a name as in Model.Name; upper and lower case and a missing "CAC-" are
// all one. The error lists the names.
func ModelNamed(name string) (Model, error) {
	var names []string
	for _, m := range models {
		if n := strings.TrimPrefix(strings.ToUpper(name), "CAC-"); "CAC-"+n == m.Name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	return Model{}, fmt.Errorf("unknown Pioneer model %q: known are %s", name, strings.Join(names, ", "))
}

// Config is what the line can't tell.
type Config struct {
	Model Model
	// Units is how many units are chained; 0 means 1.
	Units int
	// FirstPlayer is the address of player 1 of unit 1, and the others follow it without a gap: 3 and 4 are
	// in the second unit when the first has 1 and 2. 0 means 1, as delivered.
	FirstPlayer int
	// Timing is how long things may take; the zero value means DefaultTiming.
	Timing Timing
}

// maxPlayer is the highest player address that can be set.
const maxPlayer = 98

func (c Config) checked() (Config, error) {
	if c.Units == 0 {
		c.Units = 1
	}
	if c.FirstPlayer == 0 {
		c.FirstPlayer = 1
	}
	if c.Timing == (Timing{}) {
		c.Timing = DefaultTiming()
	}
	switch m := c.Model; {
	case m.Slots < 1 || m.Slots > 999 || m.Players < 1:
		return c, fmt.Errorf("model %q has %d slots and %d players", m.Name, m.Slots, m.Players)
	case c.Units < 1 || c.Units > m.MaxUnits:
		return c, fmt.Errorf("%d units: a line carries 1 to %d of the %s", c.Units, m.MaxUnits, m.Name)
	case c.FirstPlayer < 1 || c.FirstPlayer+c.players()-1 > maxPlayer:
		return c, fmt.Errorf("players %d to %d: addresses are 1 to %d", c.FirstPlayer, c.FirstPlayer+c.players()-1, maxPlayer)
	case c.Timing.Query <= 0 || c.Timing.Move <= 0:
		return c, fmt.Errorf("time limits %v for a query and %v for a move: both must be positive", c.Timing.Query, c.Timing.Move)
	}
	return c, nil
}

func (c Config) players() int { return c.Units * c.Model.Players }
func (c Config) slots() int   { return c.Units * c.Model.Slots }

// Timing is how long things may take.
type Timing struct {
	Pacing time.Duration // least pause between an answer and the next command; 0 is none
	Poll   time.Duration // pause between questions while the robot moves
	Query  time.Duration // an answer to a question
	Move   time.Duration // a movement, from its command until the player rests
	Init   time.Duration // from power-on until the robot answers
}

// DefaultTiming returns the limits of the real machine. The longest move that breaks no mechanical limit of
// the error chart (details of E91) takes about 130 s, initialisation 60 s after a pause; the pauses
// are those of programs that run such machines daily.
func DefaultTiming() Timing {
	return Timing{
		Pacing: 200 * time.Millisecond,
		Poll:   500 * time.Millisecond,
		Query:  2 * time.Second,
		Move:   150 * time.Second,
		Init:   75 * time.Second,
	}
}

// Faster returns the timing for a machine that moves n times as fast, as a simulated one does. How long a
// question may take depends on the computer and stays.
func (t Timing) Faster(n float64) Timing {
	by := func(d time.Duration) time.Duration { return time.Duration(float64(d) / n) }
	t.Pacing, t.Poll, t.Move, t.Init = by(t.Pacing), by(t.Poll), by(t.Move), by(t.Init)
	return t
}
