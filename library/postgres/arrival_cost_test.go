package postgres

import (
	"testing"
	"time"

	"github.com/odarchive/odarchive/library"
)

// A content that comes back among thousands costs what it costs among hundreds, also in a session whose plans were made for a few.
func TestArrivalsCostWhatTheyAre(t *testing.T) {
	const few, many = 250, 8192
	// arrive brings back few contents ten times and then the rest, and says what one content cost in the quickest of the ten and in the rest.
	arrive := func(contents int) (amongFew, amongMany float64) {
		f := newShelf(t, open(t), contents)
		ref := f.reading()
		each := func(from, n int) float64 {
			began := time.Now()
			f.cached(ref, "", f.contents[from:from+n]...)
			return time.Since(began).Seconds() / float64(n)
		}
		amongFew = each(0, few)
		for n := few; n < 10*few; n += few {
			amongFew = min(amongFew, each(n, few))
		}
		amongMany = each(10*few, contents-10*few)
		if _, _, state := f.arrivals(0); state != library.Succeeded {
			t.Fatalf("the retrieval is %s", state)
		}
		return amongFew, amongMany
	}
	var least, most float64
	for range 3 { // the machine may have looked away for a while
		least, _ = arrive(11 * few)
		if _, most = arrive(10*few + many); most < 4*least {
			return
		}
	}
	t.Errorf("each of %d contents costs %.1f times what each of %d does", many, most/least, few)
}
