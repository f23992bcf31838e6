// Package dialect drives robots with piles whose protocol is a file: which commands there are, how they and their answers are
// framed, what each answer means, and how long things may take. It reads such files, says what is wrong with one and in which line, and
// makes a stack.Loader of it. It opens no port, and what a file doesn't say it doesn't do.
//
// How a file is written is told in docs/adding-a-robot.md; those in the folder builtin are examples that work.
package dialect

import (
	"bufio"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// Dialect is a protocol as its file tells it, checked.
type Dialect struct {
	Name  string `toml:"name"`  // of the robot, as a person would say it
	Facts string `toml:"facts"` // where they come from
	Line  LineMode
	Frame Frame
	// HostOpensTray is that of robot.Properties. What is left out is true: these robots serve ordinary drives.
	HostOpensTray *bool `toml:"host_opens_tray"`
	Bins          []Bin `toml:"bin"`
	Drives        []Bay `toml:"drive"`
	// Probe are questions that only a robot of this dialect answers so. They are asked before anything else.
	Probe []Step `toml:"probe"`
	// Ready are questions before each move.
	Ready []Step `toml:"ready"`
	// Clear is what is sent after a failure: it acknowledges an alarm and carries nothing.
	Clear []Step `toml:"clear"`
	// Setup is sent once for each of an owner's setup lines, when the robot says that it has forgotten them.
	Setup    *Step           `toml:"setup"`
	Question map[string]Step `toml:"question"`
	Height   *Height         `toml:"height"`
	Carry    []Carry         `toml:"carry"`
}

// LineMode is how the serial line is set up.
type LineMode struct {
	Baud     int      `toml:"baud"`
	DataBits int      `toml:"data_bits"` // 0 means 8
	Parity   parity   `toml:"parity"`
	StopBits int      `toml:"stop_bits"` // 1 or 2; 0 means 1
	RTSCTS   bool     `toml:"rtscts"`    // hardware flow control
	DTR      *bool    `toml:"dtr"`       // left as it is when left out
	RTS      *bool    `toml:"rts"`
	Pace     duration `toml:"pace"` // least pause between an answer and the next command
}

// Frame is how commands and answers begin and end. An answer has an End or a Size.
type Frame struct {
	Start      string `toml:"start"` // before each command
	End        string `toml:"end"`   // behind each command
	ReplyStart string `toml:"reply_start"`
	ReplyEnd   string `toml:"reply_end"`
	ReplySize  int    `toml:"reply_size"`  // bytes
	ReplyAlone string `toml:"reply_alone"` // characters that are answers by themselves
}

// Bin is a pile.
type Bin struct {
	Wire     string `toml:"wire"`     // how commands name it
	Capacity int    `toml:"capacity"` // discs; 0 must be configured by the owner
	Gives    bool   `toml:"gives"`
	Takes    bool   `toml:"takes"`
}

// Bay is a drive.
type Bay struct {
	Wire string `toml:"wire"`
}

// Step is a command and what its answers mean.
type Step struct {
	Send  template `toml:"send"`
	Ask   string   `toml:"ask"`   // instead of Send: a question by name
	Limit duration `toml:"limit"` // until the last answer; a step that moves the machine needs one
	Quiet duration `toml:"quiet"` // the longest silence between two answers
	Size  int      `toml:"size"`  // of the answer, when it is not Frame.ReplySize
	// Disc is where the disc of a carry lies once the step is done: "hand" or "destination"; empty when the step doesn't touch it.
	Disc    disc    `toml:"disc"`
	Replies []Reply `toml:"reply"`
}

// Reply is an answer and its meaning.
type Reply struct {
	Match pattern `toml:"match"` // of the whole answer
	Means meaning `toml:"means"`
	Ask   string  `toml:"ask"`  // of "ask": the question that tells what went wrong
	Disc  disc    `toml:"disc"` // where the disc is then, when that is known
	Words string  `toml:"words"`
}

// Height is how to ask for a pile's height.
type Height struct {
	Step
	// Empty is the value of an empty bin, and PerDisc how much it falls with each disc.
	Empty   int `toml:"empty"`
	PerDisc int `toml:"per_disc"`
}

// Carry is how a disc is carried.
type Carry struct {
	From  Place  `toml:"from"`
	To    Place  `toml:"to"`
	Steps []Step `toml:"step"`
}

// builtin are the dialects that come with the program.
//
//go:embed builtin/*.toml
var builtin embed.FS

// Builtin returns the names of the dialects that come with the program.
func Builtin() (names []string) {
	files, err := builtin.ReadDir("builtin")
	if err != nil {
		panic(err)
	}
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".toml"))
	}
	return names
}

// Load reads the dialect of a name from Builtin, or of a file whose name ends in ".toml".
func Load(name string) (*Dialect, error) {
	if strings.HasSuffix(name, ".toml") {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read dialect: %w", err)
		}
		return Parse(name, text)
	}
	text, err := builtin.ReadFile(path.Join("builtin", name+".toml"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read dialect: %q is neither a file ending in .toml nor one of %s", name, strings.Join(Builtin(), ", "))
	} else if err != nil {
		return nil, fmt.Errorf("read dialect: %w", err)
	}
	return Parse(name+".toml", text)
}

// Line carries frames to and from the robot; robot/port has one for serial lines. One goroutine uses it at a time.
type Line interface {
	// Send writes all of frame, or fails when ctx ends.
	Send(ctx context.Context, frame []byte) error
	// Receive returns the next frame that split cuts, or fails with ctx's error when it ends.
	Receive(ctx context.Context, split bufio.SplitFunc) ([]byte, error)
	// Discard drops and returns what has come and was not received.
	Discard() ([]byte, error)
	// Close ends the line.
	Close() error
}

// Config is what an owner knows of his machine and a file can't.
type Config struct {
	// Capacity replaces the capacities of the bins, from the first; 0 leaves one as it is.
	Capacity []int
	// DriveWires replaces how commands name the drives, from drive 1: which is the top one differs between owners' notes.
	DriveWires []string
	// Setup are the lines that the robot forgets when it loses power.
	Setup []string
	// Speed is how many times as fast as the real machine it moves, as simulated ones do; 0 means 1.
	Speed float64
}

// apply returns the dialect of an owner's machine.
func (d *Dialect) apply(c Config) (*Dialect, error) {
	own := *d
	own.Bins, own.Drives = slices.Clone(d.Bins), slices.Clone(d.Drives)
	if len(c.Capacity) > len(own.Bins) {
		return nil, fmt.Errorf("%s: capacities of %d bins, it has %d", d.Name, len(c.Capacity), len(own.Bins))
	}
	for i, n := range c.Capacity {
		if n != 0 {
			own.Bins[i].Capacity = n
		}
	}
	for i, b := range own.Bins {
		if b.Capacity < 1 {
			return nil, fmt.Errorf("%s: how many discs bin %d holds must be configured", d.Name, i+1)
		}
	}
	if c.DriveWires != nil && len(c.DriveWires) != len(own.Drives) {
		own.Drives = make([]Bay, len(c.DriveWires))
	}
	for i, wire := range c.DriveWires {
		own.Drives[i] = Bay{wire}
		if wire == "" || slices.Index(c.DriveWires, wire) != i {
			return nil, fmt.Errorf("%s: drive %d is called %q: want a name of its own", d.Name, i+1, wire)
		}
	}
	if len(c.DriveWires) > len(d.Drives) {
		return nil, fmt.Errorf("%s: %d drives, it has up to %d", d.Name, len(c.DriveWires), len(d.Drives))
	}
	if c.Speed < 0 {
		return nil, fmt.Errorf("%s: speed %v", d.Name, c.Speed)
	}
	if c.Setup != nil && d.Setup == nil {
		return nil, fmt.Errorf("%s: it takes no setup lines", d.Name)
	}
	return &own, nil
}

// scaled is a limit of a movement on a machine that is n times as fast. A computer takes its time whatever the machine does.
func scaled(d time.Duration, n float64) time.Duration {
	if n == 0 {
		return d
	}
	return max(time.Duration(float64(d)/n), min(d, 250*time.Millisecond))
}
