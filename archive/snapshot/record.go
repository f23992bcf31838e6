package snapshot

import (
	"fmt"
	"time"

	"github.com/odarchive/odarchive/archive"
)

// Record is a row of the catalogue: a *Vault, *Library, *Set, *Image, *Disc, *Archive, *Reading or *Step. Records of one kind with the same
// key tell of the same thing.
type Record interface {
	// Kind is its name in a snapshot.
	Kind() string
	// Key is what names it among its kind.
	Key() string

	validate() error
}

// Kinds are the kinds of records in the order in which they are written: what is most needed comes first, since one that has no room for all is
// cut.
var Kinds = []string{"vault", "library", "set", "image", "disc", "archive", "step", "reading"}

func record(kind string) Record {
	switch kind {
	case "vault":
		return &Vault{}
	case "library":
		return &Library{}
	case "set":
		return &Set{}
	case "image":
		return &Image{}
	case "disc":
		return &Disc{}
	case "archive":
		return &Archive{}
	case "step":
		return &Step{}
	case "reading":
		return &Reading{}
	}
	return nil
}

// Vault is a vault and its policy.
type Vault struct {
	ID         string    `json:"id"` // UUID
	Name       string    `json:"name"`
	Created    time.Time `json:"created"`
	Copies     int       `json:"copies"`           // discs that carry each image
	MaxWait    int64     `json:"max_wait_seconds"` // that an archive waits for its discs; 0: any time
	Roots      int       `json:"roots"`            // of the error correction inside each disc; 0: none
	SpareAreas bool      `json:"spare_areas"`      // its BD-R are formatted with them
	Scrub      int64     `json:"scrub_seconds"`    // every disc is read as a whole once in this time
	// SetData discs share the parity on SetParity others; 0 and 0: no sets. A set that isn't full is closed after SetWait seconds.
	SetData   int   `json:"set_data"`
	SetParity int   `json:"set_parity"`
	SetWait   int64 `json:"set_wait_seconds"`
	// HealAt is the grade from which on its discs are replaced without anybody's word: migrate_soon or migrate_now; empty for none.
	HealAt string `json:"heal_at,omitempty"`
	// Together says that all copies of an image are made in one library, even where there are several.
	Together bool `json:"together,omitempty"`
}

// Library is a robot with its discs.
type Library struct {
	ID    string `json:"id"` // UUID
	Name  string `json:"name"`
	Model string `json:"model,omitempty"`
	// EvacuationLimit is the longest that reading all of its discs may take, in seconds; 0: any time.
	EvacuationLimit int64 `json:"evacuation_limit_seconds"`
}

// Set is a disc set: images that share parity.
type Set struct {
	ID       string     `json:"id"` // UUID
	Vault    string     `json:"vault"`
	Library  string     `json:"library"`
	Medium   string     `json:"medium"`
	Capacity int64      `json:"capacity"` // sectors
	Data     int        `json:"data"`     // images at most
	Parity   int        `json:"parity"`   // images
	State    string     `json:"state"`    // open, closed, sealed
	Created  time.Time  `json:"created"`
	Closed   *time.Time `json:"closed,omitempty"`
	// Parities are its parity images, chosen when it is closed.
	Parities []Numbered `json:"parities,omitempty"`
}

// Numbered is an image by id and number.
type Numbered struct {
	ID     string `json:"id"` // UUID
	Number int64  `json:"number"`
}

// Image is the sectors that one or more discs carry. Its id is the identity that is read off them.
type Image struct {
	ID      string        `json:"id"`     // UUID
	Number  int64         `json:"number"` // makes the disc's label: OD_ and six digits
	Vault   string        `json:"vault"`
	Library string        `json:"library"`
	Medium  string        `json:"medium"`
	Sectors int64         `json:"sectors"`
	Layer   int64         `json:"layer_sectors,omitempty"` // of each layer of its error correction
	Data    int64         `json:"data_sectors,omitempty"`  // without its error correction
	SHA256  *archive.Hash `json:"sha256,omitempty"`        // of all sectors; missing while it was not built
	Created time.Time     `json:"created"`
	Copies  int           `json:"copies"`          // discs that must carry it
	Safe    *time.Time    `json:"safe,omitempty"`  // when so many had been verified
	Set     string        `json:"set,omitempty"`   // UUID
	Index   *int          `json:"index,omitempty"` // in the set; from its data on they are parity images
}

// Disc is one physical medium that is or was used. Blank ones are not told of.
type Disc struct {
	Label     string     `json:"label"` // in the library's catalogue; what the disc itself says is its image's
	Library   string     `json:"library"`
	Medium    string     `json:"medium"`
	Capacity  int64      `json:"capacity"`        // sectors
	State     string     `json:"state"`           // burning, verifying, good, suspect, retired, spoiled
	Image     string     `json:"image,omitempty"` // UUID
	Reason    string     `json:"reason,omitempty"`
	Recorded  int64      `json:"recorded"` // sectors
	Burned    *time.Time `json:"burned,omitempty"`
	Verified  *time.Time `json:"verified,omitempty"`
	Lot       string     `json:"lot,omitempty"`      // batch: discs that were bought together
	MediaID   string     `json:"media_id,omitempty"` // who made it, and as what
	Spare     bool       `json:"spare_areas,omitempty"`
	Grade     string     `json:"grade,omitempty"` // healthy, watch, migrate_soon, migrate_now
	Why       string     `json:"grade_reason,omitempty"`
	Confirmed bool       `json:"grade_confirmed,omitempty"` // by a second drive or an operator
	Graded    *time.Time `json:"graded,omitempty"`
	Failed    *time.Time `json:"failed,omitempty"`    // when it could not be read as a whole any more
	ScrubDue  *time.Time `json:"scrub_due,omitempty"` // when its next whole reading should be done
	// What an operator said of it, and when.
	Word     string     `json:"operator_grade,omitempty"`
	WordWhy  string     `json:"operator_reason,omitempty"`
	WordTime *time.Time `json:"operator_judged,omitempty"`
}

// Archive is an archive and where it stands.
type Archive struct {
	ID          string       `json:"id"` // UUID
	Vault       string       `json:"vault"`
	Name        string       `json:"name"`
	Description string       `json:"description,omitempty"`
	RootHash    archive.Hash `json:"root_hash"`
	Entries     int64        `json:"entries"`
	Bytes       int64        `json:"bytes"`
	Sealed      time.Time    `json:"sealed"`
	State       string       `json:"state"` // staged, planned, safe, deleting, deleted
	Safe        *time.Time   `json:"safe,omitempty"`
}

// Step is what was done, or concluded, about a disc.
type Step struct {
	Disc   string    `json:"disc"` // label
	At     time.Time `json:"at"`
	Step   string    `json:"step"`
	Drive  int       `json:"drive,omitempty"`
	Detail string    `json:"detail,omitempty"`
}

// Reading is one finished reading of a disc. Counts are of sectors unless they say otherwise.
type Reading struct {
	Disc       string    `json:"disc"` // label
	Library    string    `json:"library"`
	Drive      int       `json:"drive"`
	What       string    `json:"what"` // scrub: all of the disc; read: what a restore wanted
	Begun      time.Time `json:"begun"`
	Finished   time.Time `json:"finished"`
	Good       bool      `json:"good"`
	Error      string    `json:"error,omitempty"`
	Sectors    int64     `json:"sectors"`
	Done       int64     `json:"done"`
	Seconds    float64   `json:"seconds"`
	Retries    int64     `json:"retries,omitempty"`
	Recovered  int64     `json:"recovered,omitempty"`
	Unreadable int64     `json:"unreadable,omitempty"`
	Disagreed  int64     `json:"disagreed,omitempty"`
	Repaired   int64     `json:"repaired,omitempty"`
	Wrong      int64     `json:"wrong,omitempty"`
	WorstRow   int       `json:"worst_row,omitempty"`
	Roots      int       `json:"roots,omitempty"`
	Slowest    float64   `json:"slowest,omitempty"` // times as long as its place explains
	Slow       int       `json:"slow,omitempty"`    // regions that took twice as long
	Metric     string    `json:"metric,omitempty"`
	Measured   *float64  `json:"measured,omitempty"`
	// Regions are those with something to tell: others have nothing but the time that they took.
	Regions []Region `json:"regions,omitempty"`
}

// Region is an equal part of a disc in a reading.
type Region struct {
	Number     int     `json:"number"`
	First      int64   `json:"first"`
	Sectors    int64   `json:"sectors"`
	Drive      int     `json:"drive"`
	Seconds    float64 `json:"seconds"`
	Retries    int64   `json:"retries,omitempty"`
	Recovered  int64   `json:"recovered,omitempty"`
	Unreadable int64   `json:"unreadable,omitempty"`
	Disagreed  int64   `json:"disagreed,omitempty"`
	Repaired   int64   `json:"repaired,omitempty"`
	Errors     int64   `json:"errors,omitempty"`
	Sense      string  `json:"sense,omitempty"`
}

// Kind implements Record.
func (*Vault) Kind() string { return "vault" }

// Kind implements Record.
func (*Library) Kind() string { return "library" }

// Kind implements Record.
func (*Set) Kind() string { return "set" }

// Kind implements Record.
func (*Image) Kind() string { return "image" }

// Kind implements Record.
func (*Disc) Kind() string { return "disc" }

// Kind implements Record.
func (*Archive) Kind() string { return "archive" }

// Kind implements Record.
func (*Step) Kind() string { return "step" }

// Kind implements Record.
func (*Reading) Kind() string { return "reading" }

// Key implements Record: the UUID.
func (v *Vault) Key() string { return v.ID }

// Key implements Record: the UUID.
func (l *Library) Key() string { return l.ID }

// Key implements Record: the UUID.
func (s *Set) Key() string { return s.ID }

// Key implements Record: the UUID.
func (i *Image) Key() string { return i.ID }

// Key implements Record: the label.
func (d *Disc) Key() string { return d.Label }

// Key implements Record: the UUID.
func (a *Archive) Key() string { return a.ID }

// Key implements Record: the disc, the time and what was done.
func (s *Step) Key() string {
	return fmt.Sprintf("%s %s %s", s.Disc, s.At.UTC().Format(time.RFC3339Nano), s.Step)
}

// Key implements Record: the disc and when the reading was begun.
func (r *Reading) Key() string {
	return fmt.Sprintf("%s %s", r.Disc, r.Begun.UTC().Format(time.RFC3339Nano))
}
