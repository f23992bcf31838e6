package pioneer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/odarchive/odarchive/robot"
)

// Changer is one line of chained CAC units; it is a robot.Changer.
//
// Slots and drives are numbered through the units: of two V3000, slot 301 is the first of unit 2 and drive 3
// its first player. The units sense no slots: Inventory asks the players only, and a slot is Empty when a
// player holds its disc and otherwise Unknown. The carrier is Unknown too, with what the last error says of it as its Trouble.
type Changer struct {
	cfg  Config
	line Line

	hand  robot.Hand
	heard time.Time // when the last answer came
	// initialised says that the robot started anew before anybody could be told.
	initialised bool
}

var _ robot.Changer = (*Changer)(nil)

// Open finds the players on the line. A robot that was just switched on answers nothing for a minute; so
// Open waits for each player's first answer up to Timing.Init, or until ctx ends. It succeeds while the door is open.
//
// The line becomes the Changer's, and Close closes it; when Open fails it stays the caller's.
func Open(ctx context.Context, line Line, config Config) (*Changer, error) {
	config, err := config.checked()
	if err != nil {
		return nil, fmt.Errorf("pioneer changer: %w", err)
	}
	c := &Changer{cfg: config, line: line}
	for drive := range config.players() {
		if err := c.greet(ctx, drive+1); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// greet waits until a player answers.
func (c *Changer) greet(ctx context.Context, drive int) error {
	player := c.player(drive)
	op := fmt.Sprintf("find player %d", player)
	for end := time.Now().Add(c.cfg.Timing.Init); ; {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		_, err := c.ask(player, "?X", ident)
		code, coded := errors.AsType[codeError](err)
		switch _, odd := errors.AsType[misheard](err); {
		case err == nil, coded && code.kind() == robot.ErrDoor:
			return nil
		case coded && code.kind() == robot.ErrInventory:
			c.initialised = true
		case coded:
			return &robot.Error{Op: op, Place: driveBay(drive), Kind: code.queryKind(), Detail: code.Error()}
		case !odd:
			return &robot.Error{Op: op, Kind: robot.ErrComm, Detail: err.Error()}
		}
		if !time.Now().Before(end) {
			return &robot.Error{
				Op: op, Place: driveBay(drive), Kind: robot.ErrComm,
				Detail: fmt.Sprintf("%v within %v", err, c.cfg.Timing.Init),
			}
		}
	}
}

// Properties follows robot.Changer.
func (c *Changer) Properties() robot.Properties {
	name := "Pioneer " + c.cfg.Model.Name
	if c.cfg.Units > 1 {
		name += fmt.Sprintf(", %d units", c.cfg.Units)
	}
	return robot.Properties{Model: name, HomeOnly: true}
}

// Inventory follows robot.Changer: drives first, as "drive" comes before "slot". It fails with ErrInventory, once, after
// the robot started anew: whoever remembers where discs were learns in this way that the door was open.
func (c *Changer) Inventory(ctx context.Context) ([]robot.Element, error) {
	const op = "inventory"
	release, err := c.acquire(ctx, op)
	if err != nil {
		return nil, err
	}
	defer release()

	var elements []robot.Element
	held := make(map[int]int) // how many drives claim the disc of a slot
	for n := range c.cfg.players() {
		drive := driveBay(n + 1)
		s, err := c.look(c.player(drive.Number))
		if err != nil {
			return nil, queryError(op, drive, err)
		}
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("%s: %w", op, err)
		}
		e := robot.Element{Address: drive, Unit: c.unit(drive)}
		switch {
		case s.empty():
			e.Fill = robot.Empty
		case s.holds(s.disc):
			e.Fill, e.Home = robot.Full, c.slot(e.Unit, s.disc)
			held[e.Home.Number]++
		case !s.moving() && s.mode != unset:
			e.Fill = robot.Full // and nobody knows from where
		}
		elements = append(elements, e)
	}
	for i, e := range elements {
		if held[e.Home.Number] > 1 {
			elements[i].Home = robot.Address{}
		}
	}
	for u := range c.cfg.Units {
		elements = append(elements, c.carrier(u+1))
	}
	for n := range c.cfg.slots() {
		slot := robot.Address{Kind: robot.Slot, Number: n + 1}
		e := robot.Element{Address: slot, Unit: c.unit(slot)}
		if held[slot.Number] == 1 {
			e.Fill = robot.Empty
		}
		elements = append(elements, e)
	}
	return elements, nil
}

// carrier is a unit's. Whether it holds a disc nothing tells but the last error, which may be old.
func (c *Changer) carrier(unit int) robot.Element {
	e := robot.Element{Address: robot.Address{Kind: robot.Picker, Number: unit}, Unit: unit}
	if last := c.lastError(c.player((unit-1)*c.cfg.Model.Players + 1)); last != "" && last.kind() == robot.ErrJam {
		e.Trouble = last.Error()
	}
	return e
}

// Close follows robot.Changer. It waits for a running Move, may be called again, and makes the other methods fail
// with os.ErrClosed.
func (c *Changer) Close() error { return c.hand.CloseWith(c.line.Close) }

// acquire takes the hand, and reports what must be known before anything is done.
func (c *Changer) acquire(ctx context.Context, op string) (release func(), err error) {
	release, err = c.hand.Take(ctx, op)
	if err != nil || !c.initialised {
		return release, err
	}
	c.initialised = false
	release()
	return nil, &robot.Error{Op: op, Kind: robot.ErrInventory, Detail: codeError("E22").Error()}
}

// queryError says in the contract's words why a question to a drive got no answer.
func queryError(op string, place robot.Address, err error) error {
	code, ok := errors.AsType[codeError](err)
	switch {
	case !ok:
		return &robot.Error{Op: op, Place: place, Kind: robot.ErrComm, Detail: err.Error()}
	case code.fault().at != drive:
		place = robot.Address{}
	}
	return &robot.Error{Op: op, Place: place, Kind: code.queryKind(), Detail: code.Error()}
}

func driveBay(n int) robot.Address { return robot.Address{Kind: robot.DriveBay, Number: n} }

// has says whether there is such a slot or drive.
func (c *Changer) has(a robot.Address) bool {
	switch a.Kind {
	case robot.Slot:
		return 1 <= a.Number && a.Number <= c.cfg.slots()
	case robot.DriveBay:
		return 1 <= a.Number && a.Number <= c.cfg.players()
	}
	return false
}

// unit is the unit that a slot or drive is in, from 1.
func (c *Changer) unit(a robot.Address) int {
	if a.Kind == robot.DriveBay {
		return (a.Number-1)/c.cfg.Model.Players + 1
	}
	return (a.Number-1)/c.cfg.Model.Slots + 1
}

// player is a drive's address on the line.
func (c *Changer) player(drive int) int { return c.cfg.FirstPlayer + drive - 1 }

// disc is a slot's number on the line, which starts anew in every unit.
func (c *Changer) disc(slot robot.Address) int { return (slot.Number-1)%c.cfg.Model.Slots + 1 }

// slot is the slot of a number on the line.
func (c *Changer) slot(unit, disc int) robot.Address {
	return robot.Address{Kind: robot.Slot, Number: (unit-1)*c.cfg.Model.Slots + disc}
}
