package archive

// spared are the sectors of BD-R without spare areas, and with those that a drive makes when nobody says how large (READ FORMAT CAPACITIES
// of drives in use, for one to four layers).
var spared = map[int64]int64{12_219_392: 11_826_176, 24_438_784: 23_652_352, 48_878_592: 47_305_728, 62_500_864: 60_403_712}

// WithSpareAreas is how many sectors of a blank of a medium are for data once it is formatted with spare areas. Only BD-R can have
// them. Of a size that is not among the usual ones it takes off as large a part, 1/31, down to whole clusters of 32 sectors; of one that
// has them already it takes nothing.
func WithSpareAreas(medium string, sectors int64) int64 {
	if medium != "BD-R" || HasSpareAreas(medium, sectors) {
		return sectors
	}
	if n, ok := spared[sectors]; ok {
		return n
	}
	return max(sectors-(sectors+30)/31, 0) / 32 * 32
}

// HasSpareAreas says whether a blank of a medium with so many sectors has been formatted with spare areas already: no BD-R is made in
// the sizes that this leaves.
func HasSpareAreas(medium string, sectors int64) bool {
	if medium != "BD-R" {
		return false
	}
	for _, with := range spared {
		if sectors == with {
			return true
		}
	}
	return false
}
