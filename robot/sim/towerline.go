package sim

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// Protocols are those that a Tower can speak.
var Protocols = []string{"rimage", "aleratec", "letters"}

// Speaker speaks a protocol for a Tower. It is written from owners' notes on what the wire carries.
type Speaker struct {
	Tower    *Tower
	Protocol string
	Log      *slog.Logger

	mu     sync.Mutex
	faults map[string][]string // command → what happens to it the next time, and then
	peeked bool                // the command that is obeyed now has had its fault, and spoil is what that does to the answer
	spoil  string
	last   string // status that is told once, or of the last command
	bare   bool   // it has lost its calibration with its power
	voice  voice
	moved  map[int]bool // bins of which a disc was grabbed and one put since power-on
}

// TowerActions are what a fault can do: Replies carry the command out and spoil the answer, stuck does nothing and says so as the
// protocol does, Mishaps happen to the disc, and with well nothing happens: it puts off what was said after it.
var TowerActions = slices.Concat(Replies, Mishaps, []string{"stuck", mishapTwo, well})

const well = "well"

// Fail makes the next command of a name suffer a fault, or the one after those that were named before. Names are of acts: "load", "unload",
// "shift", "status".
func (s *Speaker) Fail(command, action string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults == nil {
		s.faults = map[string][]string{}
	}
	s.faults[command] = append(s.faults[command], action)
}

// Reset is a person's hand on the reset button: the robot forgets what failed.
func (s *Speaker) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.faults = "", nil
	s.Tower.suffer("")
}

func (s *Speaker) strike(command string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.peeked {
		return s.next(command)
	}
	a := s.spoil
	s.peeked, s.spoil = false, ""
	return a
}

// next is the next fault of a command, which it suffers now. The caller holds mu.
func (s *Speaker) next(command string) string {
	queue := s.faults[command]
	if len(queue) == 0 {
		return ""
	}
	s.faults[command] = queue[1:]
	return queue[0]
}

// Serve answers what comes over line until ctx ends or the line does.
func (s *Speaker) Serve(ctx context.Context, line io.ReadWriter) error {
	r := bufio.NewReader(line)
	for {
		command, err := s.read(r)
		if err != nil {
			return err
		}
		act, answer := s.obey(ctx, command)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := s.say(line, s.strike(act), answer); err != nil {
			return err
		}
	}
}

// read reads one command: Rimage's end with C, Aleratec's with a line feed, a letter is one.
func (s *Speaker) read(r *bufio.Reader) (string, error) {
	switch s.Protocol {
	case "rimage":
		text, err := r.ReadString('C')
		if i := strings.LastIndexByte(text, 0x1b); i >= 0 {
			text = text[i+1:]
		}
		return text, err
	case "aleratec":
		text, err := r.ReadString('\n')
		return strings.TrimSuffix(text, "\n"), err
	default:
		b, err := r.ReadByte()
		return string(b), err
	}
}

// say answers, or doesn't. An answer may have lines of progress before it.
func (s *Speaker) say(line io.Writer, fault, answer string) error {
	if answer == "" {
		return nil
	}
	garbled := strings.Map(func(r rune) rune {
		if r < ' ' && r != 0x15 {
			return r
		}
		return '~'
	}, answer)
	noise := map[string]string{"rimage": "\x1b!e9C\x04", "aleratec": "HELLO\n", "letters": "z"}[s.Protocol]
	return s.voice.say(line, fault, []byte(answer), []byte(garbled), []byte(noise))
}

func (s *Speaker) obey(ctx context.Context, command string) (act, answer string) {
	switch s.Protocol {
	case "rimage":
		return s.rimage(ctx, command)
	case "aleratec":
		return s.aleratec(ctx, command)
	default:
		return s.letter(ctx, command)
	}
}

// peek is a fault that must be known before the act.
func (s *Speaker) peek(act string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peeked = true
	switch a := s.next(act); {
	case slices.Contains(Replies, a):
		s.spoil = a
	case a != well:
		return a
	}
	return ""
}

var errStuck = errors.New("stuck")

// rimage: ESC commands that end in C, answers between ESC and EOT. Each grab and put is a command of its own.
func (s *Speaker) rimage(ctx context.Context, c string) (act, answer string) {
	frame := func(t string) string { return "\x1b" + t + "\x04" }
	var from, n int
	var err error
	switch {
	case c == "!e0C":
		return "version", frame("!e032CLIBERTY 4 VERSION 6.014E")
	case c == "!e1C":
		code := "000"
		if s.last != "" {
			code, s.last = s.last, ""
		}
		if s.Tower.doorNews() {
			code = "006"
			s.measured()
		}
		return "status", frame("!e1" + code + "000C")
	case scan(c, "!f020%dC", &n) && n < len(s.Tower.Status().Bins):
		if !s.measures(n + 1) {
			return "height", frame("!f01365534C")
		}
		return "height", frame(fmt.Sprintf("!f010%05dC", 36000-120*s.Tower.height(n+1)))
	case scan(c, "!f124%1d%1dC", &from, &n) && from >= 1 && from <= 4:
		act = "unload"
		switch n {
		case 0:
			if s.Tower.Status().Hand == "" {
				return "position", frame("!f10C")
			}
			return "position", frame("!f11C")
		case 1:
			act, err = "load", s.stuck("load", func() error { return s.Tower.PutDrive(ctx, from) })
		default:
			err = s.stuck("unload", func() error { return s.Tower.TakeDrive(ctx, from) })
		}
	case scan(c, "!f120%1d%1dC", &from, &n) && from <= 3 && (n == 1 || n == 2):
		if n == 1 {
			act, err = "put", s.stuck("put", func() error { return s.Tower.PutBin(ctx, from+1) })
		} else {
			act, err = "grab", s.stuck("grab", func() error { return s.Tower.TakeBin(ctx, from+1) })
		}
		if err == nil && n == 1 {
			s.lifted(from + 1)
		}
	default:
		return "unknown", frame("!f10C")
	}
	switch {
	case err == nil:
		return act, frame("!f11C")
	case errors.Is(err, errPower):
		s.last = ""
		s.measured()
		return act, ""
	}
	code, ok := told(rimageTells, err)
	if s.last = code; !ok {
		s.last = rimageFails
	}
	return act, frame("!f10C")
}

func scan(text, format string, into ...any) bool {
	n, err := fmt.Sscanf(text, format, into...)
	return err == nil && n == len(into)
}

// stuck lets a fault stop an act, or happen to its disc.
func (s *Speaker) stuck(act string, f func() error) error {
	fault := s.peek(act)
	if fault == "stuck" {
		return errStuck
	}
	s.Tower.suffer(fault)
	return f()
}

// both is an act of one command that takes a disc and puts it down.
func (s *Speaker) both(act string, take, put func() error) error {
	return s.stuck(act, func() error {
		if err := take(); err != nil {
			return err
		}
		return put()
	})
}

// aleratec: lines CccDddNnnnn, progress in lines T, a state in the last one.
func (s *Speaker) aleratec(ctx context.Context, c string) (act, answer string) {
	var drive, bin int
	status := func(state, command string) string {
		return fmt.Sprintf("S%sC%sE00I11111000O11111111\n", state, command)
	}
	st := s.Tower.Status()
	switch {
	case strings.HasPrefix(c, "C08D9n"):
		if s.last == "alarm" {
			return "status", "\x15"
		}
		if s.bare {
			return "status", "PARAM02D1\n"
		}
		return "status", "PARAM01D1\n"
	case strings.HasPrefix(c, "c09d"):
		s.bare = false
		return "setup", "C00\n"
	case c == "C01D01":
		s.last = ""
		return "clear", "C00\n"
	case scan(c, "C03D0%1dN000%1d", &drive, &bin) && drive >= 1 && drive <= 3 && bin >= 1 && bin <= len(st.Bins):
		err := s.both("load", func() error { return s.Tower.TakeBin(ctx, bin) }, func() error { return s.Tower.PutDrive(ctx, drive) })
		return "load", s.ended(err, "03", "04", "08", status)
	case scan(c, "C04D0%1dN000%1d", &drive, &bin) && drive >= 1 && drive <= 3 && bin >= 1 && bin <= len(st.Bins):
		err := s.both("unload", func() error { return s.Tower.TakeDrive(ctx, drive) }, func() error { return s.Tower.PutBin(ctx, bin) })
		return "unload", s.ended(err, "04", "08", "04", status)
	}
	return "unknown", status("01", "01")
}

func (s *Speaker) ended(err error, command, good, none string, status func(state, command string) string) string {
	progress := fmt.Sprintf("T%sD1\nT%sD2\nT%sD3\n", command, command, command)
	switch end, _ := told(aleratecTells, err); {
	case err == nil:
		return progress + "T" + command + "D4\n" + status(good, command)
	case errors.Is(err, errPower):
		s.last, s.bare = "", true
		return ""
	case end == aleratecNone:
		return progress + status(none, command)
	case end == aleratecRejected:
		return status("01", "01")
	}
	s.last = "alarm"
	return "\x15"
}

// letter: one byte is a command; X or E is the answer, two digits to S.
func (s *Speaker) letter(ctx context.Context, c string) (act, answer string) {
	var err error
	switch c {
	case "S":
		if s.last == "" {
			return "status", "00"
		}
		return "status", s.last
	case "V", "C", "F":
		s.last = ""
		return "reset", "X"
	case "I":
		act = "load"
		err = s.both(act, func() error { return s.Tower.TakeBin(ctx, 1) }, func() error { return s.Tower.PutDrive(ctx, 1) })
	case "A":
		act = "unload"
		take := func() error { return s.Tower.TakeDrive(ctx, 1) }
		if s.Tower.Status().Hand != "" {
			take = func() error { return nil }
		}
		err = s.both(act, take, func() error { return s.Tower.PutBin(ctx, 2) })
	case "G", "P", "K":
		act, err = "get", s.stuck("get", func() error { return s.Tower.TakeDrive(ctx, 1) })
	case "D", "U", "j", "\x03":
		return "other", "X"
	default:
		return "unknown", "E"
	}
	s.last = ""
	switch {
	case err == nil:
		return act, "X"
	case errors.Is(err, errPower):
		return act, ""
	}
	code, ok := told(letterTells, err)
	if s.last = code; !ok {
		s.last = letterFails
	}
	return act, "E"
}
