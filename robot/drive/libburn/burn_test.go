package libburn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/drive/mmc"
)

// realProgram is cdrskin, as a user whom it lets burn onto pseudo-drives: not root.
func realProgram(t *testing.T, dir string) string {
	t.Helper()
	if _, err := exec.LookPath(DefaultProgram); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if os.Geteuid() != 0 {
		return DefaultProgram
	}
	return script(t, dir, `exec setpriv --reuid=65534 --regid=65534 --clear-groups cdrskin "$@"`)
}

// folder is one that anybody may write to.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "odarchive-libburn-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

func script(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, fmt.Sprintf("program%d", rand.Uint32()))
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func random(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

func image(b []byte, size int) mmc.Image {
	return mmc.Image{Reader: bytes.NewReader(b), Size: int64(size), Type: "BD-R"}
}

func TestBurn(t *testing.T) {
	dir := folder(t)
	data := random(20<<20 + 2048)
	disc := filepath.Join(dir, "disc")
	b := &Burner{Program: realProgram(t, dir), Device: "stdio:" + disc, Emulated: true, Speed: 6}
	var said []int64
	// There is more to be had than is to be burned.
	if err := b.Burn(t.Context(), image(append(data, 1, 2, 3), len(data)), func(n int64) { said = append(said, n) }); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(disc)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes are on the disc, %v; want the %d", len(got), err, len(data))
	}
	last := int64(0)
	for _, n := range said {
		if n <= last || n >= int64(len(data)) {
			t.Errorf("progress %v of %d", said, len(data))
		}
		last = n
	}
	if len(said) == 0 {
		t.Error("no progress was told")
	}
}

func TestBurnFails(t *testing.T) {
	dir := folder(t)
	program := realProgram(t, dir)
	data := random(8 << 20)
	for _, c := range []struct {
		name   string
		burner Burner
		image  mmc.Image
		kind   error
		says   string
	}{
		{"full", Burner{Program: program, Device: "stdio:/dev/full", Emulated: true}, image(data, len(data)), robot.ErrWrite, "exit code 10"},
		{"short image", Burner{Program: program, Device: "stdio:" + filepath.Join(dir, "short"), Emulated: true}, image(data, len(data)+2048), io.ErrUnexpectedEOF, "the image ends after"},
		{"no such drive", Burner{Program: program, Device: "/dev/nonexistent"}, image(data, len(data)), robot.ErrDriveFault, "nothing was recorded"},
		{"missing program", Burner{Program: "/nonexistent/cdrskin", Device: "/dev/sr0"}, image(data, len(data)), robot.ErrDriveFault, "nothing was recorded"},
		{"killed", Burner{Program: script(t, dir, `head -c 1000000 >/dev/null; kill -9 $$`), Device: "/dev/sr0"}, image(data, len(data)), robot.ErrWrite, "it was killed"},
		{"content and short", Burner{Program: script(t, dir, `head -c 1000000 >/dev/null; echo "cdrskin: burning done"`), Device: "/dev/sr0"}, image(data, len(data)), robot.ErrWrite, "without a word"},
		{"silent", Burner{Program: script(t, dir, `cat >/dev/null`), Device: "/dev/sr0"}, image(data, len(data)), robot.ErrWrite, "without a word"},
		{"servo", Burner{Program: script(t, dir, `head -c 1000000 >/dev/null; echo "libburn : FAILURE : SCSI error on write(336,16): [4 09 02] Focus servo failure." >&2; exit 10`), Device: "/dev/sr0"}, image(data, len(data)), robot.ErrDriveFault, "[4 09 02]"},
		{"medium", Burner{Program: script(t, dir, `head -c 1000000 >/dev/null; echo "libburn : FAILURE : SCSI error on write(336,16): [3 0C 00] Write error." >&2; exit 10`), Device: "/dev/sr0"}, image(data, len(data)), robot.ErrWrite, "sector 336"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.burner.Burn(t.Context(), c.image, func(int64) {})
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v; want %v and %q", err, c.kind, c.says)
			}
			if want := c.says == "nothing was recorded"; robot.Untouched(err) != want {
				t.Errorf("%v: untouched is %v, want %v", err, !want, want)
			}
		})
	}
}

// TestTooLarge: the program compares sizes too, and its refusal is one.
func TestTooLarge(t *testing.T) {
	dir := folder(t)
	small := filepath.Join(dir, "small")
	if err := os.Mkdir(small, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := mountSmall(t, small); err != nil {
		t.Skipf("a disk that is small: %v", err)
	}
	if err := os.Chmod(small, 0o777); err != nil {
		t.Fatal(err)
	}
	data := random(8 << 20)
	b := &Burner{Program: realProgram(t, dir), Device: "stdio:" + filepath.Join(small, "disc"), Emulated: true}
	if err := b.Burn(t.Context(), image(data, len(data)), func(int64) {}); !errors.Is(err, robot.ErrTooLarge) || !robot.Untouched(err) {
		t.Errorf("%v", err)
	}
	if f, err := os.Stat(filepath.Join(small, "disc")); err == nil && f.Size() > 0 {
		t.Errorf("%d bytes were recorded", f.Size())
	}
}

// TestCancel: the program is stopped, and killed when it won't.
func TestCancel(t *testing.T) {
	dir := folder(t)
	for name, b := range map[string]*Burner{
		"cdrskin": {Program: realProgram(t, dir), Device: "stdio:" + filepath.Join(dir, "disc"), Emulated: true, Speed: 4},
		"deaf":    {Program: script(t, dir, `trap "" TERM; while :; do sleep 0.1; done`), Device: "/dev/sr0", Grace: 1},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			const size = 200 << 20
			half := &cancelling{left: 1 << 20, cancel: cancel}
			err := b.Burn(ctx, mmc.Image{Reader: half, Size: size, Type: "BD-R"}, func(int64) {})
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	b := &Burner{Program: "/nonexistent", Device: "/dev/sr0"}
	if err := b.Burn(ended, image(nil, 2048), nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// cancelling gives zeros and cancels after some of them.
type cancelling struct {
	left   int
	cancel func()
}

func (c *cancelling) Read(p []byte) (int, error) {
	if c.left -= len(p); c.left <= 0 {
		c.cancel()
	}
	clear(p)
	return len(p), nil
}

func TestProbe(t *testing.T) {
	dir := folder(t)
	if v, err := Probe(t.Context(), realProgram(t, dir)); err != nil || v.before(oldest) {
		t.Errorf("%v, %v", v, err)
	}
	for text, want := range map[string]string{
		`echo "cdrskin version   :  1.1.8"`: "1.5.0 or newer",
		`echo "Cdrecord-ProDVD"`:            "no cdrskin",
		`echo broken >&2; exit 3`:           "broken",
	} {
		if _, err := Probe(t.Context(), script(t, dir, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	for _, gone := range []string{"cdrskin-that-is-not-there", filepath.Join(dir, "cdrskin")} {
		if _, err := Probe(t.Context(), gone); err == nil || !strings.Contains(err.Error(), "not installed") {
			t.Errorf("%s: %v", gone, err)
		}
	}
}

func TestArgs(t *testing.T) {
	b := &Burner{Device: "/dev/sr0", Speed: 6}
	got := strings.Join(b.args(mmc.Image{Size: 4096, Type: "BD-R", SpareAreas: true}), " ")
	if want := "-v dev=/dev/sr0 fs=64m padsize=0 tsize=2s --pacifier_with_newline -tao speed=6 blank=format_defectmgt -"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := strings.Join((&Burner{Device: "/dev/sr0"}).args(mmc.Image{Size: 2048, Type: "CD-R"}), " "); !strings.Contains(got, " -sao -") {
		t.Error(got)
	}
}

func FuzzOutput(f *testing.F) {
	f.Add("\rTrack 01:    5 of   31 MB written (fifo 100%) [buf  50%]  114.2x.\ncdrskin: burning done\n")
	f.Add("libburn : FAILURE : SCSI error on write(336,16): [3 0C 00] Medium error.")
	f.Fuzz(func(t *testing.T, s string) {
		r := &report{}
		lines(strings.NewReader(s), func(l string) { r.line(l) })
		io.WriteString(r, s)
		r.trouble()
		parseVersion(s)
		if r.mib < 0 || len(r.tail) > mostTail {
			t.Errorf("%+v", r)
		}
	})
}
