package pioneer

import (
	"bufio"
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// form is what an answer looks like. No two questions that this driver asks in turn have answers of the same form,
// so that an answer to the one before is seen to be one.
type form int

const (
	done  form = iota // R: the command is done, or was taken; to ?J: nothing runs
	busy              // B: to ?J
	fail              // Enn
	mode              // Pnn: to ?P
	disc              // nnn or XXX: to ?Z
	ident             // P and six more: to ?X
)

// reply is an answer that makes sense by itself.
type reply struct {
	form   form
	code   string // "E91", of fail
	number int    // of mode; of disc, where 0 is XXX, no disc
}

// maxReply is longer than any answer, in bytes.
const maxReply = 32

// splitReply cuts answers at CR (bufio.SplitFunc).
func splitReply(data []byte, _ bool) (advance int, token []byte, err error) {
	if line, _, found := bytes.Cut(data, []byte{'\r'}); found {
		return len(line) + 1, line, nil
	}
	if len(data) > maxReply {
		return 0, nil, bufio.ErrTooLong
	}
	return 0, nil, nil
}

// parseReply reads an answer without its CR. Machines with several players may repeat `<player>PS` before a
// value; player is the one asked, or 0 on a machine that has no such prefix. Anything that the manuals don't
// show is refused: on a line without checksums a strict reader is the only check.
func parseReply(line []byte, player int) (reply, error) {
	s := string(line)
	if player > 0 {
		s = strings.TrimPrefix(s, strconv.Itoa(player)+"PS")
	}
	switch {
	case s == "R":
		return reply{form: done}, nil
	case s == "B":
		return reply{form: busy}, nil
	case s == "XXX":
		return reply{form: disc}, nil
	case len(s) == 3 && s[0] == 'E' && only(s[1:], "0123456789ABCDEF"):
		return reply{form: fail, code: s}, nil
	case len(s) == 3 && s[0] == 'P' && only(s[1:], digits):
		return reply{form: mode, number: number(s[1:])}, nil
	case len(s) == 3 && s != "000" && only(s, digits):
		return reply{form: disc, number: number(s)}, nil
	case len(s) == 7 && s[0] == 'P' && only(s[1:], digits+"ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
		return reply{form: ident}, nil
	}
	return reply{}, fmt.Errorf("%q is no answer", line)
}

const digits = "0123456789"

func only(s, set string) bool { return strings.Trim(s, set) == "" }

// number reads a few decimal digits.
func number(s string) (n int) {
	for _, d := range s {
		n = 10*n + int(d-'0')
	}
	return n
}
