package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/odarchive/odarchive/internal/agent/journal"
	"github.com/odarchive/odarchive/internal/found"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// Survey has the robot bring every disc to a drive once, when the catalogue is lost and no controller can say what to do: it copies of each disc of
// ours what a rebuild reads of it, puts the disc back, and notes what lies in each slot. What was found is in a folder (internal/found), so
// that it may be broken off anywhere: the next run goes on. No agent may run meanwhile.
type Survey struct {
	Config Config
	Dir    string       // where it keeps what it finds
	Log    *slog.Logger `json:"-"` // nil means slog.Default
	// Slots says which slots to look into; nil means all.
	Slots func(n int) bool `json:"-"`
	// Again has all slots looked into, also those that were: other discs lie there now. Discs of which there is an excerpt are not copied again.
	Again bool
	// Lost says that the discs that their sets name and that nobody has found are lost: the others of those sets are loaded once more, for
	// what gives the lost ones back.
	Lost bool
	// Told, when not nil, is told of each slot when it is known what lies there, by one goroutine at a time.
	Told func(SurveyedSlot) `json:"-"`
	// Abort, when closed, ends Run without the discs being put back.
	Abort <-chan struct{} `json:"-"`

	// For the tests of this package.
	changer robot.Changer
	drives  map[int]robot.Drive
}

// SurveyedSlot is what was found in a slot, and how far the survey is.
type SurveyedSlot struct {
	found.Slot
	// Bytes is how much was copied of the disc; 0 when that was not needed. Doubts are what could not be copied, or makes no sense.
	Bytes  int64
	Doubts []string
	// Done slots of Total have been looked into, and Left is how long the others will take; 0 when nobody can tell yet.
	Done, Total int
	Left        time.Duration
}

// Surveyed is what a survey has come to.
type Surveyed struct {
	Slots map[found.State]int // how many slots hold what, of all that were ever looked into
	Discs int                 // of which there are excerpts
	// Unreadable slots hold discs that can't be read; Doubtful ones discs of which not all that a rebuild needs could be read. The next run tries
	// them again.
	Unreadable, Doubtful []int
	// Unknown slots were to be looked into and were not; Troubles say why.
	Unknown  []int
	Troubles []string
	// Missing are the discs that their sets name and that were not found.
	Missing []MissingDisc
	Took    time.Duration
}

// MissingDisc is a disc that its set names and that was not found.
type MissingDisc struct {
	Set   string `json:"set"`
	Image string `json:"image"`
	Label string `json:"label"`
	// Recovered says that what a rebuild needs of it is there all the same: its set gives it.
	Recovered bool `json:"recovered"`
}

// surveying is a survey that runs.
type surveying struct {
	*agent
	*Survey
	folder *found.Folder
	// stop ends when the survey is to end with its discs put back.
	stop  context.Context
	hands *careful
	// slots and bays are what the robot says of them, homes where the discs in drives belong as far as only journals know.
	slots, bays map[int]robot.Element
	homes       map[int]int

	guard sync.Mutex // of what follows
	last  int64      // task
	// loaded are the moves that have brought the discs that are in drives.
	loaded      map[int]*pb.TaskRef
	lists       map[string]bool // of archives that are whole in some excerpt
	begun       time.Time
	done, total int
	troubles    []string
}

// Run surveys until all slots were looked into or ctx ends. Then what is being read is broken off, and discs are put back.
func (s *Survey) Run(ctx context.Context) (_ *Surveyed, err error) {
	r := &resources{}
	defer func() { err = errors.Join(err, r.close()) }()
	m := Main{Config: s.Config, Log: s.Log, Changer: s.changer, Drives: s.drives}
	a := &agent{name: s.Config.Name, library: s.Config.Library, log: s.Log, running: map[int64]*work{}, bays: map[int32]*bay{}, woken: make(chan struct{}, 1)}
	if a.log == nil {
		a.log = slog.Default()
	}
	if err := m.openData(a, r); err != nil {
		return nil, err
	}
	folder, err := found.Open(s.Dir, s.Config.Library)
	if err != nil {
		return nil, err
	}
	r.add(folder.Close)
	if err := m.openMachine(ctx, a, r); err != nil {
		return nil, err
	}
	hard, end := untilAborted(ctx, s.Abort)
	defer end()
	stop, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	a.hard, a.fail = hard, fail
	y := &surveying{
		agent: a, Survey: s, folder: folder, stop: stop, homes: map[int]int{}, loaded: map[int]*pb.TaskRef{}, lists: map[string]bool{}, begun: time.Now(),
	}
	if err := y.remember(r); err != nil {
		return nil, err
	}
	return y.run()
}

// remember finds out what came of moves that were broken off: of an agent's, and of an earlier survey's, which has a journal of its own because
// no controller knows its tasks.
func (s *surveying) remember(r *resources) error {
	if err := s.recover(s.hard); err != nil {
		return err
	}
	s.recall(false)
	dir := filepath.Join(s.Config.Data, "survey")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("open the survey's journal: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open the survey's journal: %w", err)
	}
	r.add(root.Close)
	own, _, err := journal.Open(root)
	if err != nil {
		return err
	}
	r.add(own.Close)
	s.journal = own
	if err := s.recover(s.hard); err != nil {
		return err
	}
	s.recall(true)
	return nil
}

// recall takes from the journal which slots the discs in drives come from. With mine the entries are a survey's own.
func (s *surveying) recall(mine bool) {
	for _, r := range s.journal.Results() {
		m := s.journal.Entry(r.GetRef().GetId()).Begun.GetMove()
		from, to := addressOf(m.GetFrom()), addressOf(m.GetTo())
		arrived := r.GetMove() == pb.MoveOutcome_MOVE_OUTCOME_MOVED || r.GetMove() == pb.MoveOutcome_MOVE_OUTCOME_UNKNOWN
		switch {
		case !arrived:
		case to.Kind == robot.DriveBay && from.Kind == robot.Slot:
			s.homes[to.Number] = from.Number
		case from.Kind == robot.DriveBay && r.GetMove() == pb.MoveOutcome_MOVE_OUTCOME_MOVED:
			delete(s.homes, from.Number)
		}
		if mine {
			s.last = max(s.last, r.GetRef().GetId())
			s.settled(r, from, to)
		}
	}
}

// run looks into the slots, and then into sets that lack discs.
func (s *surveying) run() (*Surveyed, error) {
	elements, err := s.inventory(s.stop)
	if err != nil {
		return nil, err
	}
	s.slots, s.bays = map[int]robot.Element{}, map[int]robot.Element{}
	for _, e := range elements {
		switch e.Address.Kind {
		case robot.Slot:
			s.slots[e.Address.Number] = e
		case robot.DriveBay:
			s.bays[e.Address.Number] = e
			if e.Home.Kind == robot.Slot {
				s.homes[e.Address.Number] = e.Home.Number
			}
		}
	}
	s.hands = newCareful(s.agent.changer, func(from, to robot.Address) int {
		if from.Kind != robot.Slot {
			from = to
		}
		s.guard.Lock()
		defer s.guard.Unlock()
		return s.slots[from.Number].Unit
	})
	s.agent.changer = s.hands
	if s.Again {
		if err := s.folder.Forget(); err != nil {
			return nil, err
		}
	}
	for _, d := range s.folder.Discs() {
		for _, l := range d.Lists {
			s.lists[l] = true
		}
	}
	todo, err := s.todo()
	if err != nil {
		return nil, err
	}
	s.total = len(todo)
	left := s.each(todo, s.examine)
	missing, err := s.missing()
	if err != nil {
		return nil, err
	}
	if s.Lost && len(left) == 0 {
		if err := s.fromSets(missing); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	err = s.failure
	s.mu.Unlock()
	return s.result(left, missing), err
}

// todo returns the slots to look into, in ascending order. Those that the robot sees to be empty are noted.
func (s *surveying) todo() (todo []int, err error) {
	out := s.out()
	for n, e := range s.slots {
		known, done := s.folder.Slot(n)
		switch {
		case s.Slots != nil && !s.Slots(n):
		case e.Fill == robot.Empty && !out[n]:
			if !done || known.State != found.Empty {
				if err := s.folder.Save(found.Slot{Slot: n, Unit: e.Unit, State: found.Empty, At: time.Now().UTC()}); err != nil {
					return nil, err
				}
			}
		case !done || !s.settledSlot(known):
			todo = append(todo, n)
		}
	}
	slices.Sort(todo)
	return todo, nil
}

// out returns the slots whose discs are in drives.
func (s *surveying) out() map[int]bool {
	out := map[int]bool{}
	for n, home := range s.homes {
		if s.bays[n].Fill != robot.Empty {
			out[home] = true
		}
	}
	return out
}

// settledSlot says whether a slot need not be looked into again.
func (s *surveying) settledSlot(x found.Slot) bool {
	if x.State != found.Ours {
		return x.State != found.Unreadable
	}
	d, ok := s.folder.Disc(x.Image)
	return ok && len(d.Doubts) == 0
}

// each does something with the disc of each slot, with all drives, and returns the slots with which nothing was done.
func (s *surveying) each(todo []int, do examination) []int {
	queues := map[int]*queue{} // by unit
	for _, e := range s.bays {
		if queues[e.Unit] == nil {
			queues[e.Unit] = newQueue()
		}
	}
	out := s.out()
	var unreachable []int
	for _, n := range todo {
		switch q := queues[s.slots[n].Unit]; {
		case q == nil: // a unit without a drive
			unreachable = append(unreachable, n)
		case out[n]:
			q.stick(n)
		default:
			q.add(n)
		}
	}
	var drives sync.WaitGroup
	for _, n := range s.driveNumbers() {
		b, e := s.agent.bays[n], s.bays[int(n)]
		q := queues[e.Unit]
		if q == nil {
			s.trouble("drive %d: the robot has none of that number", n)
			continue
		}
		if b.missing() {
			s.trouble("drive %d: %s", n, b.trouble())
			continue
		}
		q.join()
		drives.Go(func() {
			defer q.leave()
			s.drive(b, q, do)
		})
	}
	drives.Wait()
	left := unreachable
	for _, q := range queues {
		left = append(left, q.left()...)
	}
	slices.Sort(left)
	return left
}

// trouble notes what an operator must know.
func (s *surveying) trouble(format string, args ...any) {
	why := fmt.Sprintf(format, args...)
	s.log.Warn("survey", "trouble", why)
	s.guard.Lock()
	defer s.guard.Unlock()
	if !slices.Contains(s.troubles, why) {
		s.troubles = append(s.troubles, why)
	}
}

// result is what the folder has now.
func (s *surveying) result(left []int, missing []MissingDisc) *Surveyed {
	r := &Surveyed{
		Slots: map[found.State]int{}, Discs: len(s.folder.Discs()), Unknown: left, Troubles: s.troubles, Missing: missing, Took: time.Since(s.begun),
	}
	for _, x := range s.folder.Slots() {
		r.Slots[x.State]++
		if x.State == found.Unreadable {
			r.Unreadable = append(r.Unreadable, x.Slot)
		}
		if d, ok := s.folder.Disc(x.Image); ok && len(d.Doubts) > 0 {
			r.Doubtful = append(r.Doubtful, x.Slot)
		}
	}
	slices.Sort(r.Unreadable)
	slices.Sort(r.Doubtful)
	return r
}
