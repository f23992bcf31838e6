package cli

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// burner burns images through a program of the system.
type burner struct {
	device, program, speed string
}

// burners are the programs that are known, in the order in which they are looked for, and what they want before the common arguments.
var burners = []struct {
	name string
	args []string
}{
	{"cdrskin", nil},
	{"xorriso", []string{"-as", "cdrecord"}},
}

// written is how both programs say how far they are (cdrskin(1), "-v").
var written = regexp.MustCompile(`Track \d+: +(\d+) of +(\d+) MB written`)

// burnPatience is how long a burner has to end by itself after an interrupt, before it is killed: it may have to close the disc.
const burnPatience = 2 * time.Minute

func (b *burner) command(ctx context.Context, image string) (*exec.Cmd, error) {
	for _, k := range burners {
		if b.program != "" && b.program != k.name {
			continue
		}
		path, err := exec.LookPath(k.name)
		if err != nil {
			continue
		}
		args := append(append([]string{}, k.args...), "-v", "dev="+b.device, "padsize=0")
		if k.name == "cdrskin" && strings.HasPrefix(b.device, "stdio:") {
			args = append(args, "--allow_emulated_drives") // a file in a drive's place (cdrskin(1))
		}
		if b.speed != "" {
			args = append(args, "speed="+b.speed)
		}
		c := exec.CommandContext(ctx, path, append(args, image)...)
		c.Cancel = func() error { return c.Process.Signal(syscall.SIGINT) }
		c.WaitDelay = burnPatience
		return c, nil
	}
	if b.program != "" {
		return nil, fmt.Errorf("%s is not installed, or not a program that is known", b.program)
	}
	return nil, errors.New("no program to burn with: install cdrskin or xorriso")
}

// burn burns an image and tells progress how many bytes of it are written.
func (b *burner) burn(ctx context.Context, image string, progress func(done, total int64)) error {
	c, err := b.command(ctx, image)
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	c.Stdout, c.Stderr = w, w
	err = c.Start()
	w.Close()
	if err != nil {
		return fmt.Errorf("burn %s: %w", image, err)
	}
	last := tail{}
	lines := bufio.NewScanner(r)
	lines.Split(scanProgress)
	for lines.Scan() {
		last.add(lines.Text())
		if m := written.FindStringSubmatch(lines.Text()); m != nil {
			done, _ := strconv.ParseInt(m[1], 10, 64)
			total, _ := strconv.ParseInt(m[2], 10, 64)
			progress(done<<20, total<<20)
		}
	}
	if err := errors.Join(c.Wait(), lines.Err()); err != nil {
		return fmt.Errorf("burn %s onto %s: %s: %w; it said: %s", image, b.device, c.Args[0], err, &last)
	}
	return nil
}

// tail keeps the last lines of a program, for an error text.
type tail struct{ lines []string }

func (t *tail) add(line string) {
	if line = strings.TrimSpace(line); line == "" || written.MatchString(line) {
		return
	}
	t.lines = append(t.lines, printable(line))
	if len(t.lines) > 5 {
		t.lines = t.lines[1:]
	}
}

func (t *tail) String() string { return strings.Join(t.lines, " | ") }

// scanProgress splits at line ends and at the carriage returns of progress.
func scanProgress(data []byte, end bool) (int, []byte, error) {
	if i := bytes.IndexAny(data, "\r\n"); i >= 0 {
		return i + 1, data[:i], nil
	}
	if end && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// verify reads the disc back and compares it with the image's hash.
func (b *burner) verify(ctx context.Context, sum string, size int64, progress func(done int64)) error {
	f, err := os.Open(strings.TrimPrefix(b.device, "stdio:"))
	if err != nil {
		return fmt.Errorf("read the disc back: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	buf := make([]byte, 1<<20)
	for done := int64(0); done < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(f, buf[:min(size-done, int64(len(buf)))])
		h.Write(buf[:n])
		done += int64(n)
		progress(done)
		if err != nil {
			return fmt.Errorf("read the disc back: after %d of %d bytes: %w", done, size, err)
		}
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != sum {
		return fmt.Errorf("the disc in %s is not what was burned: it reads as %s, the image is %s", b.device, got, sum)
	}
	return nil
}
