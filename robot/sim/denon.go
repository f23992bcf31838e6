package sim

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
)

// Denon speaks the binary protocol of the DN-1400F for a library of one unit with 200 slots and 2 players. Facts: an owner's program.
type Denon struct {
	Library *Library
	Faults  *Faults
	Log     *slog.Logger

	voice  voice
	mu     sync.Mutex
	anew   bool    // it has initialised, and said so to nobody
	status [2]byte // of each player: what its last command came to
}

// lengths are those of the commands, with the unit and the opcode.
var lengths = map[byte]int{0xB2: 2, 0xC0: 2, 0xC1: 2, 0xC2: 2, 0xC3: 2, 0xC4: 5, 0xC5: 5, 0xC6: 2, 0xCA: 2, 0xCB: 3, 0xCC: 2, 0xD1: 3, 0xD2: 3, 0xF3: 2}

// Serve answers what comes over line until ctx ends or the line does.
func (d *Denon) Serve(ctx context.Context, line io.ReadWriter) error {
	ctx, cancel := context.WithCancel(ctx)
	var moving sync.WaitGroup
	defer func() { cancel(); moving.Wait() }()
	r := bufio.NewReader(line)
	for {
		unit, err := r.ReadByte()
		if err != nil {
			return err
		}
		if unit != 0x50 {
			continue // of another unit, or noise
		}
		opcode, err := r.ReadByte()
		if err != nil {
			return err
		}
		n, known := lengths[opcode]
		if !known {
			d.say(line, "", 0xDD, 0x50)
			continue
		}
		args := make([]byte, n-2)
		if _, err := io.ReadFull(r, args); err != nil {
			return err
		}
		switch opcode {
		case 0xC4, 0xC5:
			d.move(ctx, &moving, line, opcode, args)
		case 0xCC:
			d.say(line, d.Faults.strike("CC", 0, 0), append(d.state(), 0x50)...)
		case 0xC3:
			s := d.state()
			d.say(line, "", s[0]*50+s[1]+1, s[3]*50+s[4]+1, 0x50)
		case 0xF3:
			d.say(line, "", 0x01, 0x02, 0x50)
		default:
			d.say(line, "", 0xDD, 0x50)
		}
	}
}

func (d *Denon) say(line io.Writer, fault string, answer ...byte) {
	garbled := slices.Clone(answer)
	garbled[len(garbled)-1] ^= 0x21
	if err := d.voice.say(line, fault, answer, garbled, []byte{0xF3}); err != nil {
		d.Log.Warn("reply was not taken", "error", err)
	}
}

// state is the answer to 0xCC without the unit.
func (d *Denon) state() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b []byte
	all := byte(0x80)
	for p := 1; p <= 2; p++ {
		rack, place := byte(0xFF), byte(0xFF)
		if slot := d.Library.holds(p); slot > 0 {
			rack, place = byte((slot-1)/50), byte((slot-1)%50)
		}
		status := d.status[p-1]
		switch {
		case status == 0 && rack == 0xFF:
			status = 0x81
		case status == 0:
			status = 0x83
		case status == 0x82:
			all = 0x82
		case status == 0x8B, status == 0x8C, status == 0x8F:
			all = status
		}
		b = append(b, rack, place, status)
	}
	if d.anew { // a real one says so for as long as that takes
		d.anew, all = false, 0x8A
	}
	return append(b, all)
}

// move carries a command out that moves a disc; it is answered when it is accepted.
func (d *Denon) move(ctx context.Context, moving *sync.WaitGroup, line io.Writer, opcode byte, args []byte) {
	slot, drive := int(args[0])*50+int(args[1])+1, int(args[2])
	name := map[byte]string{0xC4: "C4", 0xC5: "C5"}[opcode]
	if args[0] > 3 || args[1] > 49 || drive > 1 || opcode == 0xC5 && d.Library.holds(drive+1) != slot {
		d.say(line, "", 0xDD, 0x50, args[2])
		return
	}
	if err := d.Library.begin(1); err != nil {
		d.say(line, "", 0xDD, 0x50, args[2])
		return
	}
	fault := d.Faults.strike(name, drive+1, slot)
	d.set(drive, 0x82)
	d.say(line, fault, 0x80, 0x50, args[2])
	moving.Go(func() {
		var err error
		switch {
		case fault == "E91":
			err = errors.New("stuck")
		case fault == "magazine":
			err = errRack
		case opcode == 0xC4 && d.Library.holds(drive+1) != 0:
			if err = d.Library.putBack(ctx, drive+1, ""); err == nil {
				err = d.Library.fetch(ctx, slot, drive+1, fault)
			}
		case opcode == 0xC4:
			err = d.Library.fetch(ctx, slot, drive+1, fault)
		default:
			err = d.Library.putBack(ctx, drive+1, fault)
		}
		switch {
		case err == nil:
			d.set(drive, 0)
		case errors.Is(err, errPower):
			if err := d.Library.initialise(ctx, 1); err != nil {
				d.Log.Error("it can't initialise", "error", err)
			}
			d.mu.Lock()
			d.status, d.anew = [2]byte{}, true
			d.mu.Unlock()
		default:
			code, ok := told(denonTells, err)
			if !ok {
				code = denonFails
			}
			d.set(drive, code)
		}
		d.Library.end(1)
	})
}

var errRack = errors.New("a rack is not set")

func (d *Denon) set(drive int, status byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status[drive] = status
}

// Reset is a person's hand on the power switch: errors are forgotten.
func (d *Denon) Reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status = [2]byte{}
}
