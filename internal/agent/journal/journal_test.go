package journal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

func ref(id, epoch int64) *pb.TaskRef { return &pb.TaskRef{Id: id, Epoch: epoch} }

func moveTask(id, epoch int64) *pb.Task {
	return &pb.Task{Ref: ref(id, epoch), Work: &pb.Task_Move{Move: &pb.Move{
		From: &pb.Address{Kind: pb.ElementKind_ELEMENT_KIND_SLOT, Number: 3}, To: &pb.Address{Kind: pb.ElementKind_ELEMENT_KIND_DRIVE, Number: 1},
	}}}
}

func resultOf(id, epoch int64) *pb.TaskResult {
	return &pb.TaskResult{Ref: ref(id, epoch), Move: pb.MoveOutcome_MOVE_OUTCOME_MOVED, Error: "a\nline"}
}

func open(t *testing.T, dir string) *Journal {
	t.Helper()
	j, torn, err := tryOpen(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if torn != 0 {
		t.Errorf("%d bytes are torn", torn)
	}
	return j
}

func tryOpen(t *testing.T, dir string) (*Journal, int, error) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	j, torn, err := Open(root)
	t.Cleanup(func() {
		if j != nil {
			j.Close()
		}
		root.Close()
	})
	return j, torn, err
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestSurvivesReopening(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	noted := resultOf(2, 1)
	must(t, j.Begin(moveTask(1, 1)), j.Begin(moveTask(2, 1)), j.Note(noted), j.Begin(moveTask(3, 4)), j.Finish(resultOf(3, 4)),
		j.Finish(resultOf(4, 1)), j.Finish(resultOf(4, 2)), j.Finish(resultOf(5, 1)), j.Acknowledge(ref(5, 1)), j.Acknowledge(ref(4, 1)), j.Acknowledge(ref(9, 9)))
	for range 3 { // each Open compacts
		j = open(t, dir)
		var unfinished, results []int64
		for _, e := range j.Unfinished() {
			unfinished = append(unfinished, e.Begun.GetRef().GetId())
		}
		for _, r := range j.Results() {
			results = append(results, r.GetRef().GetId(), r.GetRef().GetEpoch())
		}
		if !slices.Equal(unfinished, []int64{1, 2}) || !slices.Equal(results, []int64{3, 4, 4, 2}) {
			t.Errorf("unfinished %v, results %v", unfinished, results)
		}
		if e := j.Entry(2); !proto.Equal(e.Outcome, noted) || !proto.Equal(e.Begun, moveTask(2, 1)) {
			t.Errorf("task 2 came back as %v", e)
		}
		if e := j.Entry(5); e != (Entry{}) {
			t.Errorf("task 5 is acknowledged and came back as %v", e)
		}
	}
}

// TestTornEverywhere cuts a journal at every byte: what lies before the last whole line is there, and nothing else.
func TestTornEverywhere(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	must(t, j.Begin(moveTask(1, 1)), j.Finish(resultOf(1, 1)), j.Begin(moveTask(2, 1)))
	whole, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	firstLine := bytes.IndexByte(whole, '\n') + 1
	for cut := range len(whole) {
		entries, torn, err := replay(whole[:cut])
		if cut > 0 && cut < firstLine {
			if err == nil {
				t.Errorf("cut at %d, in the first line: no error", cut)
			}
			continue
		}
		wholeLines := bytes.LastIndexByte(whole[:cut], '\n') + 1
		if err != nil || torn != cut-wholeLines {
			t.Errorf("cut at %d: torn %d, error %v; want %d", cut, torn, err, cut-wholeLines)
		}
		lines := max(0, bytes.Count(whole[:cut], []byte("\n"))-1)
		if begun := entries[1] != nil; begun != (lines > 0) {
			t.Errorf("cut at %d: task 1 known %v after %d lines", cut, begun, lines)
		}
	}
}

// TestFlippedEverywhere: a flipped bit is found wherever it is. In the last line it looks like a torn record.
func TestFlippedEverywhere(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	must(t, j.Begin(moveTask(1, 1)), j.Finish(resultOf(1, 1)), j.Begin(moveTask(2, 1)))
	whole, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	lastLine := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
	for at := range whole {
		data := slices.Clone(whole)
		data[at] ^= 1 << (at % 8)
		entries, torn, err := replay(data)
		switch {
		case err == nil && at < lastLine-1:
			t.Errorf("flipped byte %d: not noticed", at)
		case err != nil && !strings.Contains(err.Error(), "line"):
			t.Errorf("flipped byte %d: error %q does not say where", at, err)
		case at >= lastLine && (err != nil || torn == 0 || entries[2] != nil):
			t.Errorf("flipped byte %d, in the last line: torn %d, error %v", at, torn, err)
		}
	}
}

func TestDamageIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	must(t, j.Begin(moveTask(1, 1)), j.Begin(moveTask(2, 1)))
	path := filepath.Join(dir, name)
	data, err := os.ReadFile(path)
	must(t, err)
	at := bytes.IndexByte(data, '\n') + 20
	data[at]++
	must(t, os.WriteFile(path, data, 0o600))
	_, _, err = tryOpen(t, dir)
	if err == nil || !strings.Contains(err.Error(), "line 2 is damaged") || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
	if now, _ := os.ReadFile(path); !bytes.Equal(now, data) {
		t.Error("the damaged file was changed")
	}
}

func TestRefusesWhatIsNoJournal(t *testing.T) {
	header, err := record{Version: version}.line()
	must(t, err)
	newer, err := record{Version: version + 1}.line()
	must(t, err)
	nothing, err := record{}.line()
	must(t, err)
	noTask, err := begun([]byte(`{}`)).line()
	must(t, err)
	for _, c := range []struct{ text, want string }{
		{"", "empty"},
		{"hello\n", "line 1"},
		{string(newer), "version 2"},
		{string(nothing), "version belongs into the first line"},
		{string(header) + string(header), "version belongs into the first line"},
		{string(header) + string(nothing), "no known kind"},
		{string(header) + string(noTask), "names no task"},
	} {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(c.text), 0o600))
		if _, _, err := tryOpen(t, dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want one with %q", c.text, err, c.want)
		}
	}
}

func TestFailureIsForEver(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	full := errors.New("disk full")
	j.Hook = func(bool) error { return full }
	if err := j.Begin(moveTask(1, 1)); !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
	j.Hook = nil
	if err := j.Finish(resultOf(2, 1)); !errors.Is(err, full) {
		t.Errorf("after a failure: error %v", err)
	}
	if e := j.Entry(1); e.Begun != nil {
		t.Error("a task counts as begun though that could not be written")
	}
	if err := open(t, dir).Begin(&pb.Task{}); err == nil {
		t.Error("a task without an id was begun")
	}
}

// TestStaysSmall: what is acknowledged doesn't stay in the file of an agent that runs for years.
func TestStaysSmall(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	must(t, j.Begin(moveTask(1, 1)))
	big := resultOf(2, 1)
	big.Error = strings.Repeat("x", 100_000)
	for range 50 {
		must(t, j.Finish(big), j.Acknowledge(ref(2, 1)))
	}
	info, err := os.Stat(filepath.Join(dir, name))
	must(t, err)
	if info.Size() > largest {
		t.Errorf("the file has %d bytes", info.Size())
	}
	if e := open(t, dir).Entry(1); e.Begun == nil {
		t.Error("task 1 is forgotten")
	}
}

func FuzzReplay(f *testing.F) {
	header, err := record{Version: version}.line()
	if err != nil {
		f.Fatal(err)
	}
	text, err := field(moveTask(7, 1))
	if err != nil {
		f.Fatal(err)
	}
	line, err := begun(text).line()
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{})
	f.Add(header)
	f.Add(slices.Concat(header, line))
	f.Add(slices.Concat(header, line, line[:20]))
	f.Add(slices.Concat(header, line[:20], line))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, torn, err := replay(data)
		if err != nil {
			return
		}
		if torn > len(data) {
			t.Fatalf("%d of %d bytes are torn", torn, len(data))
		}
		again, torn2, err := replay(data[:len(data)-torn])
		if err != nil || torn2 != 0 || len(again) != len(entries) {
			t.Fatalf("without the torn end: %d entries, torn %d, error %v; had %d entries", len(again), torn2, err, len(entries))
		}
	})
}
