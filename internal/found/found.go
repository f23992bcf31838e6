// Package found keeps what a survey of a robot has found, as files in a folder: of each slot what lies in it, of each disc of ours an
// excerpt. A rebuild of the catalogue takes the folder as it is. It knows nothing of robots or of databases.
//
//	survey.json              {"odarchive-survey": 1, "library": "north"}
//	slots/slot-0012.json     what was found in slot 12
//	OD_000012-UUID.excerpt   what a rebuild needs of a disc (archive/excerpt)
//	*.part                   is being written; whoever opens the folder removes it
//
// Each file appears whole, and is durable before the call that writes it returns.
package found

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// State says what lies in a slot.
type State string

// What may lie in a slot.
const (
	Ours       State = "ours"
	Blank      State = "blank"
	Spent      State = "spent"      // a burn of it was broken off
	Foreign    State = "foreign"    // none of ours, or one that belongs to no library
	Unreadable State = "unreadable" // not even with another drive, where there is one
	Empty      State = "empty"
)

// Slot is what was found in a slot.
type Slot struct {
	Slot  int   `json:"slot"`
	Unit  int   `json:"unit"`
	State State `json:"state"`
	// Image, Label and Vault are what a disc of ours says of itself.
	Image string `json:"image,omitempty"`
	Label string `json:"label,omitempty"`
	Vault string `json:"vault,omitempty"`
	// Medium, Capacity (sectors of a blank one), Recorded (sectors) and MediaID are what the drive says of the disc.
	Medium   string    `json:"medium,omitempty"`
	Capacity int64     `json:"capacity,omitempty"`
	Recorded int64     `json:"recorded,omitempty"`
	MediaID  string    `json:"media_id,omitempty"`
	Note     string    `json:"note,omitempty"` // what is wrong, in words
	Drive    int       `json:"drive,omitempty"`
	At       time.Time `json:"at"`
}

const (
	headName  = "survey.json"
	slotsName = "slots"
	slotGlob  = "slot-*.json"
	partType  = ".part"
	// Type is how the name of an excerpt ends.
	Type = ".excerpt"
	// largest bounds a JSON file, in bytes.
	largest = 1 << 20
)

type head struct {
	Version int    `json:"odarchive-survey"`
	Library string `json:"library"`
}

// ErrNone says that a folder holds no survey.
var ErrNone = errors.New("no survey of a robot")

// Read reads what was found in the slots of a library, in their order. It returns ErrNone of a folder without a survey, and with all other slots an
// error that names those that can't be read.
func Read(dir string) (library string, slots []Slot, err error) {
	h, err := readHead(dir)
	if err != nil {
		return "", nil, err
	}
	names, err := filepath.Glob(filepath.Join(escaped(dir), slotsName, slotGlob))
	if err != nil {
		return "", nil, err
	}
	var bad []error
	for _, name := range names {
		var s Slot
		if err := readJSON(name, &s); err != nil {
			bad = append(bad, err)
			continue
		}
		if s.Slot < 1 || s.Unit < 1 {
			bad = append(bad, fmt.Errorf("%s: slot %d of unit %d", name, s.Slot, s.Unit))
			continue
		}
		slots = append(slots, s)
	}
	slices.SortFunc(slots, func(a, b Slot) int { return a.Slot - b.Slot })
	return h.Library, slots, errors.Join(bad...)
}

// escaped takes the meaning that characters have in a pattern from a folder's name.
func escaped(dir string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(dir)
}

func readHead(dir string) (h head, err error) {
	err = readJSON(filepath.Join(dir, headName), &h)
	if errors.Is(err, fs.ErrNotExist) {
		return h, ErrNone
	}
	if err == nil && h.Version != 1 {
		err = fmt.Errorf("%s: it is of version %d, this program knows 1", filepath.Join(dir, headName), h.Version)
	}
	return h, err
}

func readJSON(name string, into any) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, largest))
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
