package agent

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// What each kind of robot and drive can be told. Anything else would be ignored, and whoever wrote it believes that it works.
var (
	robotKeys = map[string][]string{
		"pioneer": {"port", "model", "units", "first_player", "baud", "speed"},
		"denon":   {"port", "unit_id", "baud", "speed"},
		"dialect": {"port", "dialect", "capacity", "discs", "drive_wires", "setup", "baud", "speed"},
		"manual":  {"slots", "drives", "label"},
		"scsi":    {"device", "host_opens_tray"},
	}
	driveKeys = map[string][]string{
		"file":  {"number", "path"},
		"linux": {"number", "path", "burner", "read_only", "speed", "scan"},
	}
)

// checkKeys refuses fields that a kind doesn't have.
func checkKeys(table any, kind string, known map[string][]string) *badTable {
	v := reflect.ValueOf(table)
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("toml")
		if v.Field(i).IsZero() || key == "kind" || slices.Contains(known[kind], key) {
			continue
		}
		return &badTable{key: key, err: fmt.Errorf("%s: the kind %q has no such field; it has %s", key, kind, strings.Join(known[kind], ", "))}
	}
	return nil
}

// badTable is something wrong with the nth table of a name in a file, from 0, or with a key of it.
type badTable struct {
	head string
	n    int
	key  string // empty for the table
	err  error
}

func badDrive(n int, err error) error { return &badTable{head: "[[drive]]", n: n, err: err} }

// in says of which table it is.
func (b *badTable) in(head string, n int) error {
	b.head, b.n = head, n
	return b
}

func (b *badTable) Error() string { return b.err.Error() }
func (b *badTable) Unwrap() error { return b.err }

// line is where it stands, or where its table begins.
func (b *badTable) line(text string) int {
	begins, n := 1, b.n
	for i, l := range strings.Split(text, "\n") {
		l = strings.TrimSpace(l)
		key, _, assigned := strings.Cut(l, "=")
		switch {
		case strings.HasPrefix(l, b.head):
			if n == 0 {
				begins = i + 1
			}
			n--
		case n < 0 && assigned && strings.TrimSpace(key) == b.key:
			return i + 1
		}
		if n < 0 && (b.key == "" || begins != i+1 && strings.HasPrefix(l, "[")) {
			break
		}
	}
	return begins
}
