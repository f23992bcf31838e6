// Package journal is an agent's memory of what it has begun and what came of it, on its own disk. It is written
// before the act and after it, and read when the agent starts again. It knows tasks and their results by
// the names that the controller gives them, and nothing of robots.
//
// The file is made of lines that a person can read:
//
//	9e1d7f0a {"odarchive-journal":1}
//	5c0b3f6e {"begun":{"ref":{"id":"7","epoch":"1"},"move":{…}}}
//	91fd2c44 {"outcome":{"ref":{"id":"7","epoch":"1"},"move":"MOVE_OUTCOME_MOVED"}}
//	0a88b1e5 {"result":{"ref":{"id":"7","epoch":"1"},"move":"MOVE_OUTCOME_MOVED","identity":{…}}}
//	c41f0d92 {"acknowledged":{"id":"7","epoch":"1"}}
//
// Each begins with the CRC-32C of its JSON. A line is on the disk before the call that writes it returns, so that only
// the last one can be torn; that one is dropped, because nobody has acted on it.
package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// Entry is what the journal knows of a task. Nobody changes the messages.
type Entry struct {
	// Begun is the task, written before its first act that can't be undone; nil for tasks without one.
	Begun *pb.Task
	// Outcome is what an act came to when more had to be done before the Result; nil when there is none.
	Outcome *pb.TaskResult
	// Result is how the task ended; nil while it runs.
	Result *pb.TaskResult
}

// Journal is the file. Its methods may be called by several goroutines.
//
// After a failure to write, every method that writes fails with the same error: what the file holds
// is no longer certain, and nothing may be done that ought to be in it.
type Journal struct {
	// Hook, when not nil, is called before and after each record is made durable; its error counts as a failure to write.
	// It is there for tests which let the machine stop at every point.
	Hook func(written bool) error

	root    *os.Root
	mu      sync.Mutex
	file    *os.File
	size    int64
	entries map[int64]*Entry
	failed  error
}

const (
	name      = "journal"
	temporary = "journal.new"
	// largest is the size in bytes from which what has been acknowledged is dropped from the file.
	largest = 1 << 20
)

// Open reads the journal in a folder, or begins one. Torn is the number of bytes of a last record that
// was never completed and is dropped. A journal that is damaged elsewhere is an error, and is left as it is.
func Open(root *os.Root) (j *Journal, torn int, err error) {
	j = &Journal{root: root, entries: map[int64]*Entry{}}
	data, err := root.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, 0, fmt.Errorf("open journal: %w", err)
	default:
		if len(data) == 0 {
			err = errors.New("it is empty")
		} else {
			j.entries, torn, err = replay(data)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("open journal %s: %w", j.path(), err)
		}
	}
	if err := j.compact(); err != nil {
		return nil, 0, fmt.Errorf("begin journal %s: %w", j.path(), err)
	}
	return j, torn, nil
}

func (j *Journal) path() string { return j.root.Name() + "/" + name }

// Close closes the file. Everything is on the disk already.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed == nil {
		j.failed = fmt.Errorf("journal %s: %w", j.path(), os.ErrClosed)
	}
	return j.file.Close()
}

// Begin writes that a task's act begins now. When it returns an error the act must not begin.
func (j *Journal) Begin(t *pb.Task) error {
	return j.write(t, begun, func() { entry(j.entries, t.GetRef()).Begun = t })
}

// Note writes what an act came to, while the task goes on.
func (j *Journal) Note(r *pb.TaskResult) error {
	return j.write(r, outcome, func() { entry(j.entries, r.GetRef()).Outcome = r })
}

// Finish writes how a task ended. A second result for the same task replaces the first.
func (j *Journal) Finish(r *pb.TaskResult) error {
	return j.write(r, result, func() { entry(j.entries, r.GetRef()).Result = r })
}

// Acknowledge forgets a task whose result has arrived. A result of another epoch is kept.
func (j *Journal) Acknowledge(ref *pb.TaskRef) error {
	if r := j.Entry(ref.GetId()).Result; r == nil || r.GetRef().GetEpoch() != ref.GetEpoch() {
		return nil
	}
	return j.write(ref, acknowledged, func() { delete(j.entries, ref.GetId()) })
}

// Entry returns what is known of a task; all nil when nothing is.
func (j *Journal) Entry(id int64) Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	if e := j.entries[id]; e != nil {
		return *e
	}
	return Entry{}
}

// Results returns the results that nobody has acknowledged, in the order of tasks.
func (j *Journal) Results() []*pb.TaskResult {
	var results []*pb.TaskResult
	for _, e := range j.ordered() {
		if e.Result != nil {
			results = append(results, e.Result)
		}
	}
	return results
}

// Unfinished returns the tasks that were begun and have no result, in the order of tasks.
func (j *Journal) Unfinished() []Entry {
	return slices.DeleteFunc(j.ordered(), func(e Entry) bool { return e.Begun == nil || e.Result != nil })
}

func (j *Journal) ordered() []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []Entry
	for _, id := range slices.Sorted(maps.Keys(j.entries)) {
		all = append(all, *j.entries[id])
	}
	return all
}

// write makes a record durable and then does what it says.
func (j *Journal) write(m proto.Message, as func([]byte) record, do func()) error {
	text, err := field(m)
	if err == nil {
		err = named(m)
	}
	if err != nil {
		return fmt.Errorf("journal %s: %w", j.path(), err)
	}
	line, err := as(text).line()
	if err != nil {
		return fmt.Errorf("journal %s: %w", j.path(), err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed != nil {
		return j.failed
	}
	if err := j.append(line); err != nil {
		j.failed = fmt.Errorf("journal %s: %w", j.path(), err)
		return j.failed
	}
	do()
	return nil
}

func (j *Journal) append(line []byte) error {
	if j.size+int64(len(line)) > largest {
		if err := j.compact(); err != nil {
			return err
		}
	}
	if err := j.hook(false); err != nil {
		return err
	}
	n, err := j.file.Write(line)
	j.size += int64(n)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		return err
	}
	return j.hook(true)
}

func (j *Journal) hook(written bool) error {
	if j.Hook == nil {
		return nil
	}
	return j.Hook(written)
}
