package rebuild_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/internal/agent"
	"github.com/odarchive/odarchive/internal/found"
	"github.com/odarchive/odarchive/internal/rebuild"
	"github.com/odarchive/odarchive/internal/rebuild/database"
	"github.com/odarchive/odarchive/robot/drive/file"
	"github.com/odarchive/odarchive/robot/sim"
	"github.com/odarchive/odarchive/robot/sim/jukebox"
)

// surveyVariable holds the configuration of a survey that a process of its own makes, to be killed.
const surveyVariable = "REBUILD_TEST_SURVEY"

// machine is a jukebox on a pty whose slots, from the first on, hold images or blanks.
type machine struct {
	testing.TB
	dir    string
	config agent.Config
	slots  int
}

// newMachine puts images into the first slots and blanks into so many behind; an image "" is a blank.
func newMachine(t testing.TB, images []string, blanks int, speed float64) *machine {
	t.Helper()
	dir, err := os.MkdirTemp("", "survey") // with a path that is short enough for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := &machine{TB: t, dir: dir, slots: len(images) + blanks}
	box := &jukebox.Main{
		Dir: filepath.Join(dir, "jukebox"), Shape: sim.Shape{Units: 1, SlotsPerUnit: 300, PlayersPerUnit: 2}, Medium: file.Medium{Type: "BD-R", Sectors: 4000},
		Blanks: m.slots, Speed: speed, Log: slog.New(slog.DiscardHandler),
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- box.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for {
		if _, err := os.Stat(filepath.Join(dir, "jukebox", "line")); err == nil {
			break
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	for i, image := range images {
		if image == "" {
			continue
		}
		b, err := os.ReadFile(image)
		if err == nil {
			err = os.WriteFile(m.disc(i+1, "image.iso"), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	m.config = agent.Config{Name: "a", Library: "site", Controller: "unix:///nowhere", Data: filepath.Join(dir, "agent")}
	m.config.Robot = agent.RobotConfig{Kind: "pioneer", Port: filepath.Join(dir, "jukebox", "line"), Model: "CAC-V3000", Units: 1, Speed: 100}
	for n := 1; n <= 2; n++ {
		m.config.Drives = append(m.config.Drives, agent.DriveConfig{Number: n, Kind: "file", Path: filepath.Join(dir, "jukebox", "drives", strconv.Itoa(n))})
	}
	return m
}

// disc is a file of the disc that was in a slot in the beginning.
func (m *machine) disc(slot int, name string) string {
	return filepath.Join(m.dir, "jukebox", "discs", fmt.Sprintf("%04d", slot), name)
}

func (m *machine) folder() string { return filepath.Join(m.dir, "survey") }

func (m *machine) hand(words ...string) string {
	m.Helper()
	answer, err := jukebox.Tell(m.Context(), filepath.Join(m.dir, "jukebox"), strings.Join(words, " "))
	if err != nil {
		m.Fatal(err)
	}
	return answer
}

// scratch makes sectors of a slot's disc unreadable.
func (m *machine) scratch(slot int, first, count int64) {
	m.Helper()
	b, err := json.Marshal(file.Faults{Unreadable: []file.SectorRun{{First: first, Count: count}}})
	if err == nil {
		err = os.WriteFile(m.disc(slot, "faults.json"), b, 0o600)
	}
	if err != nil {
		m.Fatal(err)
	}
}

// survey looks into the slots that hold anything, and two that don't.
func (m *machine) survey(change func(*agent.Survey)) (r *agent.Surveyed, told []agent.SurveyedSlot) {
	m.Helper()
	s := &agent.Survey{
		Config: m.config, Dir: m.folder(), Slots: func(n int) bool { return n <= m.slots+2 }, Log: slog.New(slog.NewTextHandler(m.Output(), nil)),
		Told: func(x agent.SurveyedSlot) { told = append(told, x) },
	}
	if change != nil {
		change(s)
	}
	r, err := s.Run(m.Context())
	if err != nil {
		m.Fatal(err)
	}
	return r, told
}

// atHome makes sure that every disc lies where it lay in the beginning.
func (m *machine) atHome() {
	m.Helper()
	var s struct {
		Slots  map[string]string
		Drives map[string]string
	}
	if err := json.Unmarshal([]byte(m.hand("status")), &s); err != nil {
		m.Fatal(err)
	}
	for n := 1; n <= m.slots; n++ {
		if got, want := s.Slots[strconv.Itoa(n)], fmt.Sprintf("%04d", n); got != want {
			m.Errorf("slot %d has disc %q, want %q: %s", n, got, want, m.hand("status"))
		}
	}
}

// rebuilt is the catalogue that places give.
func rebuilt(t testing.TB, places ...string) (dsn string, result *rebuild.Result) {
	t.Helper()
	dsn = empty(t)
	all, err := rebuild.Places(places)
	if err != nil {
		t.Fatal(err)
	}
	machines, err := rebuild.Machines(places)
	if err != nil {
		t.Fatal(err)
	}
	c, closer, err := database.Open(t.Context(), dsn, "", false)
	if err != nil {
		t.Fatal(err)
	}
	r := rebuild.Rebuild{Catalogue: c, Machines: machines}
	result, err = r.Run(t.Context(), all)
	if err = errors.Join(err, closer.Close()); err != nil {
		t.Fatal(err)
	}
	for _, d := range result.Doubts {
		t.Errorf("doubtful: %v", d)
	}
	return dsn, result
}

// placesOf are the slots as a catalogue knows them.
func placesOf(t testing.TB, dsn string) (all []string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), `
select concat_ws(' ', e.number, e.fill, coalesce(d.state::text, '-'), coalesce('image ' || i.number, d.medium, '-'), e.flag)
  from element e join library l on l.id = e.library_id left join disc d on d.id = e.disc_id left join image i on i.id = d.image_id
 where e.kind = 'slot' and (d.id is not null or e.looked > l.inventory) order by e.number`)
	if err != nil {
		t.Fatal(err)
	}
	if all, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestSurvey: what the agent copies of the discs in a robot, with all that may lie in its slots, makes the same catalogue as the images of the discs do; and
// the catalogue knows where each of them lies.
func TestSurvey(t *testing.T) {
	f := small(t, 32, discset.Geometry{Data: 3, Parity: 1})
	foreign := filepath.Join(t.TempDir(), "foreign")
	if err := os.WriteFile(foreign, bytes.Repeat([]byte("not ours"), 200_000), 0o600); err != nil {
		t.Fatal(err)
	}
	images := slices.Concat(f.images, f.parity)
	inSlots := slices.Concat(images, []string{foreign, "", f.images[1], f.images[0]})
	m := newMachine(t, inSlots, 1, 0)
	dead := len(inSlots) // a second disc of the first image
	m.scratch(dead, 0, 4000)
	m.scratch(1, 16, 20) // within what its error correction mends, and in the middle of what is copied
	r, told := m.survey(nil)
	m.atHome()
	want := map[found.State]int{found.Ours: len(images) + 1, found.Foreign: 1, found.Blank: 2, found.Unreadable: 1, found.Empty: 2}
	if fmt.Sprint(r.Slots) != fmt.Sprint(want) || r.Discs != len(images) || len(r.Unknown)+len(r.Troubles)+len(r.Missing)+len(r.Doubtful) > 0 {
		t.Errorf("the survey has come to %+v, want %v", r, want)
	}
	if !slices.Equal(r.Unreadable, []int{dead}) {
		t.Errorf("unreadable are %v", r.Unreadable)
	}
	drives := map[int]bool{}
	tried := map[int]bool{}
	for _, x := range told {
		drives[x.Drive] = true
		if x.Slot.Slot == dead {
			tried[x.Drive] = true
		}
	}
	if !drives[1] || !drives[2] || len(tried) != 2 {
		t.Errorf("drives %v were used, %v for the disc that can't be read", drives, tried)
	}
	size := int64(0)
	for _, image := range images {
		info, err := os.Stat(image)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	copied := int64(0)
	for _, x := range told {
		copied += x.Bytes
	}
	t.Logf("%d of %d bytes copied", copied, size)
	if copied == 0 || copied > size/2 {
		t.Errorf("%d bytes of %d were copied", copied, size)
	}

	direct, _ := rebuilt(t, images...)
	dsn, result := rebuilt(t, m.folder())
	if got, want := content(t, dsn), content(t, direct); !sameButBlanks(got, want) {
		t.Errorf("the catalogue from the survey is another one:\n%s", differs(got, want))
	}
	var places []string
	for i := range images {
		places = append(places, fmt.Sprintf("%d full good image %d ", i+1, number(images[i])))
	}
	n := len(images)
	places = append(places,
		fmt.Sprintf("%d full - - a disc that odarchive did not write is here", n+1),
		fmt.Sprintf("%d full blank BD-R ", n+2),
		// The second disc of an image is left to the inventory.
		fmt.Sprintf("%d full - - a disc that can't be read is here", n+4),
		fmt.Sprintf("%d full blank BD-R ", n+5), fmt.Sprintf("%d empty - - ", n+6), fmt.Sprintf("%d empty - - ", n+7))
	if got := placesOf(t, dsn); !slices.Equal(got, places) || result.Settled != len(places) {
		t.Errorf("the slots hold, as %d of them are settled,\n%s\nwant\n%s", result.Settled, strings.Join(got, "\n"), strings.Join(places, "\n"))
	}

	// Another run loads only what could not be read. Cleaned, it can be.
	if err := os.Remove(m.disc(dead, "faults.json")); err != nil {
		t.Fatal(err)
	}
	r, told = m.survey(nil)
	if len(told) != 1 || told[0].Slot.Slot != dead || told[0].State != found.Ours || len(r.Unreadable) > 0 {
		t.Errorf("the second run found %+v and has come to %+v", told, r)
	}
	m.atHome()
}

// number is that of an image by its file's name.
func number(image string) (n int) {
	fmt.Sscanf(filepath.Base(image), "OD_%d", &n)
	return n
}

// sameButBlanks compares contents without the blank discs, which only robots know of.
func sameButBlanks(got, want string) bool {
	var lines []string
	for line := range strings.SplitSeq(got, "\n") {
		if !strings.Contains(line, " blank ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n") == want
}

// surveyKilled is the process that is killed.
func surveyKilled(config string) error {
	var s agent.Survey
	if err := json.Unmarshal([]byte(config), &s); err != nil {
		return err
	}
	s.Slots = func(n int) bool { return n <= 12 }
	s.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	s.Told = func(x agent.SurveyedSlot) {
		fmt.Printf("%d:%s:%d:%s:%q\n", x.Slot.Slot, x.State, x.Drive, strings.ReplaceAll(x.Note, " ", "_"), x.Doubts)
	}
	_, err := s.Run(context.Background())
	return err
}

// TestSurveyKilled: a survey is killed again and again, wherever it is; the same command finishes it, no disc gets lost, and a disc
// that was copied is not copied again.
func TestSurveyKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	f := small(t, 0, discset.Geometry{})
	m := newMachine(t, f.images, 2, 0)
	config, err := json.Marshal(map[string]any{"Config": m.config, "Dir": m.folder()})
	if err != nil {
		t.Fatal(err)
	}
	killed, told := 0, map[string][]string{}
	for after := 60 * time.Millisecond; ; after += after / 4 {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		child := exec.CommandContext(ctx, os.Args[0])
		child.Env = append(os.Environ(), surveyVariable+"="+string(config))
		var complaints bytes.Buffer
		child.Stderr = &complaints
		out, err := child.Output()
		for _, line := range strings.Fields(string(out)) {
			slot, what, _ := strings.Cut(line, ":")
			told[slot] = append(told[slot], what)
		}
		dead := ctx.Err() != nil
		cancel()
		if err == nil {
			break
		}
		if !dead {
			t.Fatalf("%v: %s", err, complaints.String())
		}
		killed++
	}
	if killed < 3 {
		t.Errorf("it was killed %d times only", killed)
	}
	for slot, all := range told {
		if len(all) > 1 {
			t.Errorf("slot %s was looked into %d times: %v", slot, len(all), all)
		}
	}
	m.atHome()
	direct, _ := rebuilt(t, f.images...)
	dsn, _ := rebuilt(t, m.folder())
	if got, want := content(t, dsn), content(t, direct); !sameButBlanks(got, want) {
		t.Errorf("after %d kills the catalogue from the survey is another one:\n%s", killed, differs(got, want))
	}
}

// TestSurveyLost: what a disc that is in the robot no more says of itself is known from the other discs of its set, which are loaded once more for that,
// and of which far less than all is read. The catalogue is the one that their whole images give.
func TestSurveyLost(t *testing.T) {
	f := small(t, 32, discset.Geometry{Data: 3, Parity: 1})
	rest := slices.Concat(f.images[:1], f.images[2:], f.parity)
	m := newMachine(t, rest, 0, 0)
	r, _ := m.survey(nil)
	if len(r.Missing) != 1 || r.Missing[0].Recovered || number(f.images[1]) != number(r.Missing[0].Label) {
		t.Errorf("without a word about lost discs, missing are %+v", r.Missing)
	}
	m.scratch(3, 40, 3)
	r, told := m.survey(func(s *agent.Survey) { s.Lost = true })
	if len(r.Missing) != 1 || !r.Missing[0].Recovered || len(r.Troubles) > 0 {
		t.Errorf("missing are %+v, troubles are %q", r.Missing, r.Troubles)
	}
	if len(told) != 3 {
		t.Errorf("%d discs were read again, want the 3 others of the set: %+v", len(told), told)
	}
	m.atHome()
	r, told = m.survey(func(s *agent.Survey) { s.Lost = true })
	if len(told) > 0 || len(r.Missing) != 1 || !r.Missing[0].Recovered {
		t.Errorf("a third run reads %d discs again, and is missing %+v", len(told), r.Missing)
	}
	direct, _ := rebuilt(t, rest...)
	dsn, _ := rebuilt(t, m.folder())
	if got, want := content(t, dsn), content(t, direct); got != want {
		t.Errorf("the catalogue from the survey is another one:\n%s", differs(got, want))
	}
}

// TestSurveyTrouble: whatever goes wrong with the robot's moves, the survey ends, says what it has not looked into and why, and claims nothing of a slot
// that is not so; after a person has put things right, the same command finishes it.
func TestSurveyTrouble(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	m := newMachine(t, nil, 5, 0)
	for _, fault := range [][2]string{{"ZS", "E91"}, {"ZS", "E92"}, {"ZS", "lost"}, {"ZS", "power"}, {"ZR", "E93"}, {"ZR", "lost"}, {"ZR", "held"}} {
		t.Run(strings.Join(fault[:], " "), func(t *testing.T) {
			m := &machine{t, m.dir, m.config, m.slots}
			m.hand("fault", fault[0], fault[1])
			r, _ := m.survey(func(s *agent.Survey) { s.Again = true })
			if len(r.Unknown) > 0 && len(r.Troubles) == 0 {
				t.Errorf("%v were not looked into, and nobody says why", r.Unknown)
			}
			for run := 0; len(r.Unknown) > 0; run++ {
				if run == 2 {
					t.Fatalf("it does not come to its end: %+v", r)
				}
				m.hand("tidy")
				r, _ = m.survey(nil)
			}
			if r.Slots[found.Blank] != m.slots || r.Slots[found.Empty] != 2 {
				t.Errorf("it has come to %+v", r)
			}
			m.hand("tidy")
			m.atHome()
		})
	}
}
