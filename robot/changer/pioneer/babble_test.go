package pioneer

import (
	"bufio"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/odarchive/odarchive/robot"
)

// babbler is a robot that answers anything to everything: each command takes the next byte of its data and
// says the phrase of that number.
type babbler struct {
	data  []byte
	sent  []string
	said  []string // by command
	input []byte
}

var phrases = []string{
	"", "R\r", "B\r", "P20\r", "P01\r", "P21\r", "XXX\r", "002\r", "003\r", "P151206\r", "E11\r", "E21\r", "E22\r", "E91\r",
	"R\rR\r", "P20\rP20\r", "P0", "\xff\r", "\r", "R\r002\r", "1PSP01\r", "2PSP01\r", "XXX\rP151206\r", strings.Repeat("U", 50),
}

func (b *babbler) Send(_ context.Context, frame []byte) error {
	said := ""
	if len(b.data) > 0 {
		said = phrases[int(b.data[0])%len(phrases)]
		b.data = b.data[1:]
	}
	b.sent, b.said = append(b.sent, string(frame)), append(b.said, said)
	b.input = append(b.input, said...)
	return nil
}

func (b *babbler) Receive(ctx context.Context, split bufio.SplitFunc) ([]byte, error) {
	advance, token, err := split(b.input, false)
	if b.input = b.input[advance:]; token != nil || err != nil {
		return token, err
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (b *babbler) Discard() ([]byte, error) { b.input = nil; return nil, nil }
func (b *babbler) Close() error             { return nil }

// FuzzMove checks that no robot, whatever it says, makes the driver move something twice, wait for ever, fail in a
// way that the contract doesn't know, or believe in a disc that was not shown.
func FuzzMove(f *testing.F) {
	index := func(said string) byte { return byte(slices.Index(phrases, said+"\r")) }
	var good []byte
	for s := range strings.FieldsSeq("R P20 XXX R P20 XXX R R P01 002") {
		good = append(good, index(s))
	}
	f.Add(good, true)
	f.Add(good[:7], true)
	f.Add([]byte{1, 4, 7, 1, 1, 3, 6}, false)
	f.Add([]byte{14, 15, 9, 19, 22, 16, 17, 23, 12}, true)
	f.Fuzz(func(t *testing.T, data []byte, fetch bool) {
		synctest.Test(t, func(t *testing.T) {
			model, err := ModelNamed("CAC-V3000")
			if err != nil {
				t.Fatal(err)
			}
			config, err := Config{Model: model}.checked()
			if err != nil {
				t.Fatal(err)
			}
			b := &babbler{data: data}
			c := &Changer{cfg: config, line: b}
			from, to, command := slot(2), driveBay(1), "1PS002ZS\r"
			if !fetch {
				from, to, command = to, from, "1PSZR\r"
			}
			start := time.Now()
			err = c.Move(t.Context(), from, to)
			if took := time.Since(start); took > 10*time.Minute {
				t.Errorf("took %v", took)
			}

			moves, shown := 0, false
			for i, sent := range b.sent {
				switch {
				case sent == command:
					moves++
				case strings.HasSuffix(sent, "ZS\r"), strings.HasSuffix(sent, "ZR\r"):
					t.Errorf("sent %q", sent)
				case moves == 1 && fetch && sent == "1PS?Z\r":
					shown = shown || strings.Contains(b.said[i], "002")
				case moves == 1 && !fetch && sent == "1PS?P\r":
					shown = shown || strings.Contains(b.said[i], "P20")
				}
			}
			e, known := errors.AsType[*robot.Error](err)
			switch {
			case moves > 1:
				t.Errorf("moved %d times: %q", moves, b.sent)
			case err == nil && (moves != 1 || !shown):
				t.Errorf("success after %q: %q", b.sent, b.said)
			case err != nil && (!known || e.Kind == nil || e.Detail == ""):
				t.Errorf("error %#v", err)
			}
		})
	})
}
