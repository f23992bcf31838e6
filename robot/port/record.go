package port

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Direction says which way bytes went on a line.
type Direction byte

// The directions.
const (
	Sent     Direction = '>' // from us to the robot
	Received Direction = '<' // from the robot to us
)

// Recorder is given every piece of traffic in the order in which it happened; pieces are as the kernel
// cut them, not frames. It must not keep p, and the line waits for it.
type Recorder func(at time.Time, d Direction, p []byte)

// Transcript returns a Recorder that writes one line per piece, `12:24:10.031 > "1PS?P\r"`, for an operator who
// wants to see what was said. Several lines may share one. After the first error of w it writes no more:
// a full disk must not stop a robot.
func Transcript(w io.Writer) Recorder {
	var mu sync.Mutex
	var failed bool
	return func(at time.Time, d Direction, p []byte) {
		mu.Lock()
		defer mu.Unlock()
		if failed {
			return
		}
		_, err := fmt.Fprintf(w, "%s %c %q\n", at.Format("15:04:05.000"), d, p)
		failed = err != nil
	}
}
