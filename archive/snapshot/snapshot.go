// Package snapshot is the form in which a library's catalogue lies on its parity discs: what the other discs don't say of themselves.
// Lines of JSON, compressed with Zstandard; each line is a whole row of the catalogue, so that of two that tell of the same thing the newer one
// holds. It knows nothing of how a catalogue is kept, nor of discs. The form is specified in docs/disc-format-snapshot.md.
package snapshot

import (
	"errors"
	"fmt"
	"time"

	"github.com/odarchive/odarchive/archive"
)

// Name is the name of a snapshot on a parity disc.
const Name = "snapshot.jsonl.zst"

const (
	format  = "odarchive-snapshot"
	version = 1
	// maxLine bounds a line, in bytes.
	maxLine = 1 << 20
	// window is the farthest that compression reaches back, in bytes: what RFC 8878 §3.1.1.1.2 asks of every reader, halved.
	window = 4 << 20
	// maxWindow bounds the memory that reading takes.
	maxWindow = 8 << 20
	// mostFollowing bounds the numbers of a chain that are believed.
	mostFollowing = 1 << 20
)

// ErrFull says that there is no room for another record. The snapshot can still be ended: it is cut.
var ErrFull = errors.New("the snapshot has no more room")

// Link names a snapshot.
type Link struct {
	ID     string       `json:"id"`
	SHA256 archive.Hash `json:"sha256"` // of its file, as it lies on discs
}

// Header says which snapshot it is.
type Header struct {
	ID    string    // UUID
	Taken time.Time // the moment at which all that it says was so
	// Library is the UUID of the library whose parity discs carry it. It tells of all that its controller knew, other libraries included;
	// the snapshots of one library make a chain.
	Library string
	Set     string // UUID of the disc set on whose parity discs it lies
	// Number is the place in its chain. One with the number 0 is full; any other follows one, and has only what was changed since that.
	Number  int
	Follows *Link // nil for a full one
}

// Full says that it tells of everything, and needs no other.
func (h *Header) Full() bool { return h.Follows == nil }

func (h *Header) validate() error {
	for _, id := range []string{h.ID, h.Library, h.Set} {
		if !validUUID(id) {
			return fmt.Errorf("%.60q is no UUID", id)
		}
	}
	if h.Taken.IsZero() {
		return errors.New("it doesn't say when it was taken")
	}
	if h.Number < 0 || h.Number > mostFollowing || (h.Number == 0) != (h.Follows == nil) {
		return fmt.Errorf("number %d in its chain: one that follows none has 0, any other more", h.Number)
	}
	if h.Follows != nil && (!validUUID(h.Follows.ID) || h.Follows.ID == h.ID) {
		return fmt.Errorf("it follows %.60q", h.Follows.ID)
	}
	return nil
}

// Summary is what is known of a snapshot that was written or read to its end.
type Summary struct {
	Header
	// Complete says that nothing was left out for want of room. What is left out is the end of the order in which Records are written.
	Complete bool
	Records  map[string]int64 // how many of each kind
	Bytes    int64            // of the file
	SHA256   archive.Hash     // of the file
}

// Error is an error in a snapshot itself, not in what it is read from.
type Error struct {
	Line int // of what is compressed, from 1
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("snapshot, line %d: %v", e.Line, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// headerLine and endLine are the first and the last line.
type headerLine struct {
	Format  string    `json:"format"`
	Version int       `json:"version"`
	ID      string    `json:"id"`
	Taken   time.Time `json:"taken"`
	Library string    `json:"library"`
	Set     string    `json:"set"`
	Number  int       `json:"number"`
	Follows *Link     `json:"follows,omitempty"`
}

type endLine struct {
	Kind     string           `json:"kind"`
	Complete bool             `json:"complete"`
	Records  map[string]int64 `json:"records"`
	SHA256   archive.Hash     `json:"sha256"` // of all lines before this one
}

const endKind = "end"

// validUUID says whether id is a UUID in lower case.
func validUUID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}
