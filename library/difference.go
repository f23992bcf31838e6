package library

// DifferenceKind says how something differs between the database of a library and its discs.
type DifferenceKind string

// The kinds of differences.
const (
	OnlyInDatabase DifferenceKind = "only in the database" // not on discs yet, or on none of those that were read
	OnlyOnDiscs    DifferenceKind = "only on discs"
	Differs        DifferenceKind = "differs"
)

// Difference is something that the database of a running library and its discs don't say alike.
type Difference struct {
	Noun string // vault, archive, image or set
	ID   string
	Name string
	Kind DifferenceKind
	// Database and Discs are what they say, where it differs, for people to compare.
	Database, Discs string
}
