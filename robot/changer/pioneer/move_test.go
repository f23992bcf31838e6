package pioneer

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/odarchive/odarchive/robot"
)

func slot(n int) robot.Address { return robot.Address{Kind: robot.Slot, Number: n} }

// unset2 is both players of a unit empty, as a fetch to player a asks them.
func unset2(a, b string) []step { return append(rest(a, "P20", "XXX"), rest(b, "P20", "XXX")...) }

// wantError checks an error of the machine.
func wantError(t *testing.T, err, kind error, place robot.Address, details ...string) {
	t.Helper()
	e, ok := errors.AsType[*robot.Error](err)
	if !ok {
		t.Fatalf("error %v is no *robot.Error; want %v", err, kind)
	}
	if e.Kind != kind || e.Place != place || e.Op == "" {
		t.Errorf("error %q: op %q, kind %q, place %v; want kind %q, place %v", e, e.Op, e.Kind, e.Place, kind, place)
	}
	for _, d := range details {
		if !strings.Contains(e.Detail, d) {
			t.Errorf("detail %q lacks %q", e.Detail, d)
		}
	}
}

// TestMoves holds the driver to whole conversations.
func TestMoves(t *testing.T) {
	drive := driveBay
	none := robot.Address{}
	for _, test := range []struct {
		name     string
		from, to robot.Address
		script   [][]step
		kind     error // nil for success
		place    robot.Address
		details  []string
	}{
		{
			name: "late R", from: slot(214), to: drive(1),
			script: [][]step{unset2("1", "2"), say("1PS214ZS", "R@42s"), rest("1", "P01", "214")},
		},
		{
			name: "early R", from: slot(1), to: drive(2),
			script: [][]step{unset2("2", "1"), say("2PS001ZS", "R"), look("2", "B", "P21", "XXX"), rest("2", "P21", "001"), rest("2", "P01", "001")},
		},
		{
			name: "second unit", from: slot(301), to: drive(4),
			script: [][]step{unset2("4", "3"), say("4PS001ZS", "R@40s"), rest("4", "P01", "4PS001")},
		},
		{
			name: "answers doubled", from: slot(7), to: drive(1),
			script: [][]step{unset2("1", "2"), say("1PS007ZS", "R@40s R@40s"), say("1PS?J", "R R"), say("1PS?P", "P01 P01"), say("1PS?Z", "007 007")},
		},
		{
			name: "second R while asking", from: slot(7), to: drive(1),
			script: [][]step{
				unset2("1", "2"), say("1PS007ZS", "R"),
				say("1PS?J", "B"), say("1PS?P", "R P21@100ms"), // an R after which nothing is as it seems
				say("1PS?X", "1PSP151206"), rest("1", "P01", "007"),
			},
		},
		{
			name: "R in the place of an answer to ?J", from: slot(7), to: drive(1),
			script: [][]step{
				unset2("1", "2"), say("1PS007ZS", "R"),
				say("1PS?J", "R B@100ms"), say("1PS?P", "P20"), say("1PS?Z", "XXX@10ms"),
				say("1PS?E", "E00"),
			},
			kind: robot.ErrComm, place: drive(1), details: []string{"R; then mode P20", "E00"},
		},
		{
			name: "question unanswered", from: slot(7), to: drive(1),
			script: [][]step{
				say("1PS?J", "R"), say("1PS?P", ""), say("1PS?X", "P20 P151206"), unset2("1", "2"),
				say("1PS007ZS", "R@40s"), rest("1", "P01", "007"),
			},
		},
		{
			name: "garbled question", from: slot(7), to: drive(1),
			script: [][]step{
				say("1PS?J", "\x8a"), say("1PS?X", "P151206"), unset2("1", "2"),
				say("1PS007ZS", "R@40s"), rest("1", "P01", "007"),
			},
		},

		{
			name: "questions garbled without end", from: slot(7), to: drive(1),
			script: [][]step{
				say("1PS?J", "Q"), say("1PS?X", "P151206"), say("1PS?J", "Q"), say("1PS?X", "P151206"), say("1PS?J", "Q"),
			},
			kind: robot.ErrComm, place: drive(1), details: []string{`"Q"`},
		},
		{
			name: "R before anything begins", from: slot(7), to: drive(1),
			script: [][]step{unset2("1", "2"), say("1PS007ZS", "R"), look("1", "B", "P20", "XXX"), rest("1", "P01", "007")},
		},
		{
			name: "a command is running", from: slot(7), to: drive(1), script: [][]step{look("1", "B", "P20", "XXX")},
			kind: robot.ErrBusy, place: drive(1),
		},

		{
			name: "back from park", from: drive(1), to: slot(214),
			script: [][]step{rest("1", "P01", "214"), say("1PSZR", "R@40s"), rest("1", "P20", "XXX")},
		},
		{
			name: "back from play", from: drive(3), to: slot(600),
			script: [][]step{
				rest("3", "P04", "300"), say("3PSRJ", "R"), look("3", "B", "P03", "300"), rest("3", "P03", "300"), rest("3", "P01", "300"),
				say("3PSZR", "R"), look("3", "B", "P22", "300"), rest("3", "P22", "XXX"), rest("3", "P20", "XXX"),
			},
		},

		{name: "drive full", from: slot(2), to: drive(1), script: [][]step{rest("1", "P01", "001")}, kind: robot.ErrFull, place: drive(1)},
		{name: "drive full of an unknown disc", from: slot(2), to: drive(1), script: [][]step{rest("1", "P01", "XXX")}, kind: robot.ErrFull, place: drive(1)},
		{name: "drive moving", from: slot(2), to: drive(1), script: [][]step{look("1", "B", "P21", "XXX")}, kind: robot.ErrBusy, place: drive(1)},
		{
			name: "in the other drive", from: slot(2), to: drive(1), script: [][]step{rest("1", "P20", "XXX"), rest("2", "P04", "002")},
			kind: robot.ErrEmpty, place: slot(2), details: []string{"drive 2"},
		},
		{
			name: "same number in the other unit", from: slot(302), to: drive(3),
			script: [][]step{unset2("3", "4"), say("3PS002ZS", "R@30s"), rest("3", "P01", "002")},
		},
		{
			name: "slot empty", from: slot(2), to: drive(1), script: [][]step{unset2("1", "2"), say("1PS002ZS", "E11@20s"), rest("1", "P20", "XXX")},
			kind: robot.ErrEmpty, place: slot(2), details: []string{"E11"},
		},
		{
			name: "slot empty, R early", from: slot(2), to: drive(1), script: [][]step{
				unset2("1", "2"), say("1PS002ZS", "R"),
				look("1", "B", "P21", "XXX"), say("1PS?J", "E11"), rest("1", "P20", "XXX"),
			},
			kind: robot.ErrEmpty, place: slot(2), details: []string{"E11"},
		},
		{
			name: "slot empty and drive full", from: slot(2), to: drive(1), script: [][]step{unset2("1", "2"), say("1PS002ZS", "E11@20s"), rest("1", "P01", "002")},
			kind: robot.ErrComm, place: drive(1), details: []string{"E11", "disc 002"},
		},
		{name: "drive empty", from: drive(1), to: slot(2), script: [][]step{rest("1", "P20", "XXX")}, kind: robot.ErrEmpty, place: drive(1)},
		{
			name: "not its home", from: drive(1), to: slot(2), script: [][]step{rest("1", "P01", "214")},
			kind: robot.ErrUnreachable, place: slot(2), details: []string{"slot 214"},
		},
		{name: "home unknown", from: drive(1), to: slot(2), script: [][]step{rest("1", "P01", "XXX")}, kind: robot.ErrInventory, place: drive(1)},
		{name: "across units", from: slot(300), to: drive(3), kind: robot.ErrUnreachable, place: drive(3)},
		{name: "slot to slot", from: slot(1), to: slot(2), kind: robot.ErrUnreachable, place: slot(2)},
		{name: "drive to drive", from: drive(1), to: drive(2), kind: robot.ErrUnreachable, place: drive(2)},
		{name: "no such slot", from: slot(601), to: drive(1), kind: robot.ErrUnreachable, place: slot(601)},
		{name: "no such drive", from: slot(1), to: drive(5), kind: robot.ErrUnreachable, place: drive(5)},
		{name: "mail slot", from: slot(1), to: robot.Address{Kind: robot.MailSlot, Number: 1}, kind: robot.ErrUnreachable, place: robot.Address{Kind: robot.MailSlot, Number: 1}},

		{
			name: "door", from: slot(2), to: drive(1), script: [][]step{unset2("1", "2"), say("1PS002ZS", "E21"), rest("1", "P20", "XXX")},
			kind: robot.ErrDoor, place: none, details: []string{"E21", "door"},
		},
		{
			name: "stuck while loading", from: slot(2), to: drive(1), script: [][]step{unset2("1", "2"), say("1PS002ZS", "E91@20s"), rest("1", "P21", "XXX")},
			kind: robot.ErrJam, place: none, details: []string{"E91", "P21"},
		},
		{name: "door seen by a question", from: slot(2), to: drive(1), script: [][]step{say("1PS?J", "E21")}, kind: robot.ErrDoor, place: none},
		{name: "magazine missing", from: slot(2), to: drive(1), script: [][]step{say("1PS?J", "R"), say("1PS?P", "E11")}, kind: robot.ErrJam, place: none},
		{
			name: "can't be set down", from: drive(1), to: slot(2), script: [][]step{rest("1", "P01", "002"), say("1PSZR", "E98@20s"), rest("1", "P20", "XXX")},
			kind: robot.ErrJam, place: slot(2), details: []string{"E98"},
		},
		{
			name: "player fault", from: drive(1), to: slot(2), script: [][]step{rest("1", "P04", "002"), say("1PSRJ", "E99"), rest("1", "P04", "002")},
			kind: robot.ErrDriveFault, place: drive(1), details: []string{"RJ", "E99"},
		},
		{
			name: "refused", from: slot(2), to: drive(1), script: [][]step{unset2("1", "2"), say("1PS002ZS", "E04"), rest("1", "P20", "XXX")},
			kind: robot.ErrUnreachable, place: none, details: []string{"E04"},
		},
		{
			name: "refused and done", from: slot(2), to: drive(1), script: [][]step{unset2("1", "2"), say("1PS002ZS", "E04"), rest("1", "P01", "002")},
			kind: robot.ErrComm, place: drive(1), details: []string{"E04", "disc 002"},
		},

		{
			name: "R that is not true", from: slot(2), to: drive(1), script: [][]step{unset2("1", "2"), say("1PS002ZS", "R@40s"), rest("1", "P20", "XXX"), say("1PS?E", "E92")},
			kind: robot.ErrJam, place: slot(2), details: []string{"E92"},
		},
		{
			name: "R and an old E11", from: slot(2), to: drive(1), script: [][]step{unset2("1", "2"), say("1PS?E", "E11"), say("1PS002ZS", "R@40s"), rest("1", "P20", "XXX"), say("1PS?E", "E11")},
			kind: robot.ErrComm, place: drive(1),
		},
		{
			name: "R and a new E11", from: slot(2), to: drive(1), script: [][]step{unset2("1", "2"), say("1PS?E", "E92"), say("1PS002ZS", "R@40s"), rest("1", "P20", "XXX"), say("1PS?E", "E11")},
			kind: robot.ErrEmpty, place: slot(2),
		},
		{
			name: "R, an empty player and a new E98", from: drive(1), to: slot(2), script: [][]step{rest("1", "P01", "002"), say("1PS?E", "E00"), say("1PSZR", "R@40s"), rest("1", "P20", "XXX"), say("1PS?E", "E98"), say("1PS?E", "E98")},
			kind: robot.ErrJam, place: slot(2), details: []string{"E98"},
		},
		{
			name: "R and another disc", from: slot(2), to: drive(1), script: [][]step{unset2("1", "2"), say("1PS002ZS", "R@40s"), rest("1", "P01", "003"), say("1PS?E", "")},
			kind: robot.ErrComm, place: drive(1), details: []string{"disc 003"},
		},
		{
			name: "R and the disc still there", from: drive(1), to: slot(2), script: [][]step{rest("1", "P01", "002"), say("1PSZR", "R@40s"), rest("1", "P01", "002"), say("1PS?E", "XXX")},
			kind: robot.ErrComm, place: drive(1), details: []string{"disc 002"},
		},

		{
			name: "answer lost, disc there", from: slot(2), to: drive(1), script: [][]step{unset2("1", "2"), say("1PS002ZS", ""), rest("1", "P01", "002")},
			kind: robot.ErrComm, place: drive(1), details: []string{"no answer to 002ZS", "disc 002"},
		},
		{
			name: "answer lost, line dead", from: slot(2), to: drive(1), script: [][]step{unset2("1", "2"), say("1PS002ZS", ""), say("1PS?J", ""), say("1PS?X", "")},
			kind: robot.ErrComm, place: drive(1), details: []string{"no answer to 002ZS", "no answer to ?X"},
		},
		{
			name: "half an answer", from: slot(2), to: drive(1), script: [][]step{unset2("1", "2"), say("1PS002ZS", "E9~@20s"), rest("1", "P20", "XXX")},
			kind: robot.ErrComm, place: drive(1), details: []string{"no answer to 002ZS", "P20"},
		},
		{
			name: "garbled answer while it moves", from: slot(2), to: drive(1), script: [][]step{unset2("1", "2"), say("1PS002ZS", "\xd2"), look("1", "B", "P21", "XXX"), rest("1", "P01", "002")},
			kind: robot.ErrComm, place: drive(1), details: []string{`"\xd2"`, "disc 002"},
		},
		{
			name: "answer of another player", from: slot(2), to: drive(1), script: [][]step{unset2("1", "2"), say("1PS002ZS", "2PSP01"), rest("1", "P20", "XXX")},
			kind: robot.ErrComm, place: drive(1), details: []string{"2PSP01"},
		},
		{
			name: "B for an answer", from: slot(2), to: drive(1), script: [][]step{unset2("1", "2"), say("1PS002ZS", "B"), rest("1", "P20", "XXX")},
			kind: robot.ErrComm, place: drive(1),
		},
		{
			name: "noise", from: slot(2), to: drive(1), script: [][]step{unset2("1", "2"), say("1PS002ZS", strings.Repeat("U", 99)+"~"), rest("1", "P20", "XXX")},
			kind: robot.ErrComm, place: drive(1), details: []string{"noise"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := v3000(t, 2)
				s.then(test.script...)
				err := c.Move(t.Context(), test.from, test.to)
				s.finished()
				if test.kind != nil {
					wantError(t, err, test.kind, test.place, test.details...)
				} else if err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestEveryCode checks what each code of the error chart makes of a move.
func TestEveryCode(t *testing.T) {
	for kind, codes := range map[error]string{
		robot.ErrComm:        "E00 E79 E7A E82 E85 E05 EFF",
		robot.ErrUnreachable: "E04 E06",
		robot.ErrEmpty:       "E11",
		robot.ErrDoor:        "E21 E43",
		robot.ErrInventory:   "E22 E90 E93",
		robot.ErrJam:         "E20 E42 E44 E45 E46 E47 E86 E87 E8A E91 E92 E94 E98",
		robot.ErrDriveFault:  "E12 E13 E14 E71 E72 E81 E84 E88 E89 E96 E99",
	} {
		for code := range strings.FieldsSeq(codes) {
			synctest.Test(t, func(t *testing.T) {
				c, s := v3000(t, 1)
				s.then(unset2("1", "2"), say("1PS002ZS", code+"@1s"), rest("1", "P20", "XXX"))
				err := c.Move(t.Context(), slot(2), driveBay(1))
				s.finished()
				if !errors.Is(err, kind) || !strings.Contains(err.Error(), code+": "+codeError(code).fault().words) {
					t.Errorf("%s: %v; want %v", code, err, kind)
				}
			})
		}
	}
}

func TestStillMovingAtTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := v3000(t, 1)
		s.then(unset2("1", "2"), say("1PS002ZS", "R"))
		c.cfg.Timing.Move = 2 * time.Second
		s.then(look("1", "B", "P21", "XXX"), look("1", "B", "P21", "XXX"), look("1", "B", "P21", "XXX"), say("1PS?E", "E00"))
		err := c.Move(t.Context(), slot(2), driveBay(1))
		s.finished()
		wantError(t, err, robot.ErrComm, driveBay(1), "P21", "running")
	})
}

func TestLateAnswerAfterTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := v3000(t, 1)
		s.then(unset2("1", "2"), say("1PS002ZS", "R@152s"), look("1", "B@100ms", "P21@200ms", "XXX"))
		wantError(t, c.Move(t.Context(), slot(2), driveBay(1)), robot.ErrComm, driveBay(1), "P21")
		s.finished()
		// The R comes now, as if it answered the first question of the inventory.
		s.then(say("1PS?J", "B@2500ms"), say("1PS?P", "P01@3s"), say("1PS?X", "P151206@1s"),
			rest("1", "P01", "002"), rest("2", "P20", "XXX"))
		all, err := c.Inventory(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.finished()
		if got, want := all[0], (robot.Element{Address: driveBay(1), Unit: 1, Fill: robot.Full, Home: slot(2)}); got != want {
			t.Errorf("drive 1 is %+v, want %+v", got, want)
		}
	})
}

func TestUnplugged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := v3000(t, 1)
		s.gone = errUnplugged
		start := time.Now()
		wantError(t, c.Move(t.Context(), slot(2), driveBay(1)), robot.ErrComm, driveBay(1), "unplugged")
		if waited := time.Since(start); waited > time.Second {
			t.Errorf("a dead line was waited for for %v", waited)
		}
	})
}

func TestMoveAndContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := v3000(t, 1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Move(ctx, slot(2), driveBay(1)); !errors.Is(err, context.Canceled) {
			t.Errorf("ended before: %v", err)
		}

		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s.then(say("1PS?J", "R@400ms"), say("1PS?P", "P20@400ms"), say("1PS?Z", "XXX@400ms"))
		if err := c.Move(ctx, slot(2), driveBay(1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended while asking: %v", err)
		}
		s.finished() // all answers were read, and nothing was moved

		ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		s.then(unset2("1", "2"), say("1PS002ZS", "R@45s"), rest("1", "P01", "002"))
		if err := c.Move(ctx, slot(2), driveBay(1)); err != nil {
			t.Errorf("ended while moving: %v", err)
		}
		s.finished()
	})
}
