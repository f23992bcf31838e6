package health

import "time"

// Reading is what one reading of a disc has told. Counts are of sectors of 2,048 bytes, unless they say otherwise.
type Reading struct {
	At    time.Time
	Drive string // the same for the same drive: "north/2"
	// Whole says that the whole disc was read. What a restore read of a disc can only show that the disc is worse, never that it is well.
	Whole bool
	// Good says that everything came out as it was burned, with the help of the error correction on the disc where that was needed.
	Good   bool
	Medium string // the drive's name for it, as in MMC-6 §5.3.1: "BD-R"

	Sectors    int64 // that were read
	Retries    int64 // that had to be asked for again
	Recovered  int64 // reads that the drive mastered with trouble (sense key 1)
	Unreadable int64 // that the drive gave up (sense key 3)
	Disagreed  int64 // that read one way and then another
	Repaired   int64 // that were repaired by the error correction on the disc
	Wrong      int64 // that read without an error and held other bytes than were burned
	// WorstRow is the most bad sectors that one row of the error correction had, of the Roots that it bears. Roots is 0 for a disc
	// without error correction.
	WorstRow, Roots int
	// Slowest is how many times as long the slowest region took as its place on the disc explains (robot.Signs.Slowness); 0 when
	// nobody measured. Slow is the share of regions that took twice as long and more, from 0 to 1.
	Slowest, Slow float64
	// Measured is the worst value of what the drive measures below its own correction; Metric is its name, empty for none: C1, C2,
	// PI8, BER or RSER.
	Metric   string
	Measured float64
}

// part returns n as a part of the sectors that were read.
func (r *Reading) part(n int64) float64 {
	if r.Sectors <= 0 {
		return 0
	}
	return float64(n) / float64(r.Sectors)
}
