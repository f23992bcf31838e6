package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/image"
	"github.com/odarchive/odarchive/robot"
)

// world is the machine in memory: it outlives the agents that use it.
type world struct {
	mu     sync.Mutex
	props  robot.Properties
	slots  map[int]*disc
	drives map[int]*disc // the key is there for an empty drive too
	open   map[int]bool  // trays
	home   map[int]int   // of the disc in a drive: its slot

	moves     []string // commands that were carried out, as "slot 1 to drive 1"
	asked     int      // inventories
	moveError []error  // of the next moves: nothing moves
	lateError error    // of the next move, which is made all the same
	deaf      error    // of every inventory
	moveTime  time.Duration
	restTime  time.Duration // after a move, until the robot can tell what is in its drives
	restAt    time.Time
	askTime   time.Duration // of an inventory, of what was there at its beginning
	burnTime  time.Duration
	readTime  time.Duration // of each read
	oneSpeed  bool          // drives can't be made to read slowly
	crawls    map[int]bool  // drives that were
	slowed    int           // how often one was
	burnError error         // of the next burn, which is broken off in the middle, or refused where the error says that nothing was recorded
	readBytes int           // by all drives
	loadError error
	under     *disc // sticks below the next one that is taken out of a drive, and stays there
}

type disc struct {
	state    robot.DiscState
	capacity int64 // sectors
	data     []byte
	bad      map[int64]bool // sectors that can't be read
	flaky    map[int64]bool // sectors that can be read the second time
	strained map[int64]bool // sectors that can be read slowly only
	burns    int
}

func newWorld(slots, drives int) *world {
	w := &world{
		props: robot.Properties{Model: "memory", HomeOnly: true},
		slots: map[int]*disc{}, drives: map[int]*disc{}, open: map[int]bool{}, home: map[int]int{}, crawls: map[int]bool{},
	}
	for n := range slots {
		w.slots[n+1] = nil
	}
	for n := range drives {
		w.drives[n+1] = nil
	}
	return w
}

func blank(sectors int64) *disc { return &disc{state: robot.Blank, capacity: sectors} }

func recorded(image []byte) *disc {
	return &disc{state: robot.Complete, capacity: archive.Sectors(int64(len(image))), data: slices.Clone(image)}
}

func slot(n int) robot.Address  { return robot.Address{Kind: robot.Slot, Number: n} }
func drive(n int) robot.Address { return robot.Address{Kind: robot.DriveBay, Number: n} }

// watched calls look while nothing moves.
func (w *world) watched(look func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	look()
}

// at returns the disc in a place. The caller holds w.mu.
func (w *world) at(a robot.Address) *disc {
	if a.Kind == robot.Slot {
		return w.slots[a.Number]
	}
	return w.drives[a.Number]
}

func (w *world) put(a robot.Address, d *disc) {
	if a.Kind == robot.Slot {
		w.slots[a.Number] = d
	} else {
		w.drives[a.Number] = d
	}
}

// errDead is what a dead process hears from the machine: it is gone.
var errDead = errors.New("this process is dead")

// hand is a process's grip on the world: it lets go when the process dies.
type hand struct {
	*world
	// step is called before and after each act; when it returns false the process is dead.
	step func(act string) bool
}

func (h hand) dead(op string) error {
	return &robot.Error{Op: op, Kind: robot.ErrComm, Detail: errDead.Error()}
}

type handChanger struct{ hand }

func (c handChanger) Properties() robot.Properties { return c.props }
func (c handChanger) Close() error                 { return nil }

func (c handChanger) Inventory(ctx context.Context) ([]robot.Element, error) {
	if !c.step("inventory") {
		return nil, c.dead("inventory")
	}
	all, err := c.elements()
	if c.askTime > 0 {
		time.Sleep(c.askTime)
	}
	return all, err
}

func (c handChanger) elements() ([]robot.Element, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if c.deaf != nil {
		return nil, &robot.Error{Op: "inventory", Kind: c.deaf}
	}
	var all []robot.Element
	for _, n := range slices.Sorted(maps.Keys(c.drives)) {
		e := robot.Element{Address: drive(n), Unit: 1, Fill: robot.Empty}
		if c.drives[n] != nil {
			e.Fill, e.Home = robot.Full, slot(c.home[n])
		}
		if time.Now().Before(c.restAt) {
			e.Fill, e.Home = robot.Unknown, robot.Address{}
		}
		all = append(all, e)
	}
	for _, n := range slices.Sorted(maps.Keys(c.slots)) {
		e := robot.Element{Address: slot(n), Unit: 1}
		if c.props.SensesSlots {
			e.Fill = robot.Empty
			if c.slots[n] != nil {
				e.Fill = robot.Full
			}
		}
		all = append(all, e)
	}
	return all, nil
}

func (c handChanger) Move(ctx context.Context, from, to robot.Address) error {
	op := fmt.Sprintf("move %v to %v", from, to)
	if !c.step("before the move") {
		return c.dead(op)
	}
	if c.moveTime > 0 {
		time.Sleep(c.moveTime)
	}
	err := c.carry(op, from, to)
	if !c.step("after the move") {
		return c.dead(op)
	}
	return err
}

func (c handChanger) carry(op string, from, to robot.Address) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.moveError) > 0 {
		err := c.moveError[0]
		c.moveError = c.moveError[1:]
		return &robot.Error{Op: op, Kind: err}
	}
	c.moves = append(c.moves, op)
	d := c.at(from)
	switch {
	case d == nil:
		return &robot.Error{Op: op, Place: from, Kind: robot.ErrEmpty}
	case c.at(to) != nil:
		return &robot.Error{Op: op, Place: to, Kind: robot.ErrFull}
	case from.Kind == robot.DriveBay && (!c.open[from.Number] || c.home[from.Number] != to.Number):
		return &robot.Error{Op: op, Place: to, Kind: robot.ErrUnreachable, Detail: fmt.Sprintf("tray open: %v", c.open[from.Number])}
	}
	c.put(from, nil)
	if from.Kind == robot.DriveBay && c.under != nil {
		c.put(from, c.under)
		c.under = nil
	}
	c.put(to, d)
	if to.Kind == robot.DriveBay {
		c.home[to.Number] = from.Number
	}
	c.restAt = time.Now().Add(c.restTime)
	err := c.lateError
	c.lateError = nil
	if err != nil {
		return &robot.Error{Op: op, Kind: err}
	}
	return nil
}

type handDrive struct {
	hand
	number int
}

func (d handDrive) Name() string { return fmt.Sprintf("mem%d", d.number) }
func (d handDrive) Close() error { return nil }

func (d handDrive) Load(ctx context.Context) (robot.Medium, error) {
	if !d.step("load") {
		return robot.Medium{}, d.dead("load")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.loadError != nil {
		return robot.Medium{}, &robot.Error{Op: "load", Kind: d.loadError}
	}
	d.open[d.number] = false
	disc := d.drives[d.number]
	if disc == nil {
		return robot.Medium{State: robot.NoDisc}, nil
	}
	return robot.Medium{State: disc.state, Type: "BD-R", Capacity: disc.capacity, Recorded: archive.Sectors(int64(len(disc.data)))}, nil
}

func (d handDrive) Eject(ctx context.Context) error {
	if !d.step("eject") {
		return d.dead("eject")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open[d.number] = true
	return nil
}

func (d handDrive) ReadAt(p []byte, off int64) (int, error) {
	if !d.step("read") {
		return 0, d.dead("read")
	}
	if d.readTime > 0 {
		time.Sleep(d.readTime)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	disc := d.drives[d.number]
	if disc == nil {
		return 0, &robot.Error{Op: "read", Kind: robot.ErrNoDisc}
	}
	for n := 0; n < len(p); n += archive.SectorSize {
		sector := (off + int64(n)) / archive.SectorSize
		if disc.bad[sector] || disc.flaky[sector] || disc.strained[sector] && !d.crawls[d.number] {
			delete(disc.flaky, sector)
			return n, &robot.Error{Op: "read", Kind: robot.ErrMedium, Sector: sector}
		}
		if off+int64(n) >= int64(len(disc.data)) {
			return n, io.EOF
		}
		copy(p[n:n+archive.SectorSize], disc.data[off+int64(n):])
		d.readBytes += archive.SectorSize
	}
	return len(p), nil
}

// ReadSlowly follows robot.Slower.
func (d handDrive) ReadSlowly(_ context.Context, slow bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.oneSpeed {
		return errors.ErrUnsupported
	}
	if slow {
		d.slowed++
	}
	d.crawls[d.number] = slow
	return nil
}

func (d handDrive) Burn(ctx context.Context, image io.Reader, size int64, progress func(int64)) error {
	if !d.step("before the burn") {
		return d.dead("burn")
	}
	d.mu.Lock()
	disc, failure, duration := d.drives[d.number], d.burnError, d.burnTime
	d.burnError = nil
	d.mu.Unlock()
	switch {
	case disc == nil:
		return &robot.Error{Op: "burn", Kind: robot.ErrNoDisc}
	case disc.state != robot.Blank:
		return &robot.Error{Op: "burn", Kind: robot.ErrNotBlank}
	case size > disc.capacity*archive.SectorSize:
		return &robot.Error{Op: "burn", Kind: robot.ErrTooLarge}
	case robot.Untouched(failure):
		return failure
	}
	d.mu.Lock()
	disc.state = robot.Open
	disc.burns++
	d.mu.Unlock()
	for second := time.Duration(0); second < duration; second += time.Second {
		progress(int64(float64(size) * float64(second) / float64(duration)))
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
	if failure != nil {
		return &robot.Error{Op: "burn", Kind: failure, Sector: 16}
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(image, data); err != nil {
		return err
	}
	d.mu.Lock()
	disc.data, disc.state = data, robot.Complete
	d.mu.Unlock()
	if !d.step("after the burn") {
		return d.dead("burn")
	}
	return nil
}

// firstBytes is the identity of the images in these tests: they begin with it.
func firstBytes(d io.ReaderAt) (string, error) {
	p := make([]byte, archive.SectorSize)
	if _, err := d.ReadAt(p, 0); err != nil {
		return "", err
	}
	if id := string(p[:36]); validImage(id) {
		return id, nil
	}
	return "", image.ErrForeign
}

// inSectors is an image with an id: sectors that all differ.
func inSectors(id string, sectors int) []byte {
	data := make([]byte, sectors*archive.SectorSize)
	for i := range data {
		data[i] = byte(i*7 + i/archive.SectorSize*31)
	}
	copy(data, id)
	return data
}
