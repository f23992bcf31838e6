package health

import (
	"slices"
	"strings"
	"time"
)

// Verdict is what all that is known of a disc comes to.
type Verdict struct {
	Grade Grade
	// Confirmed says that a second drive agrees that the disc is as bad as that. Grades up to Watch need no second drive.
	Confirmed bool
	Reason    string // why it is not healthy, in words
	At        time.Time
	// Drives are those that found it bad since it last read well, in the order in which they did.
	Drives []string
	// Failures is how many readings since then did not bring it back as it was burned.
	Failures int
}

// Judge grades a disc by its readings, which are in ascending order of time. What a disc once was it can't become again by itself: so
// a whole reading that went well clears it of all that was said before, in whichever drive that was, and every bad
// reading since counts against it. A disc is condemned (MigrateSoon or worse, and confirmed) only by two drives: its grade is then what two of
// them agree upon at least. Without readings it is Ungraded.
func Judge(readings []Reading) Verdict {
	var v Verdict
	type opinion struct {
		drive   string
		grade   Grade
		reasons []string
	}
	var bad []opinion // the newest of each drive
	failures := 0
	for k := range readings {
		r := &readings[k]
		g, reasons := r.Grade()
		switch {
		case g <= Watch && r.Whole:
			bad, failures = bad[:0], 0
			v = Verdict{Grade: g, Reason: strings.Join(reasons, "; "), At: r.At}
		case g > Watch:
			bad = slices.DeleteFunc(bad, func(o opinion) bool { return o.drive == r.Drive })
			bad = append(bad, opinion{r.Drive, g, reasons})
			v.At = r.At
			if !r.Good {
				failures++
			}
		}
	}
	if len(bad) == 0 {
		return v
	}
	worst := slices.Clone(bad)
	slices.SortStableFunc(worst, func(a, b opinion) int { return int(b.grade - a.grade) })
	said := worst[0]
	if len(worst) > 1 {
		said = worst[1]
	}
	v.Failures = failures
	v.Grade, v.Confirmed, v.Reason = said.grade, len(worst) > 1, strings.Join(said.reasons, "; ")
	for _, o := range bad {
		v.Drives = append(v.Drives, o.drive)
	}
	return v
}

// Charged returns the drives that the last reading puts at fault: it went well, and they could not read the same disc as it was
// burned, since it last went well before. Each is named once.
func Charged(readings []Reading) (drives []string) {
	if len(readings) == 0 {
		return nil
	}
	last := &readings[len(readings)-1]
	if g, _ := last.Grade(); !last.Whole || g > Watch {
		return nil
	}
	for k := len(readings) - 2; k >= 0; k-- {
		r := &readings[k]
		if g, _ := r.Grade(); r.Whole && g <= Watch {
			break
		}
		if !r.Good && r.Drive != last.Drive && !slices.Contains(drives, r.Drive) {
			drives = append(drives, r.Drive)
		}
	}
	return drives
}
