package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxJobs is how many files may be read at a time: more only wait for each other.
const maxJobs = 1024

// checkJobs refuses a number of files to read at a time that can't be meant. 0 is one for each processor.
func checkJobs(n int) error {
	if n < 0 || n > maxJobs {
		return fmt.Errorf("--jobs %d: want 1 to %d files at a time, or 0 for one for each processor", n, maxJobs)
	}
	return nil
}

// parseNumber takes the number of a slot or drive, which are counted from 1.
func parseNumber(s string) (int32, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 32)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is no number of a slot or drive: they are counted from 1", s)
	}
	return int32(n), nil
}

// checkWait refuses times that the wire, which counts seconds, would make something else of. 0 stays what it is.
func checkWait(flag string, d time.Duration) error {
	if d < 0 || d > 0 && d < time.Second {
		return fmt.Errorf("--%s %v: want at least a second", flag, d)
	}
	return nil
}
