package library

// FoundSlot is what a survey of a robot has found in a slot, when no catalogue knew.
type FoundSlot struct {
	Slot, Unit int
	// Image is the UUID of the image on a disc of ours; Blank says that a blank disc is there, and Empty that none is. Otherwise it is a disc that
	// nothing can be done with.
	Image        string
	Blank, Empty bool
	Medium       string // as the drive says
	Capacity     int64  // sectors
	MediaID      string
	Note         string // what it is that nothing can be done with
}
