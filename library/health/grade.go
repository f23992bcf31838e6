// Package health says what readings mean: how a disc is, whether it gets worse and when, and whether disc or drive is at fault.
// Thresholds are those of the standards where there are any, and are named as ours where there are none. It is arithmetic over what
// is handed in; it knows no clock, no database and no device.
package health

import "fmt"

// Grade is how a disc is. Larger is worse. The values are stored by name.
type Grade int

// The grades.
const (
	Ungraded    Grade = iota // nobody has read it as a whole
	Healthy                  // as good as new
	Watch                    // it shows wear; nothing need be done
	MigrateSoon              // copy it within a year (JIS Z 6017's middle class)
	MigrateNow               // copy it at once: it has lost data, or may with the next scratch
)

var gradeNames = [...]string{"", "healthy", "watch", "migrate_soon", "migrate_now"}

// String returns the grade's name as it is stored: "migrate_soon". Ungraded is empty.
func (g Grade) String() string {
	if g < 0 || int(g) >= len(gradeNames) {
		return fmt.Sprintf("grade %d", int(g))
	}
	return gradeNames[g]
}

// ParseGrade is the inverse of String.
func ParseGrade(name string) (Grade, error) {
	for g, n := range gradeNames {
		if n == name {
			return Grade(g), nil
		}
	}
	return Ungraded, fmt.Errorf("there is no grade %q", name)
}
