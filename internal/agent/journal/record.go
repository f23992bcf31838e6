package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// version is in the first line of every journal.
const version = 1

// record is one line: exactly one of its fields is set.
type record struct {
	Version      int             `json:"odarchive-journal,omitempty"`
	Begun        json.RawMessage `json:"begun,omitempty"`   // Task
	Outcome      json.RawMessage `json:"outcome,omitempty"` // TaskResult
	Result       json.RawMessage `json:"result,omitempty"`  // TaskResult
	Acknowledged json.RawMessage `json:"acknowledged,omitempty"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumLength is the length of the checksum at the beginning of a line, and of the space behind it.
const sumLength = 8 + 1

// line is a record as it lies in the file: the CRC-32C of the JSON in hexadecimal, a space, the JSON, a line feed.
func (r record) line() ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.Checksum(text, castagnoli), text), nil
}

func begun(text []byte) record        { return record{Begun: text} }
func outcome(text []byte) record      { return record{Outcome: text} }
func result(text []byte) record       { return record{Result: text} }
func acknowledged(text []byte) record { return record{Acknowledged: text} }

// field encodes a message for a field of record.
func field(m proto.Message) ([]byte, error) {
	return protojson.Marshal(m)
}

// check returns the JSON of a line without its line feed.
func check(line []byte) ([]byte, error) {
	if len(line) < sumLength || line[sumLength-1] != ' ' {
		return nil, errors.New("no checksum")
	}
	text := line[sumLength:]
	if have := fmt.Sprintf("%08x", crc32.Checksum(text, castagnoli)); have != string(line[:sumLength-1]) {
		return nil, fmt.Errorf("its checksum is %s, want %q", have, line[:sumLength-1])
	}
	return text, nil
}

// replay reads a journal. Torn is how many bytes at the end are a record that was being written when the machine
// stopped: nobody has relied on it, and it is left out. Anything else that is not right is an error.
func replay(data []byte) (entries map[int64]*Entry, torn int, err error) {
	entries = make(map[int64]*Entry)
	for n := 1; len(data) > 0; n++ {
		line, rest, complete := bytes.Cut(data, []byte("\n"))
		text, err := check(line)
		switch {
		case !complete && n > 1, err != nil && len(rest) == 0 && n > 1:
			return entries, len(data), nil
		case !complete:
			return nil, 0, errors.New("it has no first line: it is no journal, or was cut off")
		case err != nil:
			return nil, 0, fmt.Errorf("line %d is damaged: %w", n, err)
		}
		if err := apply(entries, text, n == 1); err != nil {
			return nil, 0, fmt.Errorf("line %d: %w", n, err)
		}
		data = rest
	}
	return entries, 0, nil
}

// apply brings a record into entries.
func apply(entries map[int64]*Entry, text []byte, first bool) error {
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return err
	}
	if first != (r.Version != 0) {
		return errors.New("the version belongs into the first line, and nowhere else")
	}
	switch {
	case r.Version == version:
		return nil
	case r.Version != 0:
		return fmt.Errorf("version %d: this program reads version %d", r.Version, version)
	case r.Begun != nil:
		t := new(pb.Task)
		if err := parse(r.Begun, t); err != nil {
			return err
		}
		entry(entries, t.GetRef()).Begun = t
	case r.Outcome != nil:
		o := new(pb.TaskResult)
		if err := parse(r.Outcome, o); err != nil {
			return err
		}
		entry(entries, o.GetRef()).Outcome = o
	case r.Result != nil:
		o := new(pb.TaskResult)
		if err := parse(r.Result, o); err != nil {
			return err
		}
		entry(entries, o.GetRef()).Result = o
	case r.Acknowledged != nil:
		ref := new(pb.TaskRef)
		if err := parse(r.Acknowledged, ref); err != nil {
			return err
		}
		delete(entries, ref.GetId())
	default:
		return errors.New("a record of no known kind")
	}
	return nil
}

func parse(text json.RawMessage, m proto.Message) error {
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, m); err != nil {
		return err
	}
	return named(m)
}

// named refuses what is about no task.
func named(m proto.Message) error {
	ref, ok := m.(*pb.TaskRef)
	if r, has := m.(interface{ GetRef() *pb.TaskRef }); !ok && has {
		ref = r.GetRef()
	}
	if ref.GetId() == 0 {
		return errors.New("it names no task")
	}
	return nil
}

func entry(entries map[int64]*Entry, ref *pb.TaskRef) *Entry {
	e := entries[ref.GetId()]
	if e == nil {
		e = new(Entry)
		entries[ref.GetId()] = e
	}
	return e
}
