package libburn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/drive/mmc"
)

// Burner records onto the disc in one drive.
type Burner struct {
	// Program is cdrskin; empty means DefaultProgram.
	Program string
	// Device is as cdrskin wants it: "/dev/sr0".
	Device string
	// Speed is in multiples of the medium's single speed; 0 leaves it to the drive.
	Speed float64
	// Grace is how long cdrskin may take to end after it was told to; 0 means two minutes, in which it lets the drive finish
	// what it holds.
	Grace time.Duration
	// Emulated allows pseudo-drives, "stdio:/path", as tests use them.
	Emulated bool
}

var _ mmc.Burner = (*Burner)(nil)

const defaultGrace = 2 * time.Minute

// args is the command line. The size is always given and nothing padded, whatever the program's defaults become: of an image
// without a known size it would take a broken one for a short one.
func (b *Burner) args(image mmc.Image) []string {
	args := []string{
		"-v", "dev=" + b.Device, "fs=64m", "padsize=0", "tsize=" + strconv.FormatInt(image.Size/2048, 10) + "s",
		"--pacifier_with_newline", mode(image.Type),
	}
	if b.Speed > 0 {
		args = append(args, "speed="+strconv.FormatFloat(b.Speed, 'f', -1, 64))
	}
	if image.SpareAreas && image.Type == "BD-R" {
		args = append(args, "blank=format_defectmgt")
	}
	if b.Emulated {
		args = append(args, "--allow_emulated_drives")
	}
	return append(args, "-")
}

// mode is how the track is opened. A CD's has to be recorded at once: otherwise it ends with two sectors that can't be read,
// and that the drive counts nevertheless. DVD-R want it, DVD+R and BD-R have no use for it.
func mode(medium string) string {
	switch medium {
	case "CD-R", "CD-RW", "DVD-R", "DVD-R DL":
		return "-sao"
	}
	return "-tao"
}

// Burn follows mmc.Burner. At the end of ctx cdrskin is told to stop, and is waited for.
func (b *Burner) Burn(ctx context.Context, image mmc.Image, progress func(written int64)) error {
	program := b.Program
	if program == "" {
		program = DefaultProgram
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	c := exec.Command(program, b.args(image)...)
	// A Ctrl-C meant for us must not reach it: whether a burn is broken off is decided here.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r := &report{}
	c.Stderr = r
	stdin, err := c.StdinPipe()
	if err != nil {
		return b.refused(err.Error())
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		return b.refused(err.Error())
	}
	if err := c.Start(); err != nil {
		return b.refused(fmt.Sprintf("%v: nothing was recorded", err))
	}
	feed := &feeder{from: image, size: image.Size, done: make(chan struct{})}
	go feed.run(stdin)
	stop := b.stopAt(ctx, c)
	said := lines(stdout, func(line string) {
		if r.line(line) && ctx.Err() == nil {
			// It may have all of it in its memory only.
			progress(min(r.mib<<20, image.Size-2048))
		}
	})
	err = c.Wait()
	stop()
	<-feed.done
	return b.verdict(ctx, r, feed, errors.Join(err, said))
}

// stopAt sends SIGTERM when ctx ends, and SIGKILL when that has not helped. The function that it returns ends the watch.
func (b *Burner) stopAt(ctx context.Context, c *exec.Cmd) (stop func()) {
	ended, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-ended:
			return
		case <-ctx.Done():
		}
		c.Process.Signal(syscall.SIGTERM)
		grace := b.Grace
		if grace == 0 {
			grace = defaultGrace
		}
		late := time.NewTimer(grace)
		defer late.Stop()
		select {
		case <-ended:
		case <-late.C:
			c.Process.Kill()
			<-ended
		}
	}()
	return func() {
		close(ended)
		<-watched
	}
}

// verdict says what became of a burn. The exit code is necessary for success and not sufficient: cdrskin cuts what is too
// long and says nothing, so that the bytes are counted here.
func (b *Burner) verdict(ctx context.Context, r *report, feed *feeder, err error) error {
	if feed.readErr != nil {
		return fmt.Errorf("the image ends after %d of %d bytes: %w", feed.fed, feed.size, feed.readErr)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("broken off: %w", context.Cause(ctx))
	}
	detail := r.trouble()
	sector := feed.fed / 2048
	if m := writeText.FindStringSubmatch(detail); m != nil {
		sector, _ = strconv.ParseInt(m[1], 10, 64)
	}
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil && r.done && feed.fed == feed.size:
		return nil
	case err == nil:
		return b.failed(robot.ErrWrite, sector, fmt.Sprintf("it ended without a word after it had taken %d of %d bytes", feed.fed, feed.size))
	case !exited:
		return b.failed(robot.ErrWrite, sector, err.Error())
	case exit.ExitCode() < 0:
		return b.failed(robot.ErrWrite, sector, fmt.Sprintf("it was killed (%v); %s", exit, detail))
	case exit.ExitCode() == 2 || exit.ExitCode() == 3:
		return b.refused(fmt.Sprintf("it can't use the drive (exit code %d): nothing was recorded; %s", exit.ExitCode(), detail))
	}
	if r.mib == 0 && strings.Contains(detail, "does not fit on media") {
		// It has compared the sizes, and stopped there.
		return b.failed(robot.ErrTooLarge, 0, detail)
	}
	kind := robot.ErrWrite
	if strings.Contains(detail, "Lost connection") || strings.Contains(detail, "host problem") {
		kind = robot.ErrDriveFault // unplugged
	}
	if m := senseText.FindStringSubmatch(detail); m != nil && m[1] == "4" {
		kind = robot.ErrDriveFault
	}
	return b.failed(kind, sector, fmt.Sprintf("exit code %d; %s", exit.ExitCode(), detail))
}

func (b *Burner) failed(kind error, sector int64, detail string) error {
	return &robot.Error{Op: "burn with cdrskin on " + b.Device, Kind: kind, Sector: sector, Detail: detail}
}

// refused is for what the program could not begin with: the disc is as it was.
func (b *Burner) refused(detail string) error {
	return &robot.Error{Op: "burn with cdrskin on " + b.Device, Kind: robot.ErrDriveFault, Detail: detail, Untouched: true}
}

// feeder hands the image over.
type feeder struct {
	from io.Reader
	size int64

	done    chan struct{} // closed when all else may be read
	fed     int64
	readErr error // of the image
}

// feedBuffer is how many bytes are handed over at a time.
const feedBuffer = 1 << 20

func (f *feeder) run(to io.WriteCloser) {
	defer close(f.done)
	defer to.Close()
	buf := make([]byte, feedBuffer)
	for f.fed < f.size {
		p := buf[:min(int64(len(buf)), f.size-f.fed)]
		n, err := io.ReadFull(f.from, p)
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		f.readErr = err
		written, writeErr := to.Write(p[:n])
		f.fed += int64(written)
		if err != nil || writeErr != nil {
			return
		}
	}
}
