package mmc

import (
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/scsi"
)

// speeds is a device that is asked for speeds and for nothing else.
type speeds struct {
	answers map[byte]error
	sent    []string
}

func (s *speeds) Close() error { return nil }

func (s *speeds) Do(c scsi.Command) (int, error) {
	s.sent = append(s.sent, hex.EncodeToString(c.CDB[:6])+" "+hex.EncodeToString(c.Out))
	return len(c.Out), s.answers[c.CDB[0]]
}

// TestSpeed: what a drive is told, for which medium, and what it makes of the answers.
func TestSpeed(t *testing.T) {
	const (
		slowBD     = "b60000000000 0000000000000000000003e700002320000003e800002320000003e8"
		slowDVD    = "b60000000000 0000000000000000000003e700000ad2000003e800000ad2000003e8"
		ownSpeed   = "b60000000000 0400000000000000000003e700000000000003e800000000000003e8"
		slowCD     = "bb0002c0ffff "
		olderBD    = "bb002320ffff "
		oldFastest = "bb00ffffffff "
	)
	refused := sense(scsi.IllegalRequest, 0x20, 0)
	for _, c := range []struct {
		name, medium string
		answers      map[byte]error
		sent         []string // when it is made slow, fast and, where that worked, fast again
		err          error
	}{
		{name: "BD", medium: "BD-R", sent: []string{slowBD, ownSpeed}},
		{name: "DVD", medium: "DVD+R", sent: []string{slowDVD, ownSpeed}},
		{name: "CD", medium: "CD-R", sent: []string{slowCD, oldFastest}},
		{name: "recovered", medium: "CD-R", answers: map[byte]error{0xBB: sense(scsi.RecoveredError, 0x37, 0)}, sent: []string{slowCD, oldFastest}},
		{name: "the older way", medium: "BD-R", answers: map[byte]error{0xB6: refused}, sent: []string{slowBD, olderBD, ownSpeed, oldFastest}},
		{name: "none", medium: "BD-R", answers: map[byte]error{0xB6: refused, 0xBB: refused}, sent: []string{slowBD, olderBD}, err: errors.ErrUnsupported},
		{name: "none for CDs", medium: "CD-R", answers: map[byte]error{0xBB: refused}, sent: []string{slowCD}, err: errors.ErrUnsupported},
		{name: "broken", medium: "BD-R", answers: map[byte]error{0xB6: sense(scsi.HardwareError, 9, 0)}, sent: []string{slowBD}, err: robot.ErrDriveFault},
		{name: "gone", medium: "BD-R", answers: map[byte]error{0xB6: &scsi.PathError{Op: 0xB6, Kind: scsi.ErrGone}}, sent: []string{slowBD}, err: robot.ErrComm},
	} {
		t.Run(c.name, func(t *testing.T) {
			device := &speeds{answers: c.answers}
			d := &Drive{cfg: Config{Name: "sr0", Timing: DefaultTiming()}, device: device, loaded: true, medium: robot.Medium{Type: c.medium, Recorded: 1000}}
			if err := d.ReadSlowly(t.Context(), false); err != nil || len(device.sent) > 0 {
				t.Errorf("a fast drive was told to be so: %v %v", device.sent, err)
			}
			if err := d.ReadSlowly(t.Context(), true); !errors.Is(err, c.err) {
				t.Fatalf("%v, want %v", err, c.err)
			}
			for range 2 {
				if err := d.ReadSlowly(t.Context(), false); err != nil {
					t.Error(err)
				}
			}
			if !slices.Equal(device.sent, c.sent) {
				t.Errorf("told %q, want %q", device.sent, c.sent)
			}
		})
	}
}
