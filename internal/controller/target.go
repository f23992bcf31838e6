package controller

import (
	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/library/postgres"
)

// targetFor returns the blanks for which the images of a vault are planned that wants BD-R with spare areas, or without: of those that suit it
// there are most. Capacity is how many sectors an image can have on them, and 0 when there are none.
func targetFor(spare bool, targets []postgres.Target) (t postgres.Target, capacity int64) {
	for _, t := range targets {
		switch {
		case t.Blanks <= 0:
		case spare:
			return t, archive.WithSpareAreas(t.Medium, t.Capacity)
		case !archive.HasSpareAreas(t.Medium, t.Capacity):
			return t, t.Capacity
		}
	}
	return t, 0
}
