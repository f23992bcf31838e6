package image

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/odarchive/odarchive/archive"
)

// longForm says that the long form was asked for: `make interop`.
func longForm() bool { return os.Getenv("INTEROP") != "" }

// interop is nasty with sizes and times around every limit, and paths of 1,023 bytes.
func interop() *corpus {
	c := nasty()
	for _, size := range []int64{1, 2047, 2048, 2049, 4095, 4096, 4097, 1 << 20} {
		c.add(fmt.Sprintf("sizes/%d", size), size)
	}
	for i, year := range []int{1899, 1900, 1938, 1969, 1970, 1999, 2038, 2106, 2155, 2156, 2191, 9999} {
		c.add(fmt.Sprintf("times/%d", year), int64(i))
		c.files[len(c.files)-1].ModTime = time.Date(year, 12, 31, 23, 59, 59, 987654000, time.UTC)
	}
	long := strings.Repeat(strings.Repeat("p", 99)+"/", 10)
	c.add(long+strings.Repeat("l", 1023-len(long)), 77)
	for i := range 40 {
		c.add(fmt.Sprintf("long/%s%03d", strings.Repeat("n", 200), i), int64(i))
	}
	return c
}

// giants are 110 GB of files around what an extent, a record and a number hold. They are zeros but for their last bytes.
func giants() *corpus {
	c := &corpus{}
	for _, size := range []int64{
		maxExtent - 1, maxExtent, maxExtent + 1, 1 << 30, 1<<30 + 1, 2 * maxExtent,
		isoSection - 1, isoSection, isoSection + 1, 1<<32 - 1, 1 << 32, 1<<32 + 1, 6 << 30, 80 << 30,
	} {
		c.add(fmt.Sprintf("giant/%d", size), size)
	}
	c.add("small", 5)
	return c
}

// tails is the content of giants: the last bytes of each say which it is.
type tails struct{ c *corpus }

func (g tails) tail(i int) []byte {
	b := make([]byte, min(4096, g.c.contents[i].Size))
	copy(b[len(b)-5:], fmt.Sprintf("%05d", i))
	return b
}

func (g tails) ReadContentAt(i int, p []byte, off int64) (int, error) {
	clear(p)
	tail := g.tail(i)
	start := g.c.contents[i].Size - int64(len(tail))
	for k := max(start, off); k < off+int64(len(p)); k++ {
		p[k-off] = tail[k-start]
	}
	return len(p), nil
}

// sparse writes the image of giants and leaves holes where it is zero.
func sparse(t testing.TB, c *corpus) (string, *Layout) {
	t.Helper()
	l := c.layout(t)
	path := filepath.Join(t.TempDir(), "giants.iso")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(l.Sectors() * sectorSize); err != nil {
		t.Fatal(err)
	}
	r := l.ReaderAt(tails{c})
	put := func(from, to int64) {
		b := make([]byte, sectorSize)
		for lba := from; lba < to; lba++ {
			if _, err := r.ReadAt(b, lba*sectorSize); err != nil {
				t.Fatal(err)
			}
			if !zero(b) {
				if _, err := f.WriteAt(b, lba*sectorSize); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	put(0, l.dataStart)
	for i := range l.inodes {
		end := l.inodes[i].lba + archive.Sectors(l.inodes[i].size)
		put(max(l.inodes[i].lba, end-3), end)
	}
	put(l.dataEnd, l.sectors)
	return path, l
}

// seenFile is a file as a judge sees it.
type seenFile struct {
	size int64
	sum  string // of its bytes, in the judge's own kind; "" where there was none
	time time.Time
	mode uint64
}

// contentSum returns a content's checksum.
func contentSum(source Contents, c *corpus, i int, sum func([]byte) string) string {
	b := make([]byte, c.contents[i].Size)
	source.ReadContentAt(i, b, 0)
	return sum(b)
}

func crc(b []byte) string       { return fmt.Sprintf("%08x", crc32.ChecksumIEEE(b)) }
func sha(b []byte) string       { return fmt.Sprintf("%x", sha256.Sum256(b)) }
func udfName(m Mapping) string  { return m.UDF }
func rockName(m Mapping) string { return m.Rock }

// hold compares what a judge sees with what was put on the image: names, sizes, bytes.
func hold(t *testing.T, c *corpus, source Contents, files map[string]int, seen map[string]seenFile, sum func([]byte) string) {
	t.Helper()
	for name, i := range files {
		s, ok := seen[name]
		if !ok {
			t.Errorf("%q is not seen", name)
			continue
		}
		if s.size != c.contents[i].Size {
			t.Errorf("%q has %d bytes, %d are seen", name, c.contents[i].Size, s.size)
		} else if c.contents[i].Size < 1<<28 && s.sum != contentSum(source, c, i, sum) {
			t.Errorf("%q has other bytes", name)
		}
	}
	for name := range seen {
		if _, ok := files[name]; !ok {
			t.Errorf("%q should not be there", name)
		}
	}
}

// triples reads size, checksum and path, each ended by NUL.
func triples(t *testing.T, out string) map[string]seenFile {
	t.Helper()
	seen := map[string]seenFile{}
	parts := strings.Split(out, "\x00")
	for ; len(parts) >= 3; parts = parts[3:] {
		size, err := strconv.ParseInt(parts[0], 10, 64)
		if err != nil {
			t.Fatalf("%v in %.200q", err, out)
		}
		seen[parts[2]] = seenFile{size: size, sum: parts[1]}
	}
	return seen
}

// corpora runs a test on each corpus: the giants only in the long form.
func corpora(t *testing.T, test func(t *testing.T, c *corpus, source Contents, path string, l *Layout)) {
	t.Run("nasty", func(t *testing.T) {
		c := interop()
		path, l := writeImage(t, c)
		test(t, c, generated{c}, path, l)
	})
	t.Run("giants", func(t *testing.T) {
		if !longForm() {
			t.Skip("only with `make interop`")
		}
		c := giants()
		path, l := sparse(t, c)
		test(t, c, tails{c}, path, l)
	})
}

func TestInteropOwnReaders(t *testing.T) {
	corpora(t, func(t *testing.T, _ *corpus, _ Contents, path string, l *Layout) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := Verify(f, l.Sectors())
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range r.Findings {
			t.Error(x)
		}
	})
}

func TestInteropUdfread(t *testing.T) {
	if _, err := os.Stat("/usr/include/udfread/udfread.h"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	client := filepath.Join(t.TempDir(), "client")
	judge(t, "cc", "-O2", "-o", client, "testdata/udfread.c", "-ludfread")
	corpora(t, func(t *testing.T, c *corpus, source Contents, path string, l *Layout) {
		seen := triples(t, judge(t, client, path))
		for name, s := range seen {
			// It writes the two halves of a surrogate pair as characters of their own.
			if fixed := pairs(name); fixed != name {
				delete(seen, name)
				seen[fixed] = s
			}
		}
		hold(t, c, source, want(c, l, udfName), seen, crc)
	})
}

// pairs makes characters of surrogates in UTF-8.
func pairs(s string) string {
	var out []byte
	for i := 0; i < len(s); i++ {
		if i+6 <= len(s) && s[i] == 0xED && s[i+1]&0xF0 == 0xA0 && s[i+3] == 0xED && s[i+4]&0xF0 == 0xB0 {
			unit := func(b string) rune { return rune(b[0])&0x0F<<12 | rune(b[1])&0x3F<<6 | rune(b[2])&0x3F }
			out = utf8.AppendRune(out, utf16.DecodeRune(unit(s[i:]), unit(s[i+3:])))
			i += 5
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

func TestInteropPycdlib(t *testing.T) {
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import pycdlib").Run(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no pycdlib: ", err)
	}
	corpora(t, func(t *testing.T, c *corpus, source Contents, path string, l *Layout) {
		if len(c.files) < 100 {
			// It reads the first section of a file of several on the ISO side.
			hold(t, c, source, want(c, l, udfName), triples(t, judge(t, python, "testdata/list.py", path, "udf_path")), crc)
			return
		}
		hold(t, c, source, want(c, l, udfName), triples(t, judge(t, python, "testdata/list.py", path, "udf_path")), crc)
		// It decodes names of Rock Ridge as UTF-8.
		c = without(c, "not\xffutf8")
		path, l = writeImage(t, c)
		hold(t, c, source, want(c, l, rockName), triples(t, judge(t, python, "testdata/list.py", path, "rr_path")), crc)
	})
}

func TestInterop7z(t *testing.T) {
	corpora(t, func(t *testing.T, c *corpus, _ Contents, path string, l *Layout) {
		for _, side := range []string{"-tudf", "-tiso"} {
			out := judge(t, "7z", "l", "-slt", side, path)
			files, total := 0, int64(0)
			var bytes int64
			for _, i := range want(c, l, udfName) {
				total += c.contents[i].Size
			}
			for line := range strings.Lines(out) {
				if line == "Folder = -\n" {
					files++
				}
				if s, ok := strings.CutPrefix(line, "Size = "); ok {
					n, _ := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
					bytes += n
				}
			}
			if files != len(c.files) || bytes != total {
				t.Errorf("%s: %d files of %d, %d bytes of %d", side, files, len(c.files), bytes, total)
			}
			if strings.Contains(out, "WARNING") || strings.Contains(out, "ERROR") || strings.Contains(out, "Headers Error") {
				t.Errorf("7z complains:\n%s", out)
			}
		}
	})
}

// TestInteropGrub compares every file through GRUB's own UDF driver.
func TestInteropGrub(t *testing.T) {
	corpora(t, func(t *testing.T, c *corpus, source Contents, path string, l *Layout) {
		dir := t.TempDir()
		for name, i := range want(c, l, udfName) {
			// Its command line takes these for something else, and it has a limit of its own for paths.
			if strings.ContainsAny(name, "\n\\\"*?<>|() ") || len(name) > 500 || strings.HasPrefix(name, "many/") {
				continue
			}
			if c.contents[i].Size >= 1<<28 {
				at := c.contents[i].Size - 5
				if got := judge(t, "grub-fstest", path, "-s", fmt.Sprint(at), "-n", "5", "cat", "/"+name); got != fmt.Sprintf("%05d", i) {
					t.Errorf("the end of %q is %q", name, got)
				}
				continue
			}
			b := make([]byte, c.contents[i].Size)
			source.ReadContentAt(i, b, 0)
			local := filepath.Join(dir, "local")
			if err := os.WriteFile(local, b, 0o644); err != nil {
				t.Fatal(err)
			}
			if out := judge(t, "grub-fstest", path, "cmp", "/"+name, local); out != "" {
				t.Errorf("%q: %s", name, out)
			}
		}
	})
}

// TestInteropLinux reads every file through Linux's udf and isofs drivers: names, sizes, bytes, times, permissions.
func TestInteropLinux(t *testing.T) {
	for _, need := range []string{"linux.uml", "modprobe", "busybox"} {
		if _, err := exec.LookPath(need); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	if testing.Short() {
		t.Skip("it starts a kernel")
	}
	t.Parallel() // the kernel is another process
	corpora(t, func(t *testing.T, c *corpus, source Contents, path string, l *Layout) {
		init, err := filepath.Abs("testdata/uml-init.sh")
		if err != nil {
			t.Fatal(err)
		}
		shm := "/dev/shm"
		cmd := exec.CommandContext(t.Context(), "linux.uml", "mem=512M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "init="+init,
			"ubd0r="+path, "con0=fd:0,fd:1", "con=null", "quiet", "hashbelow=268435456")
		cmd.Env = append(os.Environ(), "TMPDIR="+shm)
		out, err := cmd.CombinedOutput()
		text := strings.ReplaceAll(string(out), "\r", "")
		if !strings.Contains(text, "GUEST done") {
			t.Fatalf("the guest did not get to its end: %v\n%.4000s", err, text)
		}
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "kernel:") && !reviewed(line) {
				t.Errorf("the kernel says: %s", line)
			}
		}
		holdLinux(t, c, source, text, "udf", want(c, l, udfName))
		holdLinux(t, c, source, text, "iso9660", want(c, l, rockName))
	})
}

// reviewed says whether a line of the kernel's is one that we know to be no complaint.
func reviewed(line string) bool {
	if strings.Contains(line, "Mounting volume") || strings.Contains(line, "UDF-fs: INFO") {
		return true
	}
	// The driver of UDF tries blocks of 512 and 1,024 bytes before those of 2,048.
	return strings.Contains(line, "udf_load_vrs: No anchor found") || strings.Contains(line, "Scanning with blocksize 512 failed") ||
		strings.Contains(line, "Scanning with blocksize 1024 failed")
}

// section returns the bytes that the guest printed under a head.
func section(t *testing.T, text, head string) string {
	t.Helper()
	var b strings.Builder
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		if part, ok := strings.CutPrefix(s.Text(), head+":"); ok {
			b.WriteString(part)
		}
	}
	out, err := base64.StdEncoding.DecodeString(b.String())
	if err != nil {
		t.Fatalf("%s: %v", head, err)
	}
	return string(out)
}

func holdLinux(t *testing.T, c *corpus, source Contents, text, fs string, files map[string]int) {
	t.Helper()
	seen := map[string]seenFile{}
	for _, line := range strings.Split(section(t, text, fs+"-list"), "\x00") {
		f := strings.SplitN(line, " ", 5)
		if len(f) < 5 || f[0] != "f" {
			continue
		}
		size, _ := strconv.ParseInt(f[1], 10, 64)
		seconds, fraction, _ := strings.Cut(f[2], ".")
		s, _ := strconv.ParseInt(seconds, 10, 64)
		nano, _ := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
		mode, _ := strconv.ParseUint(f[3], 8, 32)
		seen[f[4]] = seenFile{size: size, time: time.Unix(s, nano).UTC(), mode: mode}
	}
	for _, kind := range []string{"-sums", "-tails"} {
		for _, line := range strings.Split(section(t, text, fs+kind), "\x00") {
			sum, name, _ := strings.Cut(strings.TrimPrefix(line, "\\"), " ")
			name = strings.TrimPrefix(strings.TrimLeft(name, " "), "./")
			if s, ok := seen[name]; ok {
				s.sum = sum
				seen[name] = s
			}
		}
	}
	hold(t, c, source, files, seen, sha)
	byContent := map[int]File{}
	for _, f := range c.files {
		if _, ok := byContent[f.Content]; !ok {
			byContent[f.Content] = f
		}
	}
	for name, i := range files {
		s, f := seen[name], byContent[i]
		if c.contents[i].Size >= 1<<28 {
			if want := sha(tails{c}.tail(i)); s.sum != want {
				t.Errorf("%s: the end of %q differs", fs, name)
			}
		}
		if want := uint64(0o444 | f.Mode&0o111); s.mode != want {
			t.Errorf("%s: %q has permissions %o, want %o", fs, name, s.mode, want)
		}
		if want := linuxTime(f.ModTime, fs); !s.time.Equal(want) {
			t.Errorf("%s: %q is of %v, want %v", fs, name, s.time, want)
		}
	}
}

// linuxTime is what a driver of Linux makes of a time: that of ISO 9660, which holds the years 1900 to 2155, has 32 bits for the
// seconds since 1970 (seen in 6.1).
func linuxTime(t time.Time, fs string) time.Time {
	if fs == "udf" {
		return t.Truncate(time.Microsecond)
	}
	if t.Year() < 1900 {
		t = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	} else if t.Year() > 2155 {
		t = time.Date(2155, 12, 31, 23, 59, 59, 0, time.UTC)
	}
	return time.Unix(int64(int32(t.Unix())), 0).UTC()
}
