package robottest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/robot"
)

func TestDriveSuitePassesAGoodDrive(t *testing.T) {
	Drive(t, (&fakeSlotIn{}).rig())
}

// TestDriveSuiteCatches checks that every breach of the contract fails the check that is meant for it.
func TestDriveSuiteCatches(t *testing.T) {
	for broken, check := range map[string]string{
		"nameless":                "name",
		"renamed":                 "name",
		"deaf load":               "load obeys context",
		"remembers":               "load forgets",
		"no disc is an error":     "no disc",
		"bare errors":             "no disc",
		"no type":                 "blank disc",
		"recorded in bytes":       "recorded disc",
		"open is blank":           "burn cancelled",
		"ejects once":             "eject",
		"reads ejected":           "eject",
		"rounds":                  "read out of line",
		"zeros at the end":        "read",
		"short without EOF":       "read",
		"flips a bit":             "recorded disc",
		"all or nothing":          "damaged disc",
		"wrong sector":            "damaged disc",
		"hides damage":            "damaged disc",
		"slow without a disc":     "read slowly",
		"slow once":               "read slowly",
		"slow and wrong":          "read slowly",
		"slow for ever":           "read slowly",
		"no progress":             "burn",
		"no end of progress":      "burn",
		"progress goes back":      "burn",
		"leaves it open":          "burn",
		"takes too much":          "burn",
		"loses a sector":          "burn",
		"burns anything":          "burn not blank",
		"burns until full":        "burn too large",
		"spends first":            "burn odd size",
		"pads short input":        "burn short input",
		"deaf burn":               "burn cancelled",
		"hides cancellation":      "burn cancelled",
		"closes a cancelled disc": "burn cancelled",
		"blames the disc":         "device gone",
		"forgets what it burned":  "device gone",
		"takes gone for empty":    "device gone",
		"reads what is gone":      "device gone",
		"burns into the air":      "device gone",
		"closes once":             "close drive",
		"drops at close":          "close drive",
	} {
		t.Run(broken, func(t *testing.T) {
			t.Parallel()
			wantCaught(t, DriveChecks((&fakeSlotIn{broken: broken}).rig()), check)
		})
	}
}

// TestReadAtOnceCatches has a drive whose readers share a buffer, as a breach that only concurrency shows.
func TestReadAtOnceCatches(t *testing.T) {
	rig := (&fakeSlotIn{}).rig()
	open := rig.Open
	rig.Open = func(ctx context.Context) (robot.Drive, error) {
		d, err := open(ctx)
		return &mixedUp{Drive: d, turn: make(chan []byte, 1)}, err
	}
	wantCaught(t, DriveChecks(rig), "read at once")
}

// mixedUp gives every second reader what the one before has asked for.
type mixedUp struct {
	robot.Drive
	turn chan []byte
}

func (m *mixedUp) ReadAt(p []byte, off int64) (int, error) {
	n, err := m.Drive.ReadAt(p, off)
	select {
	case other := <-m.turn:
		return copy(p, other), err
	default:
	}
	select {
	case m.turn <- append([]byte(nil), p...):
	default:
	}
	return n, err
}

func TestRigWithoutDiscs(t *testing.T) {
	rig := (&fakeSlotIn{}).rig()
	put := rig.Put
	rig.Put = func(ctx context.Context, d Disc) error {
		if d == Fresh {
			return errors.ErrUnsupported
		}
		return put(ctx, d)
	}
	for _, c := range DriveChecks(rig) {
		r := c.Do(t.Context())
		if len(r.Failures) > 0 || strings.HasPrefix(c.Name, "burn") && c.Name != "burn not blank" && r.Skipped == "" {
			t.Errorf("%v", r)
		}
	}
}
