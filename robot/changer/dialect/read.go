package dialect

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Parse reads a dialect from the text of a file, whose name is for errors. An error shows the file and the line that is wrong.
func Parse(name string, text []byte) (*Dialect, error) {
	var d Dialect
	err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&d)
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		line, _ := strict.Errors[0].Position()
		return nil, fmt.Errorf("%s:%d: unknown key\n%s", name, line, strict.String())
	}
	if wrong, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := wrong.Position()
		return nil, fmt.Errorf("%s:%d: %w\n%s", name, line, err, wrong.String())
	}
	if err == nil {
		err = d.check()
	}
	if at, ok := errors.AsType[*misplaced](err); ok {
		return nil, fmt.Errorf("%s:%d: %w", name, at.line(text), err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &d, nil
}

// misplaced is something wrong with the nth table of a name, from 0.
type misplaced struct {
	table string
	n     int
	err   error
}

func (m *misplaced) Error() string { return m.table + ": " + m.err.Error() }
func (m *misplaced) Unwrap() error { return m.err }

// line is where the table begins, or the end of the file when there is none.
func (m *misplaced) line(text []byte) int {
	n := m.n
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	for i, l := range lines {
		l = strings.TrimSpace(l)
		if l == "["+m.table+"]" || l == "[["+m.table+"]]" {
			if n == 0 {
				return i + 1
			}
			n--
		}
	}
	return len(lines)
}

func in(table string, n int, format string, args ...any) error {
	return &misplaced{table, n, fmt.Errorf(format, args...)}
}

// check refuses what can't be a protocol.
func (d *Dialect) check() error {
	switch f := d.Frame; {
	case d.Name == "":
		return errors.New("name is missing")
	case d.Line.Baud < 1:
		return in("line", 0, "baud is missing")
	case d.Line.DataBits != 0 && (d.Line.DataBits < 5 || d.Line.DataBits > 8):
		return in("line", 0, "data_bits is %d: want 5 to 8", d.Line.DataBits)
	case d.Line.StopBits < 0 || d.Line.StopBits > 2:
		return in("line", 0, "stop_bits is %d: want 1 or 2", d.Line.StopBits)
	case (f.ReplyEnd == "") == (f.ReplySize == 0) || f.ReplySize < 0 || f.ReplySize > maxReply:
		return in("frame", 0, "want reply_end, or reply_size from 1 to %d, and not both", maxReply)
	case len(d.Bins) == 0:
		return in("bin", 0, "there is none")
	case len(d.Drives) == 0:
		return in("drive", 0, "there is none")
	case len(d.Probe) == 0:
		return in("probe", 0, "there is none: a wrong dialect must be found out before anything moves")
	}
	for i, b := range d.Bins {
		switch {
		case !b.Gives && !b.Takes:
			return in("bin", i, "it neither gives nor takes")
		case b.Capacity < 0:
			return in("bin", i, "capacity is %d", b.Capacity)
		}
	}
	if err := d.checkSteps(); err != nil {
		return err
	}
	return d.checkCarries()
}

// checkSteps checks the steps outside of carries, which touch no disc.
func (d *Dialect) checkSteps() error {
	for _, list := range []struct {
		table  string
		steps  []Step
		blanks []string
	}{{"probe", d.Probe, nil}, {"ready", d.Ready, nil}, {"clear", d.Clear, nil}} {
		for i, s := range list.steps {
			if err := d.checkStep(s, list.table, i, list.blanks); err != nil {
				return err
			}
		}
	}
	for name, s := range d.Question {
		if err := d.checkStep(s, "question."+name, 0, nil); err != nil {
			return err
		}
		if s.Ask != "" {
			return in("question."+name, 0, "a question can't ask another one")
		}
	}
	if d.Setup != nil {
		if err := d.checkStep(*d.Setup, "setup", 0, []string{"line"}); err != nil {
			return err
		}
	}
	if h := d.Height; h != nil {
		if err := d.checkStep(h.Step, "height", 0, []string{"bin"}); err != nil {
			return err
		}
		valued := false
		for _, r := range h.Replies {
			valued = valued || r.Means.Word == value && slices.Contains(r.Match.SubexpNames(), "height")
		}
		if !valued || h.PerDisc == 0 {
			return in("height", 0, "want a reply that means value, with a group (?P<height>…), and per_disc")
		}
	}
	return nil
}

func (d *Dialect) checkStep(s Step, table string, n int, blanks []string) error {
	for _, b := range blank.FindAllString(s.Send.text, -1) {
		if !slices.Contains(blanks, strings.Trim(b, "{}")) {
			return in(table, n, "%s has no meaning here", b)
		}
	}
	if s.Ask != "" {
		if _, ok := d.Question[s.Ask]; !ok || s.Send.text != "" || len(s.Replies) > 0 {
			return in(table, n, "ask = %q: want the name of a question, and nothing to send", s.Ask)
		}
		return nil
	}
	if s.Send.text == "" || len(s.Replies) == 0 {
		return in(table, n, "want something to send and what the replies mean")
	}
	if s.Size < 0 || s.Size > maxReply || s.Size > 0 && d.Frame.ReplySize == 0 {
		return in(table, n, "size is %d: it goes with frame.reply_size, up to %d", s.Size, maxReply)
	}
	for _, r := range s.Replies {
		if r.Match.Regexp == nil || r.Means.Word == "" {
			return in(table, n, "a reply without match or means")
		}
		if _, ok := d.Question[r.Ask]; ok != (r.Means.Word == ask) {
			return in(table, n, "reply %v: means = %q and ask = %q: want the name of a question with \"ask\", and only there", r.Match, r.Means.Word, r.Ask)
		}
	}
	return nil
}

// checkCarries checks that discs can go wherever bins give and take, and that each step says where it leaves the disc.
func (d *Dialect) checkCarries() error {
	for i, c := range d.Carry {
		if c.From.kind == "" || c.To.kind == "" || c.From.kind == c.To.kind && c.From.kind != "bin" {
			return in("carry", i, "want from and to: bins, or a bin and a drive")
		}
		if err := d.checkRange(c, i); err != nil {
			return err
		}
		at := ""
		for _, s := range c.Steps {
			if err := d.checkStep(s, "carry", i, []string{"from", "to"}); err != nil {
				return err
			}
			switch {
			case s.Disc.Word == "source", s.Disc.Word != "" && at == "destination":
				return in("carry", i, "the disc goes from hand to destination, and no way back")
			case s.Disc.Word != "" && s.Limit.Duration == 0:
				return in("carry", i, "a step that moves the disc needs a limit")
			case s.Disc.Word != "":
				at = s.Disc.Word
			}
		}
		if at != "destination" {
			return in("carry", i, "no step leaves the disc at its destination")
		}
	}
	for i, b := range d.Bins {
		for j := range d.Drives {
			if b.Gives && d.carryOf(binPlace(i+1), drivePlace(j+1)) == nil {
				return in("carry", len(d.Carry), "none from bin %d, which gives, to drive %d", i+1, j+1)
			}
			if b.Takes && d.carryOf(drivePlace(j+1), binPlace(i+1)) == nil {
				return in("carry", len(d.Carry), "none from drive %d to bin %d, which takes", j+1, i+1)
			}
		}
	}
	return nil
}

func (d *Dialect) checkRange(c Carry, i int) error {
	for _, p := range []Place{c.From, c.To} {
		if limit := map[bool]int{true: len(d.Bins), false: len(d.Drives)}[p.kind == "bin"]; p.number > limit {
			return in("carry", i, "%s %d: there are %d", p.kind, p.number, limit)
		}
	}
	return nil
}
