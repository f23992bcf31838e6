package dialect

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/odarchive/odarchive/robot/changer/stack"
)

// The words of a file. Each checks itself while it is read, so that the error shows its line.

// duration is written as in "200ms".
type duration struct{ time.Duration }

func (d *duration) UnmarshalText(b []byte) (err error) {
	if d.Duration, err = time.ParseDuration(string(b)); err == nil && d.Duration < 0 {
		err = fmt.Errorf("%s is less than nothing", b)
	}
	return err
}

// parity is none, even or odd.
type parity struct{ Word string }

func (p *parity) UnmarshalText(b []byte) error {
	return oneOf(&p.Word, string(b), "none", "even", "odd")
}

// meaning is what an answer tells.
type meaning struct{ Word string }

// The meanings. Those that fail are told with the kind of error in fault.go.
const (
	done    = "done"    // the step is done
	more    = "more"    // it goes on: the answer is yet to come
	busy    = "busy"    // of a question: the robot moves, ask again
	ask     = "ask"     // it failed, and a question tells why
	empty   = "empty"   // the robot found no disc to take
	full    = "full"    // there is a disc already
	refused = "refused" // the robot does not do this; nothing moved
	door    = "door"
	jam     = "jam"
	drive   = "drive" // the drive is faulty
	comm    = "comm"  // the robot did not understand
	anew    = "anew"  // the robot has started anew
	setup   = "setup" // the robot wants its setup lines
	unknown = "unknown"
	value   = "value" // of a height: the group named height, in the pattern, is it
)

func (m *meaning) UnmarshalText(b []byte) error {
	return oneOf(&m.Word, string(b), done, more, busy, ask, empty, full, refused, door, jam, drive, comm, anew, setup, unknown, value)
}

// disc is where a disc is.
type disc struct{ Word string }

func (d *disc) UnmarshalText(b []byte) error {
	return oneOf(&d.Word, string(b), "source", "hand", "destination")
}

func (d disc) where() stack.Where {
	return map[string]stack.Where{"source": stack.AtSource, "hand": stack.InHand, "destination": stack.AtDestination}[d.Word]
}

func oneOf(to *string, word string, words ...string) error {
	for _, w := range words {
		if w == word {
			*to = word
			return nil
		}
	}
	return fmt.Errorf("%q: want one of %s", word, strings.Join(words, ", "))
}

// pattern is a regular expression for a whole answer.
type pattern struct{ *regexp.Regexp }

func (p *pattern) UnmarshalText(b []byte) (err error) {
	p.Regexp, err = regexp.Compile(`\A(?s:` + string(b) + `)\z`)
	return err
}

// template is a command with {from}, {to}, {bin} or {line} in it.
type template struct{ text string }

var blank = regexp.MustCompile(`\{[^}]*\}`)

func (t *template) UnmarshalText(b []byte) error {
	t.text = string(b)
	for _, b := range blank.FindAllString(t.text, -1) {
		switch b {
		case "{from}", "{to}", "{bin}", "{line}":
		default:
			return fmt.Errorf("%s in %q: want {from}, {to}, {bin} or {line}", b, t.text)
		}
	}
	return nil
}

// fill puts values into a template.
func (t template) fill(values map[string]string) string {
	return blank.ReplaceAllStringFunc(t.text, func(b string) string { return values[strings.Trim(b, "{}")] })
}

// Place is "bin" or "drive" for any of them, or "bin 2" for one.
type Place struct {
	kind   stack.Kind
	number int // 0 for any
}

// UnmarshalText reads a place.
func (p *Place) UnmarshalText(b []byte) error {
	kind, number, one := strings.Cut(string(b), " ")
	if err := oneOf((*string)(&p.kind), kind, string(stack.InBin), string(stack.InDrive)); err != nil {
		return err
	}
	if !one {
		return nil
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 {
		return fmt.Errorf("%q: want a number from 1 in %q", number, b)
	}
	p.number = n
	return nil
}

func (p Place) covers(q stack.Place) bool {
	return p.kind == q.Kind && (p.number == 0 || p.number == q.Number)
}
