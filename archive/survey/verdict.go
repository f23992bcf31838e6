package survey

import (
	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
)

// Verdict is what discs and the parity of their sets give back of an archive.
type Verdict struct {
	catalogue.Archive
	Vault string // UUID
	// Listed says that its manifest is on one of the discs, whole. Without it nothing more is known of the archive.
	Listed bool
	// Contested says that another disc claims another root hash of the same id.
	Contested      bool
	Entries, Bytes int64 // of the manifest; each content counts once for every name that is no hard link
	// Absent counts files of which bytes are nowhere, and those bytes; FromSets the files of which bytes are on none of the discs and
	// that sets give back, and those bytes. A file may count in both.
	AbsentFiles, AbsentBytes     int64
	FromSetsFiles, FromSetsBytes int64
}

// Whole says that every byte of the archive is on the discs, as far as they say.
func (v *Verdict) Whole() bool { return v.Recoverable() && v.FromSetsFiles == 0 }

// Recoverable says that every byte of the archive can be had, from discs or by the parity of their sets.
func (v *Verdict) Recoverable() bool { return v.Listed && v.AbsentFiles == 0 }

// Lack is a file that the discs don't give back whole.
type Lack struct {
	Path     string
	Content  archive.Content
	Absent   []Gap // bytes that are nowhere
	FromSets []Gap // bytes that are on none of the discs, and that sets give back
}
