// Package libburn records discs through libburn's cdrskin, run as a program: the image goes to its standard input, its
// progress is read from its output. It decides nothing about discs: mmc.Drive asks before whether one is blank and large
// enough, and afterwards whether it is closed.
package libburn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// DefaultProgram is looked for in PATH.
const DefaultProgram = "cdrskin"

// oldest is the first version that was tried with the messages that are read here.
var oldest = Version{1, 5, 0}

// Version of cdrskin.
type Version [3]int

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// before says whether v is older than w.
func (v Version) before(w Version) bool {
	for i := range v {
		if v[i] != w[i] {
			return v[i] < w[i]
		}
	}
	return false
}

// probeLimit is how long a program may take to say its version.
const probeLimit = 10 * time.Second

// Probe asks a program for its version and refuses what is no cdrskin or too old. Empty means DefaultProgram.
func Probe(ctx context.Context, program string) (Version, error) {
	if program == "" {
		program = DefaultProgram
	}
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "-version").CombinedOutput()
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return Version{}, fmt.Errorf("%s is not installed: discs can't be burned without it (Debian package cdrskin)", program)
	case err != nil && len(out) == 0:
		return Version{}, fmt.Errorf("ask %s for its version: %w", program, err)
	case err != nil:
		return Version{}, fmt.Errorf("ask %s for its version: %w: %s", program, err, firstLine(out))
	}
	v, ok := parseVersion(string(out))
	switch {
	case !ok:
		return Version{}, fmt.Errorf("ask %s for its version: it is no cdrskin: %s", program, firstLine(out))
	case v.before(oldest):
		return v, fmt.Errorf("%s is version %v: %v or newer is needed", program, v, oldest)
	}
	return v, nil
}

var versionLine = regexp.MustCompile(`(?m)^cdrskin version\s*:\s*(\d{1,6})\.(\d{1,6})\.(\d{1,6})`)

func parseVersion(out string) (v Version, ok bool) {
	m := versionLine.FindStringSubmatch(out)
	if m == nil {
		return v, false
	}
	for i := range v {
		v[i], _ = strconv.Atoi(m[i+1])
	}
	return v, true
}

func firstLine(b []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(b), []byte("\n"))
	return strings.ToValidUTF8(string(line[:min(len(line), 200)]), "?")
}

// report is what cdrskin says while it burns.
type report struct {
	mib  int64  // of the image that were written, by its own count
	done bool   // it says that the burn was a success
	tail []byte // of its messages
}

var (
	writtenLine = regexp.MustCompile(`^Track \d+:\s*(\d{1,9})(?: of\s+\d+)? MB written`)
	senseText   = regexp.MustCompile(`\[([0-9A-F]) ([0-9A-F]{2}) ([0-9A-F]{2})\]`)
	writeText   = regexp.MustCompile(`write\((\d{1,10}),\s*\d+\)`)
)

// line takes one line of the output, and says whether it tells of progress.
func (r *report) line(line string) (progress bool) {
	line = strings.TrimSpace(line)
	if m := writtenLine.FindStringSubmatch(line); m != nil {
		mib, _ := strconv.ParseInt(m[1], 10, 64)
		progress = mib > r.mib
		r.mib = max(r.mib, mib)
		return progress
	}
	if line == "cdrskin: burning done" {
		r.done = true
	}
	return false
}

// mostTail is how much of the messages is kept.
const mostTail = 8 << 10

// Write keeps the end of what the program says of errors.
func (r *report) Write(p []byte) (int, error) {
	r.tail = append(r.tail, p...)
	if n := len(r.tail); n > mostTail {
		r.tail = append(r.tail[:0], r.tail[n-mostTail:]...)
	}
	return len(p), nil
}

// trouble returns the messages that tell what went wrong, in one line, at most three of them.
func (r *report) trouble() string {
	var found []string
	for line := range strings.FieldsFuncSeq(string(r.tail), func(c rune) bool { return c == '\n' || c == '\r' }) {
		for _, severity := range []string{"FATAL", "FAILURE", "SORRY", "ABORT", "SCSI error"} {
			if strings.Contains(line, severity) {
				found = append(found, strings.Join(strings.Fields(strings.ToValidUTF8(line, "?")), " "))
				break
			}
		}
	}
	if len(found) > 3 {
		found = found[:3]
	}
	return strings.Join(found, "; ")
}

// lines calls each for every line of r; cdrskin ends them with CR or LF. What has no end is cut.
func lines(r io.Reader, each func(string)) error {
	const longest = 4096
	buf, line := make([]byte, 4096), []byte(nil)
	for {
		n, err := r.Read(buf)
		for _, c := range buf[:n] {
			switch {
			case c == '\r' || c == '\n':
				if len(line) > 0 {
					each(string(line))
				}
				line = line[:0]
			case len(line) < longest:
				line = append(line, c)
			}
		}
		if err != nil {
			if len(line) > 0 {
				each(string(line))
			}
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}
