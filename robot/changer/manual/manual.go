// Package manual is a person as the robot: for one drive on a desk and a shelf of discs. It asks, waits, and remembers what
// the person has said; whether that is true shows when the disc is read, as with every robot. It knows nothing of how a person is reached.
package manual

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/odarchive/odarchive/robot"
)

// Answer is what a person says.
type Answer string

// The answers.
const (
	Done   Answer = "done"
	Absent Answer = "absent" // there is no such disc
	Refuse Answer = "no"     // not done, and nothing was touched
)

// Person is somebody who moves discs. Do tells what is to be done and waits for the answer. With an error nobody may believe that it
// was not done.
type Person interface {
	Do(ctx context.Context, request string) (Answer, error)
}

// Config is what stands on the desk.
type Config struct {
	Slots, Drives int
	// Label is what is written on the disc of a slot, with one verb for its number; empty means "%d".
	Label string
	// Names are what the computer calls the drives, by number: "sr0". One without a name is called by its number.
	Names map[int]string
}

// name is what a person is told of a drive.
func (c Config) name(drive robot.Address) string {
	if n := c.Names[drive.Number]; n != "" {
		return fmt.Sprintf("%s (%v)", n, drive)
	}
	return drive.String()
}

// memory is what the person has said.
type memory struct {
	Drives []int        `json:"drives"` // slots of the discs in them
	Slots  map[int]bool `json:"slots"`  // known to have its disc, or not
	// Doubt is a drive about which a question was asked that got no answer.
	Doubt int `json:"doubt,omitempty"`
}

// Changer is a person as a robot.Changer.
type Changer struct {
	config Config
	person Person
	folder *os.Root

	hand   robot.Hand
	memory memory
}

var _ robot.Changer = (*Changer)(nil)

const fileName = "manual.json"

// Open makes a changer of a person. The folder keeps what was said; it stays the caller's.
func Open(person Person, folder *os.Root, config Config) (*Changer, error) {
	if config.Slots < 1 || config.Drives < 1 {
		return nil, fmt.Errorf("a person as the robot: %d slots and %d drives: want one or more of each", config.Slots, config.Drives)
	}
	if config.Label == "" {
		config.Label = "%d"
	}
	c := &Changer{config: config, person: person, folder: folder}
	b, err := folder.ReadFile(fileName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err == nil:
		err = json.Unmarshal(b, &c.memory)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read what the person has said: %w", err)
	}
	for len(c.memory.Drives) < config.Drives {
		c.memory.Drives = append(c.memory.Drives, 0)
	}
	if c.memory.Slots == nil {
		c.memory.Slots = map[int]bool{}
	}
	return c, nil
}

// Properties follows robot.Changer.
func (c *Changer) Properties() robot.Properties {
	return robot.Properties{Model: "a person", HomeOnly: true, HostOpensTray: true}
}

// Inventory follows robot.Changer: it is what was said. A drive about which a question got no answer is Unknown.
func (c *Changer) Inventory(ctx context.Context) ([]robot.Element, error) {
	release, err := c.hand.Take(ctx, "inventory")
	if err != nil {
		return nil, err
	}
	defer release()
	var all []robot.Element
	for n := 1; n <= c.config.Drives; n++ {
		e := robot.Element{Address: robot.Address{Kind: robot.DriveBay, Number: n}, Unit: 1, Fill: robot.Empty}
		switch slot := c.memory.Drives[n-1]; {
		case c.memory.Doubt == n:
			return nil, &robot.Error{
				Op: "inventory", Place: e.Address, Kind: robot.ErrJam,
				Detail: "nobody said whether the last disc was moved: look, and say so with the command robot settle",
			}
		case slot != 0:
			e.Fill, e.Home = robot.Full, robot.Address{Kind: robot.Slot, Number: slot}
		}
		all = append(all, e)
	}
	for n := 1; n <= c.config.Slots; n++ {
		e := robot.Element{Address: robot.Address{Kind: robot.Slot, Number: n}, Unit: 1}
		if full, known := c.memory.Slots[n]; known && !full {
			e.Fill = robot.Empty // what is full nobody has seen since
		}
		all = append(all, e)
	}
	return all, nil
}

// Move follows robot.Changer. It waits for the person as long as it takes. When there is no answer the drive is in doubt.
func (c *Changer) Move(ctx context.Context, from, to robot.Address) error {
	op := fmt.Sprintf("move %v to %v", from, to)
	fail := func(kind error, at robot.Address, detail string) error {
		return &robot.Error{Op: op, Place: at, Kind: kind, Detail: detail}
	}
	for _, a := range []robot.Address{from, to} {
		limit := map[robot.Kind]int{robot.Slot: c.config.Slots, robot.DriveBay: c.config.Drives}[a.Kind]
		if a.Number < 1 || a.Number > limit {
			return fail(robot.ErrUnreachable, a, fmt.Sprintf("there are slots 1 to %d and drives 1 to %d", c.config.Slots, c.config.Drives))
		}
	}
	if from.Kind == to.Kind {
		return fail(robot.ErrUnreachable, to, "discs go between a slot and a drive")
	}
	release, err := c.hand.Take(ctx, op)
	if err != nil {
		return err
	}
	defer release()
	slot, drive := from, to
	if from.Kind == robot.DriveBay {
		slot, drive = to, from
	}
	held := c.memory.Drives[drive.Number-1]
	full, known := c.memory.Slots[slot.Number]
	var request string
	switch label := fmt.Sprintf(c.config.Label, slot.Number); {
	case c.memory.Doubt != 0:
		return fail(robot.ErrJam, robot.Address{Kind: robot.DriveBay, Number: c.memory.Doubt}, "nobody said whether the last disc was moved")
	case from == slot && held != 0:
		return fail(robot.ErrFull, drive, "")
	case from == slot && known && !full:
		return fail(robot.ErrEmpty, slot, "")
	case from == drive && held == 0:
		return fail(robot.ErrEmpty, drive, "")
	case from == drive && held != slot.Number:
		return fail(robot.ErrUnreachable, slot, fmt.Sprintf("the disc in %v belongs to slot %d", drive, held))
	case from == slot:
		request = fmt.Sprintf("put disc %s into %s", label, c.config.name(drive))
	default:
		request = fmt.Sprintf("take disc %s out of %s", label, c.config.name(drive))
	}
	// In doubt, on disk, until there is an answer: a process may be killed while it waits.
	c.memory.Doubt = drive.Number
	if err := c.save(); err != nil {
		return err
	}
	answer, err := c.person.Do(context.WithoutCancel(ctx), request)
	if err != nil {
		return fail(robot.ErrComm, drive, fmt.Sprintf("%q: %v", request, err))
	}
	c.memory.Doubt = 0
	switch answer {
	case Done:
		c.memory.Slots[slot.Number] = from == drive
		c.memory.Drives[drive.Number-1] = map[bool]int{true: 0, false: slot.Number}[from == drive]
		return c.save()
	case Absent:
		if from == slot {
			c.memory.Slots[slot.Number] = false
		}
		return errors.Join(fail(robot.ErrEmpty, from, "the person says so"), c.save())
	default:
		return errors.Join(fail(robot.ErrBusy, robot.Address{}, "the person will not do it now"), c.save())
	}
}

// Settle says that the drive about which a question got no answer has the disc of a slot, or none with 0.
func (c *Changer) Settle(slot int) error {
	release, err := c.hand.Take(context.Background(), "settle")
	if err != nil {
		return err
	}
	defer release()
	if c.memory.Doubt == 0 {
		return errors.New("settle: no drive is in doubt")
	}
	if slot < 0 || slot > c.config.Slots {
		return fmt.Errorf("settle: slot %d of %d", slot, c.config.Slots)
	}
	if slot > 0 {
		c.memory.Slots[slot] = false
	} else if was := c.memory.Drives[c.memory.Doubt-1]; was > 0 {
		c.memory.Slots[was] = true
	}
	c.memory.Drives[c.memory.Doubt-1], c.memory.Doubt = slot, 0
	return c.save()
}

func (c *Changer) save() error {
	b, err := json.Marshal(c.memory)
	if err == nil {
		err = c.replace(b)
	}
	if err != nil {
		return fmt.Errorf("keep what the person has said: %w", err)
	}
	return nil
}

func (c *Changer) replace(b []byte) error {
	file, err := c.folder.Create(fileName + ".new")
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return c.folder.Rename(fileName+".new", fileName)
}

// Close follows robot.Changer.
func (c *Changer) Close() error { return c.hand.CloseWith(func() error { return nil }) }
