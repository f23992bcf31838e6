package pioneer

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/odarchive/odarchive/robot"
)

func TestInventory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := v3000(t, 2)
		s.then(rest("1", "P01", "214"), rest("2", "P20", "XXX"), look("3", "B", "P21", "XXX"), rest("4", "P06", "001"), say("1PS?E", "E11"), say("3PS?E", "E98"))
		all, err := c.Inventory(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.finished()
		want := []robot.Element{
			{Address: driveBay(1), Unit: 1, Fill: robot.Full, Home: slot(214)},
			{Address: driveBay(2), Unit: 1, Fill: robot.Empty},
			{Address: driveBay(3), Unit: 2, Fill: robot.Unknown},
			{Address: driveBay(4), Unit: 2, Fill: robot.Full, Home: slot(301)},
			{Address: robot.Address{Kind: robot.Picker, Number: 1}, Unit: 1},
			{Address: robot.Address{Kind: robot.Picker, Number: 2}, Unit: 2, Trouble: "E98: the disc can't be set down and is still on the carrier"},
		}
		for n := range 600 {
			e := robot.Element{Address: slot(n + 1), Unit: n/300 + 1}
			if e.Address.Number == 214 || e.Address.Number == 301 {
				e.Fill = robot.Empty
			}
			want = append(want, e)
		}
		if !slices.Equal(all, want) {
			t.Errorf("inventory %+v", all[:4])
		}
	})
}

func TestInventoryOfContradictions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := v3000(t, 1)
		for _, test := range []struct {
			name string
			one  []step
			two  []step
			want [2]robot.Element
		}{
			{"one disc in two drives", rest("1", "P01", "005"), rest("2", "P01", "005"), [2]robot.Element{{Fill: robot.Full}, {Fill: robot.Full}}},
			{"a disc of unknown home", rest("1", "P01", "XXX"), rest("2", "P20", "XXX"), [2]robot.Element{{Fill: robot.Full}, {Fill: robot.Empty}}},
			{"a number and no disc", rest("1", "P20", "005"), rest("2", "P20", "XXX"), [2]robot.Element{{Fill: robot.Unknown}, {Fill: robot.Empty}}},
		} {
			s.then(test.one, test.two)
			all, err := c.Inventory(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range test.want {
				want.Address, want.Unit = driveBay(i+1), 1
				if all[i] != want {
					t.Errorf("%s: %+v, want %+v", test.name, all[i], want)
				}
			}
			if all[7].Fill != robot.Unknown {
				t.Errorf("%s: %v is %v", test.name, all[7].Address, all[7].Fill)
			}
		}
		s.then(say("1PS?J", "R"), say("1PS?P", "P01"), say("1PS?Z", "301"), say("1PS?X", ""))
		_, err := c.Inventory(t.Context())
		wantError(t, err, robot.ErrComm, driveBay(1), "disc 301 of 300")
		s.finished()
	})
}

func TestInventoryErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := v3000(t, 1)
		s.then(say("1PS?J", "E22"))
		_, err := c.Inventory(t.Context())
		wantError(t, err, robot.ErrInventory, robot.Address{}, "E22")
		s.then(rest("1", "P20", "XXX"), say("2PS?J", "E89"))
		_, err = c.Inventory(t.Context())
		wantError(t, err, robot.ErrDriveFault, driveBay(2), "E89")
		s.then(say("1PS?J", "E04"))
		_, err = c.Inventory(t.Context())
		wantError(t, err, robot.ErrComm, robot.Address{}, "E04")
		s.finished()

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s.then(say("1PS?J", "R@1s"), say("1PS?P", "P20"), say("1PS?Z", "XXX"))
		if _, err := c.Inventory(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v; want %v", err, context.DeadlineExceeded)
		}
		s.finished()
	})
}

func TestOpenWaitsForPower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		model, _ := ModelNamed("v3000")
		s := newScript(t)
		for range 31 { // of 2 s each: the robot is silent for a minute
			s.then(say("1PS?X", ""))
		}
		s.then(say("1PS?X", "E22"), say("1PS?X", "1PSP151206"), say("2PS?X", "E21"))
		c, err := Open(t.Context(), s, Config{Model: model})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Inventory(t.Context())
		wantError(t, err, robot.ErrInventory, robot.Address{}, "E22")
		s.then(unset2("1", "2"))
		if _, err := c.Inventory(t.Context()); err != nil {
			t.Errorf("told twice: %v", err)
		}
		s.finished()
	})
}

func TestOpenFails(t *testing.T) {
	model, _ := ModelNamed("CAC-V3000")
	for _, test := range []struct {
		name   string
		config Config
		steps  []step
		kind   error
		place  robot.Address
		text   string
	}{
		{
			"no second unit",
			Config{Model: model, Units: 2},
			[]step{{"1PS?X", "P151206"}, {"2PS?X", "P151206"}, {"3PS?X", "E04"}},
			robot.ErrComm,
			robot.Address{},
			"find player 3",
		},
		{
			"silence",
			Config{Model: model, Timing: Timing{Query: time.Second, Move: time.Second}},
			[]step{{"1PS?X", ""}},
			robot.ErrComm, driveBay(1), "no answer",
		},
		{
			"noise",
			Config{Model: model, Timing: Timing{Query: time.Second, Move: time.Second}},
			[]step{{"1PS?X", "%%"}},
			robot.ErrComm, driveBay(1), "%%",
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newScript(t, test.steps)
			_, err := Open(t.Context(), s, test.config)
			s.finished()
			if e, ok := errors.AsType[*robot.Error](err); !ok || e.Kind != test.kind || !strings.Contains(err.Error(), test.text) {
				t.Errorf("%s: %v; want %v with %q", test.name, err, test.kind, test.text)
			}
		})
	}
	s := newScript(t)
	s.gone = errUnplugged
	_, err := Open(t.Context(), s, Config{Model: model})
	wantError(t, err, robot.ErrComm, robot.Address{}, "unplugged")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, newScript(t), Config{Model: model}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v; want %v", err, context.Canceled)
	}
}

func TestConfig(t *testing.T) {
	v3000, _ := ModelNamed("V3000")
	v180, err := ModelNamed("cac-v180m")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ModelNamed("CAC-V9000"); err == nil || !strings.Contains(err.Error(), "CAC-V5000") {
		t.Errorf("unknown model: %v", err)
	}
	for want, config := range map[string]Config{
		"3 units":        {Model: v3000, Units: 3},
		"-1 units":       {Model: v3000, Units: -1},
		"2 units":        {Model: v180, Units: 2},
		"players 96":     {Model: v3000, Units: 2, FirstPlayer: 96},
		"players -1":     {Model: v3000, FirstPlayer: -1},
		`model ""`:       {},
		"0s for a query": {Model: v3000, Timing: Timing{Move: time.Second}},
	} {
		if _, err := Open(t.Context(), newScript(t), config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v; want %q", config, err, want)
		}
	}
	if got := DefaultTiming().Faster(100); got != (Timing{
		Pacing: 2 * time.Millisecond, Poll: 5 * time.Millisecond,
		Query: 2 * time.Second, Move: 1500 * time.Millisecond, Init: 750 * time.Millisecond,
	}) {
		t.Errorf("100 times as fast: %+v", got)
	}
}

// TestV180M holds the driver to the conversation of a machine with one player, which has no prefix.
func TestV180M(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		model, _ := ModelNamed("CAC-V180M")
		c, s := opened(t, Config{Model: model})
		s.then([]step{{"?J", "R"}, {"?P", "P20"}, {"?Z", "XXX"}, {"012ZS", "R@20s"}, {"?J", "R"}, {"?P", "P01"}, {"?Z", "012"}})
		if err := c.Move(t.Context(), slot(12), driveBay(1)); err != nil {
			t.Error(err)
		}
		wantError(t, c.Move(t.Context(), slot(19), driveBay(1)), robot.ErrUnreachable, slot(19), "slots 1 to 18")
		s.then([]step{{"?J", "R"}, {"?P", "1PSP01"}, {"?X", ""}}) // a prefix is nothing that it says
		_, err := c.Inventory(t.Context())
		wantError(t, err, robot.ErrComm, driveBay(1), "1PSP01")
		s.finished()
		if got := c.Properties(); got != (robot.Properties{Model: "Pioneer CAC-V180M", HomeOnly: true}) {
			t.Errorf("%+v", got)
		}
	})
}

func TestOtherPlayerAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		model, _ := ModelNamed("CAC-V5000")
		c, s := opened(t, Config{Model: model, Units: 2, FirstPlayer: 95})
		s.then(unset2("98", "97"), say("98PS500ZS", "R@40s"), rest("98", "P01", "500"))
		if err := c.Move(t.Context(), slot(1000), driveBay(4)); err != nil {
			t.Error(err)
		}
		s.finished()
		if got := c.Properties().Model; got != "Pioneer CAC-V5000, 2 units" {
			t.Error(got)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := v3000(t, 1)
		s.then(unset2("1", "2"), say("1PS002ZS", "R@45s"), rest("1", "P01", "002"))
		moved := make(chan error)
		go func() { moved <- c.Move(t.Context(), slot(2), driveBay(1)) }()
		synctest.Wait()
		closed := make(chan error)
		go func() { closed <- c.Close() }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Inventory(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("inventory while a move runs: %v; want %v", err, context.DeadlineExceeded)
		}
		if err := <-moved; err != nil {
			t.Errorf("move: %v", err)
		}
		if err := errors.Join(<-closed, c.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
		if !s.closed {
			t.Error("the line was not closed")
		}
		if err := c.Move(t.Context(), slot(2), driveBay(1)); !errors.Is(err, os.ErrClosed) {
			t.Errorf("move after close: %v", err)
		}
		if _, err := c.Inventory(t.Context()); !errors.Is(err, os.ErrClosed) {
			t.Errorf("inventory after close: %v", err)
		}
	})
}
