package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"github.com/odarchive/odarchive/robot/drive/file"
)

// SMC answers the commands of a SCSI media changer for a library of one unit: slots at 100 and up, drives at 10 and up, one picker
// at 1 with two hands, so that it can exchange discs. Facts: SMC-3 and the notes on what programs in use expect of it. It has no
// line: whoever has commands calls Do, one at a time.
type SMC struct {
	Library *Library
	Faults  *Faults
	Log     *slog.Logger
	// OneHanded can't exchange.
	OneHanded bool

	attention bool // it has started anew, and told nobody
}

// Addresses of the first elements.
const (
	smcPicker = 1
	smcDrives = 10
	smcSlots  = 100
)

// SenseCode is why a command failed: sense key, ASC, ASCQ.
type SenseCode [3]byte

func (c SenseCode) Error() string { return fmt.Sprintf("%X/%02X/%02X", c[0], c[1], c[2]) }

// ErrSilent is that no answer comes: a time-out, or a bus that went away with the power.
var ErrSilent = errors.New("no answer")

// Do carries a command out and returns how many bytes of in it answered. It fails with a SenseCode or with ErrSilent.
func (m *SMC) Do(ctx context.Context, cdb, in []byte) (n int, err error) {
	if len(cdb) < 6 {
		return 0, SenseCode{5, 0x20, 0x00}
	}
	if m.attention && cdb[0] != 0x12 {
		m.attention = false
		return 0, SenseCode{6, 0x29, 0x00}
	}
	switch cdb[0] {
	case 0x00:
		return 0, nil
	case 0x12:
		if cdb[1]&1 != 0 {
			return 0, SenseCode{5, 0x24, 0x00}
		}
		data := make([]byte, 36)
		data[0], data[1], data[2], data[4] = 0x08, 0x80, 5, 31
		copy(data[8:], "ODARCHIVSIMULATED CHANGER 0001")
		return copy(in, data), nil
	case 0x1A:
		return m.modeSense(cdb[2]&0x3F, in)
	case 0xA3:
		if cdb[1]&0x1F != 0x0C || cdb[2]&7 != 1 {
			return 0, SenseCode{5, 0x24, 0x00}
		}
		known := byte(1)
		if cdb[3] == 0xA5 || cdb[3] == 0xA6 && !m.OneHanded {
			known = 3
		}
		return copy(in, []byte{0, known, 0, 12}), nil
	case 0xB8:
		return m.status(cdb, in)
	case 0xA5, 0xA6:
		err = m.carry(ctx, cdb)
	default:
		return 0, SenseCode{5, 0x20, 0x00}
	}
	if code, ok := told(smcTells, err); ok {
		return 0, code
	}
	return 0, err
}

func (m *SMC) modeSense(page byte, in []byte) (int, error) {
	shape := m.Library.Shape()
	var b []byte
	switch page {
	case 0x1D:
		b = []byte{0x1D, 18}
		for _, e := range [][2]int{{smcPicker, 1}, {smcSlots, shape.SlotsPerUnit}, {0, 0}, {smcDrives, shape.PlayersPerUnit}} {
			b = binary.BigEndian.AppendUint16(b, uint16(e[0]))
			b = binary.BigEndian.AppendUint16(b, uint16(e[1]))
		}
		b = append(b, 0, 0)
	case 0x1F:
		b = make([]byte, 20)
		b[0], b[1] = 0x1F, 18
		b[2] = 0x0A             // slots and drives store
		b[5], b[7] = 0x0A, 0x0A // moves from slots and from drives to either
		if !m.OneHanded {
			b[13], b[15] = 0x0A, 0x0A
		}
	default:
		return 0, SenseCode{5, 0x24, 0x00}
	}
	return copy(in, append([]byte{byte(3 + len(b)), 0, 0, 0}, b...)), nil
}

// status is READ ELEMENT STATUS for one type.
func (m *SMC) status(cdb, in []byte) (int, error) {
	s := m.Library.snapshot()
	kind, tags := cdb[1]&15, cdb[1]&0x10 != 0
	size := 12
	if tags {
		size = 12 + 36
	}
	var page []byte
	add := func(address int, h held, full bool) {
		d := make([]byte, size)
		binary.BigEndian.PutUint16(d, uint16(address))
		if full {
			d[2] |= 1
			if kind == 4 && h.Home > 0 {
				d[9] |= 0x80
				binary.BigEndian.PutUint16(d[10:], uint16(smcSlots+h.Home-1))
			}
			if tags {
				copy(d[12:44], fmt.Sprintf("%-32s", h.Disc))
			}
		}
		if kind != 1 {
			d[2] |= 8
		}
		page = append(page, d...)
	}
	first := 0
	switch kind {
	case 1:
		first = smcPicker
		h, full := s.Transport[1]
		if other, both := s.Transport[2]; !full && both {
			h, full = other, true
		}
		add(smcPicker, h, full)
	case 2:
		first = smcSlots
		for n := 1; n <= s.Shape.SlotsPerUnit; n++ {
			disc, full := s.Slots[n]
			add(smcSlots+n-1, held{Disc: disc}, full)
		}
	case 4:
		first = smcDrives
		for n := 1; n <= s.Shape.PlayersPerUnit; n++ {
			h, full := s.Players[n]
			add(smcDrives+n-1, h, full)
		}
	case 3:
	default:
		return 0, SenseCode{5, 0x24, 0x00}
	}
	b := binary.BigEndian.AppendUint16(nil, uint16(first))
	b = binary.BigEndian.AppendUint16(b, uint16(len(page)/size))
	b = binary.BigEndian.AppendUint32(b, uint32(8+len(page)))
	var tagged byte
	if tags {
		tagged = 0x80
	}
	b = append(b, kind, tagged, 0, byte(size))
	b = binary.BigEndian.AppendUint32(b, uint32(len(page)))
	return copy(in, append(b, page...)), nil
}

// place is an element by its address: a drive or a slot.
func (m *SMC) place(address uint16) (p place, ok bool) {
	shape := m.Library.Shape()
	switch a := int(address); {
	case a >= smcSlots && a < smcSlots+shape.SlotsPerUnit:
		return place{slot: a - smcSlots + 1}, true
	case a >= smcDrives && a < smcDrives+shape.PlayersPerUnit:
		return place{player: a - smcDrives + 1}, true
	}
	return p, false
}

// carry is MOVE MEDIUM and EXCHANGE MEDIUM.
func (m *SMC) carry(ctx context.Context, cdb []byte) error {
	if len(cdb) < 12 || cdb[0] == 0xA6 && m.OneHanded {
		return SenseCode{5, 0x20, 0x00}
	}
	source, ok1 := m.place(binary.BigEndian.Uint16(cdb[4:]))
	first, ok2 := m.place(binary.BigEndian.Uint16(cdb[6:]))
	second, ok3 := first, true
	if cdb[0] == 0xA6 {
		second, ok3 = m.place(binary.BigEndian.Uint16(cdb[8:]))
	}
	if !ok1 || !ok2 || !ok3 {
		return SenseCode{5, 0x21, 0x01}
	}
	fault := m.Faults.strike(fmt.Sprintf("%02X", cdb[0]), max(source.player, first.player), 0)
	switch fault {
	case "E91":
		return errStuck
	case "magazine":
		return errRack
	}
	if err := m.Library.begin(1); err != nil {
		return err
	}
	defer m.Library.end(1)
	var err error
	if cdb[0] == 0xA5 {
		err = m.Library.carry(ctx, source, first, 1, fault)
	} else {
		err = m.Library.exchange(ctx, source, first, second, fault)
	}
	if errors.Is(err, errPower) {
		m.attention = true
		return errors.Join(m.Library.home(), ErrSilent)
	}
	if err == nil && fault == "lost" {
		return ErrSilent
	}
	return err
}

// place is a slot or a player.
type place struct{ slot, player int }

// take takes the disc of a place into a hand of the picker.
func (l *Library) take(s *state, p place, hand int, fault string) error {
	if _, full := s.Transport[hand]; full {
		s.Refused++
		return errHandFull
	}
	if p.slot > 0 {
		disc, ok := s.Slots[p.slot]
		if !ok {
			return errEmptySlot
		}
		delete(s.Slots, p.slot)
		s.Transport[hand] = held{disc, p.slot}
		return nil
	}
	h, ok := s.Players[p.player]
	switch {
	case !ok:
		return errNothing
	case s.Crooked[h.Disc]:
		return errCrooked
	case fault == mishapClamp:
		return errClamped
	}
	if free, err := file.Release(driveDir(l.dir, p.player)); err != nil || !free {
		return errors.Join(err, errClamped)
	}
	delete(s.Players, p.player)
	s.Transport[hand] = h
	return nil
}

// put sets the disc in a hand down.
func (l *Library) put(s *state, p place, hand int, crooked bool) error {
	h := s.Transport[hand]
	if p.slot > 0 {
		if _, taken := s.Slots[p.slot]; taken {
			s.Refused++
			return errOccupied
		}
		s.Slots[p.slot] = h.Disc
	} else {
		if _, taken := s.Players[p.player]; taken {
			s.Refused++
			return errOccupied
		}
		if err := insert(l.dir, p.player, h.Disc, crooked); err != nil {
			return err
		}
		s.Players[p.player] = h
	}
	if crooked {
		s.Crooked = map[string]bool{h.Disc: true}
	}
	delete(s.Transport, hand)
	s.Moves++
	return nil
}

// full says whether a place has a disc. A changer looks before it moves.
func (s *state) full(p place) bool {
	if p.slot > 0 {
		return s.Slots[p.slot] != ""
	}
	_, ok := s.Players[p.player]
	return ok
}

// carry carries a disc from one place to another.
func (l *Library) carry(ctx context.Context, from, to place, hand int, fault string) error {
	err := l.change(func(s *state) error {
		if s.full(to) {
			return errOccupied
		}
		return l.take(s, from, hand, fault)
	})
	if err == nil {
		err = errors.Join(pause(ctx, l.motion.Carry), l.mishap(fault, hand))
	}
	if err != nil {
		return err
	}
	return l.change(func(s *state) error { return l.put(s, to, hand, fault == mishapCrooked) })
}

// exchange carries the disc of source to first, and what lies there to second, which may be the source. A mishap happens while
// both discs are in the hands.
func (l *Library) exchange(ctx context.Context, source, first, second place, fault string) error {
	err := l.change(func(s *state) error {
		switch {
		case !s.full(source):
			return errEmptySlot
		case !s.full(first):
			return errNothing
		case second != source && s.full(second):
			return errOccupied
		}
		if err := l.take(s, first, 2, fault); err != nil {
			return err
		}
		return l.take(s, source, 1, fault)
	})
	if err == nil {
		err = errors.Join(pause(ctx, l.motion.Carry), l.mishap(fault, 1))
	}
	if err != nil {
		return err
	}
	return l.change(func(s *state) error {
		return errors.Join(l.put(s, first, 1, fault == mishapCrooked), l.put(s, second, 2, false))
	})
}

// home puts what is in the hands where it came from, as a changer does that has got its power back. Of a disc whose slot has another
// one meanwhile it lets go never.
func (l *Library) home() error {
	return l.change(func(s *state) error {
		for hand, h := range s.Transport {
			if _, taken := s.Slots[h.Home]; !taken {
				s.Slots[h.Home] = h.Disc
				delete(s.Transport, hand)
			}
		}
		return nil
	})
}

// snapshot is a copy of the state.
func (l *Library) snapshot() (s state) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.clone()
}
