package image

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func protect(t testing.TB, c *corpus) (*Layout, []byte) {
	t.Helper()
	o := options
	o.Protected = true
	l := c.layoutWith(t, o)
	return l, c.image(t, l)
}

// TestProtectedIsWhole: what a reader of the image alone sees is a volume that ends with its last sector.
func TestProtectedIsWhole(t *testing.T) {
	c := nasty()
	l, img := protect(t, c)
	if space := int64(le.Uint32(img[isoPVD*sectorSize+80:])); space != l.Sectors() {
		t.Errorf("ISO 9660 says %d sectors, the image has %d", space, l.Sectors())
	}
	if _, err := readTag(bytes.NewReader(img), l.Sectors()-1, tagAVDP); err != nil {
		t.Errorf("the last sector: %v", err)
	}
	if l.dataEnd+vdsSectors >= l.Sectors() {
		t.Errorf("the reserve at %d is not within %d sectors", l.dataEnd, l.Sectors())
	}
	plain := c.layout(t)
	if plain.dataEnd != l.dataEnd || plain.Sectors() < l.Sectors()+256 {
		t.Errorf("protected %d sectors, else %d", l.Sectors(), plain.Sectors())
	}
}

func TestTail(t *testing.T) {
	c := nasty()
	l, img := protect(t, c)
	rapid.Check(t, func(rt *rapid.T) {
		protected := rapid.Int64Range(l.Sectors(), 1<<26).Draw(rt, "protected")
		tail := l.Tail(protected)
		total := protected + int64(len(tail))/sectorSize
		if total != Closed(protected) || total%cluster != 0 || total <= protected || total > protected+cluster {
			rt.Fatalf("%d sectors after %d", total-protected, protected)
		}
		again, err := ReadTail(bytes.NewReader(img), protected)
		if err != nil || !bytes.Equal(again, tail) {
			rt.Fatalf("from the image: %v", err)
		}
		disc := readerFunc(func(p []byte, off int64) (int, error) {
			return bytes.NewReader(tail).ReadAt(p, off-protected*sectorSize)
		})
		at, err := readTag(disc, total-1, tagAVDP)
		if err != nil || !bytes.Equal(at[16:], img[anchor*sectorSize+16:(anchor+1)*sectorSize]) {
			rt.Fatalf("the last anchor: %v", err)
		}
		if len(bytes.Trim(tail[:len(tail)-sectorSize], "\x00")) > 0 {
			rt.Fatal("sectors before the anchor are not zero")
		}
	})
	if _, err := ReadTail(bytes.NewReader(make([]byte, 1<<20)), 600); !errors.Is(err, ErrForeign) {
		t.Errorf("an image without UDF: %v", err)
	}
	if _, err := ReadTail(readerFunc(func([]byte, int64) (int, error) { return 0, os.ErrDeadlineExceeded }), 600); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("an unreadable image: %v", err)
	}
}

// TestClosedFits: on every medium there is room for the tail behind 255 layers of as many sectors as fit.
func TestClosedFits(t *testing.T) {
	for _, capacity := range []int64{359424, 2295104, 4171712, 11826176, 23652352, 47305728, 60403712, 12219392, 24438784, 48878592, 62500864} {
		if total := Closed(capacity / 255 * 255); total > capacity {
			t.Errorf("%d sectors on a medium of %d", total, capacity)
		}
	}
}

// TestJudgesOfProtectedDisc: dvdisaster protects an image, which the tail then closes; readers of UDF and dvdisaster are content.
func TestJudgesOfProtectedDisc(t *testing.T) {
	l, img := protect(t, nasty())
	dir := t.TempDir()
	path := filepath.Join(dir, "disc.iso")
	if err := os.WriteFile(path, img, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", dir)
	t.Setenv("LC_ALL", "C")
	judge(t, "dvdisaster", "--debug", "-n", "8160", "-i", path, "-mRS03", "-o", "image", "-c")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size != 8160*sectorSize {
		t.Fatalf("dvdisaster made %d bytes, %v", size, err)
	}
	if _, err := f.Write(l.Tail(8160)); err != nil {
		t.Fatal(err)
	}

	out := judge(t, "dvdisaster", "-i", path, "-t")
	for _, line := range []string{"good image/file", "Ecc block test   : pass"} {
		if !strings.Contains(out, line) {
			t.Errorf("dvdisaster does not say %q:\n%s", line, out)
		}
	}
	if out := judge(t, "udfinfo", path); strings.Contains(out, "Warning") || !strings.Contains(out, "start=8191,") {
		t.Errorf("udfinfo:\n%s", out)
	}
	if out := judge(t, "7z", "t", "-tudf", path); !strings.Contains(out, "Everything is Ok") || strings.Contains(strings.ReplaceAll(out, "Warnings: 0", ""), "Headers Error") {
		t.Errorf("7z:\n%s", out)
	}
	if out := judge(t, "blkid", "-p", path); !strings.Contains(out, `TYPE="udf"`) {
		t.Errorf("blkid: %s", out)
	}
}
