package survey

import (
	"io"

	"github.com/odarchive/odarchive/archive/discset"
)

// Recover returns what gives back the discs that a set lacks, from those that are there: discs by their index in the set. The errors, by index too, say
// which of them are of no use for it.
func Recover(set *discset.Set, discs map[int]*Disc) (rec *discset.Recovery, unfit map[int]error) {
	rec = &discset.Recovery{Set: set, Images: make([]io.ReaderAt, set.Geometry.Data+set.Geometry.Parity)}
	unfit = map[int]error{}
	for index, d := range discs {
		rec.Images[index] = d.Reader()
		if d.Set == nil {
			continue
		}
		parity, err := d.ParityReader()
		if err != nil {
			unfit[index] = err
		}
		rec.Images[index] = parity
		if rec.Checks == nil {
			if rec.Checks, err = d.Checksums(); err != nil {
				unfit[index] = err
			}
		}
	}
	return rec, unfit
}
