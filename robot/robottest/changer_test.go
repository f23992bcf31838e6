package robottest

import (
	"context"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/robot"
)

func TestChangerSuitePassesAGoodChanger(t *testing.T) {
	Changer(t, newWorld().rig(""))
}

// TestChangerSuiteCatches checks that every breach of the contract fails the check that is meant for it.
func TestChangerSuiteCatches(t *testing.T) {
	for broken, check := range map[string]string{
		"nameless":             "properties",
		"fickle":               "properties",
		"claims free slots":    "home only",
		"deaf inventory":       "context ended before",
		"deaf move":            "context ended before",
		"inventory moves":      "inventory",
		"wrong home":           "there and back",
		"guesses full":         "inventory",
		"guesses empty":        "inventory",
		"one unit":             "there and back",
		"slots first":          "inventory",
		"from zero":            "inventory",
		"element twice":        "inventory",
		"bare errors":          "empty source",
		"errors without op":    "empty source",
		"errors without place": "full destination",
		"one kind of error":    "empty source",
		"refusal moves":        "empty source",
		"no turns":             "two for one drive",
		"goes anywhere":        "unknown places",
		"long arm":             "unreachable",
		"swaps":                "full destination",
		"fetches air":          "empty source",
		"puts air back":        "empty source",
		"any slot":             "home only",
		"says so only":         "there and back",
		"next drive":           "there and back",
		"gives up":             "context ended during a move",
		"cancelled by ctx":     "context ended during a move",
		"closes once":          "close",
		"drops at close":       "close",
		"works when closed":    "close",
	} {
		t.Run(broken, func(t *testing.T) {
			t.Parallel()
			wantCaught(t, ChangerChecks(newWorld().rig(broken)), check)
		})
	}
}

// wantCaught runs one check, and that it failed is what is wanted.
func wantCaught(t *testing.T, checks []Check, name string) {
	t.Helper()
	for _, c := range checks {
		if c.Name == name {
			r := c.Do(t.Context())
			if len(r.Failures) == 0 {
				t.Errorf("not caught: %v", r)
			}
			t.Logf("%.300s", r)
			return
		}
	}
	t.Errorf("no check %q", name)
}

func TestResult(t *testing.T) {
	for _, test := range []struct {
		check Check
		want  string
		pass  bool
	}{
		{Check{"a", func(t T) { t.Helper(); t.Logf("seen") }}, "ok   a", true},
		{Check{"b", func(t T) { t.Errorf("x %d", 1); t.Fatalf("y"); t.Errorf("z") }}, "FAIL b: x 1; y", false},
		{Check{"c", func(t T) { t.Skipf("no disc"); t.Errorf("z") }}, "skip c: no disc", false},
	} {
		r := test.check.Do(t.Context())
		if r.String() != test.want || r.Passed() != test.pass {
			t.Errorf("%v, passed %v; want %s", r, r.Passed(), test.want)
		}
	}
	if r := (Check{"log", func(t T) { t.Logf("seen %d", 1) }}).Do(t.Context()); strings.Join(r.Log, "") != "seen 1" {
		t.Errorf("log %q", r.Log)
	}
}

// TestBrokenOff checks that discs go home when somebody breaks a check off in the middle.
func TestBrokenOff(t *testing.T) {
	w := newWorld()
	rig := w.rig("")
	ctx, cancel := context.WithCancel(t.Context())
	open := rig.Open
	rig.Open = func(ctx context.Context) (robot.Changer, error) {
		c, err := open(ctx)
		return breaksOff{c, cancel}, err
	}
	for _, c := range ChangerChecks(rig) {
		if c.Name == "full destination" {
			if r := c.Do(ctx); len(r.Failures) == 0 {
				t.Errorf("%v", r)
			}
		}
	}
	if w.drives != [4]int{} {
		t.Errorf("discs were left in drives: %v", w.drives)
	}
}

// breaksOff ends the check's context with the first move.
type breaksOff struct {
	robot.Changer
	cancel func()
}

func (b breaksOff) Move(ctx context.Context, from, to robot.Address) error {
	defer b.cancel()
	return b.Changer.Move(ctx, from, to)
}
