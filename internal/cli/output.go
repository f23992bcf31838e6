package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"golang.org/x/term"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// shared is a writer that several goroutines write to, a line at a time.
type shared struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *shared) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(b)
}

// print prints data: as JSON when that is asked for, otherwise by show.
func (a *app) print(data any, show func(w io.Writer)) error {
	if a.json {
		return a.printJSONTo(a.stdout, data)
	}
	show(a.stdout)
	return nil
}

// protoJSON prints messages with the field names of the contract and fields that are zero.
var protoJSON = protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}

// printJSONTo prints one JSON document on a line. Messages and lists of them keep the names of the contract in proto.
func (a *app) printJSONTo(w io.Writer, data any) error {
	b, err := marshal(data)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}

func marshal(data any) ([]byte, error) {
	m, ok := data.(proto.Message)
	if !ok {
		return json.Marshal(data)
	}
	b, err := protoJSON.Marshal(m)
	if err != nil {
		return nil, err
	}
	// protojson varies its white space on purpose; programs that compare output should not notice.
	var raw json.RawMessage = b
	return json.Marshal(raw)
}

// list prints messages as a JSON array, or as a table with that head.
func list[T proto.Message](a *app, items []T, head string, row func(T) string) error {
	if a.json {
		raw := make([]json.RawMessage, len(items))
		for i, m := range items {
			b, err := marshal(m)
			if err != nil {
				return err
			}
			raw[i] = b
		}
		return a.printJSONTo(a.stdout, raw)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, head)
	for _, m := range items {
		fmt.Fprintln(w, row(m))
	}
	return w.Flush()
}

// cells joins the cells of a table's row; what people named is made safe to print.
func cells(values ...any) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = printable(fmt.Sprint(v))
		if texts[i] == "" {
			texts[i] = "-"
		}
	}
	return strings.Join(texts, "\t")
}

// printable escapes what could confuse a terminal: control characters and bytes that are not UTF-8.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\ufffd' }) {
		q := fmt.Sprintf("%q", s)
		return q[1 : len(q)-1]
	}
	return s
}

// size formats bytes.
func size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/1000, 0
	for v >= 999.95 && unit < 4 {
		v /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", v, "kMGTP"[unit])
}

func when(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Local().Format(time.DateTime)
}

// word returns the last part of an enumeration value's name, as people say it.
func word(v fmt.Stringer, prefix string) string {
	return strings.ToLower(strings.TrimPrefix(v.String(), prefix))
}
