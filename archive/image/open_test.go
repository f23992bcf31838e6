package image

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"testing"

	"github.com/odarchive/odarchive/archive/image/extent"
	"github.com/odarchive/odarchive/archive/image/iso9660"
	"github.com/odarchive/odarchive/archive/image/udf"
)

// TestOpenReadsBothSides: every file of an image comes back from either side, and from what is left when the other is gone.
func TestOpenReadsBothSides(t *testing.T) {
	c := interop()
	l := c.layout(t)
	img := c.image(t, l)
	check := func(v fs.FS, files map[string]int) {
		t.Helper()
		for name, i := range files {
			// io/fs has no names that aren't UTF-8; the readers do.
			f, err := v.Open(name)
			if errors.Is(err, fs.ErrInvalid) {
				continue
			} else if err != nil {
				t.Error(err)
				continue
			}
			got, err := io.ReadAll(f)
			expect := make([]byte, c.contents[i].Size)
			generated{c}.ReadContentAt(i, expect, 0)
			if err != nil || !bytes.Equal(got, expect) {
				t.Errorf("%q: %d bytes of %d, %v", name, len(got), len(expect), err)
			}
			if x := f.(*extent.File).Extents(); len(expect) > 0 && x[0].Sector != l.Sector(i) {
				t.Errorf("%q lies at %d, its content at %d", name, x[0].Sector, l.Sector(i))
			}
		}
	}
	s, err := Open(bytes.NewReader(img), l.Sectors())
	if err != nil || s.UDF == nil || s.ISO == nil {
		t.Fatalf("%+v, %v", s, err)
	}
	check(s.UDF, want(c, l, udfName))
	check(s.ISO, want(c, l, rockName))

	clear(img[mainVDS*sectorSize:][:vdsSectors*sectorSize])
	if s, err = Open(bytes.NewReader(img), l.Sectors()); err != nil || s.UDF == nil || s.UDF.Fallback == nil {
		t.Fatalf("with reserve descriptors only: %v", err)
	}
	check(s.FS(), want(c, l, udfName))
	clear(img[l.dataEnd*sectorSize:][:vdsSectors*sectorSize])
	if s, err = Open(bytes.NewReader(img), l.Sectors()); err != nil || s.UDF != nil || !errors.Is(s.UDFErr, udf.ErrDamaged) {
		t.Fatalf("without descriptors: %v", err)
	}
	check(s.FS(), want(c, l, rockName))
	clear(img[isoPVD*sectorSize:][:sectorSize])
	if _, err = Open(bytes.NewReader(img), l.Sectors()); !errors.Is(err, udf.ErrDamaged) || !errors.Is(err, iso9660.ErrNone) {
		t.Errorf("with neither: %v", err)
	}
}
