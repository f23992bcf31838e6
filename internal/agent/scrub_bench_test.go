package agent

import (
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot/drive/file"
)

// BenchmarkScrub is a scrub of a file-backed disc at unlimited speed, beside reading the same file and hashing it with nothing in between,
// one after the other in each round: "of-plain" is how fast it is, as a part of that.
func BenchmarkScrub(b *testing.B) {
	const sectors = 64 << 20 / 2048
	dir := b.TempDir()
	disc, bay := filepath.Join(dir, "disc"), filepath.Join(dir, "drive")
	if err := file.NewDisc(disc, file.Medium{Type: "BD-R", Sectors: sectors}); err != nil {
		b.Fatal(err)
	}
	image := filepath.Join(disc, "image.iso")
	if err := os.WriteFile(image, inSectors(imageA, sectors), 0o600); err != nil {
		b.Fatal(err)
	}
	if err := os.Mkdir(bay, 0o700); err != nil {
		b.Fatal(err)
	}
	if err := os.Symlink(disc, filepath.Join(bay, file.DiscLink)); err != nil {
		b.Fatal(err)
	}
	d, err := file.Open(bay)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Load(b.Context()); err != nil {
		b.Fatal(err)
	}
	var plain, scrub time.Duration
	b.SetBytes(sectors * 2048)
	for b.Loop() {
		began := time.Now()
		f, err := os.Open(image)
		if err != nil {
			b.Fatal(err)
		}
		h := sha256.New()
		if _, err := io.CopyBuffer(h, f, make([]byte, transfer)); err != nil {
			b.Fatal(err)
		}
		want := h.Sum(nil)
		f.Close()
		plain += time.Since(began)

		began = time.Now()
		p := newPassage(&work{task: &pb.Task{}}, newBay(1, d, "", nil).drive, &pb.Verify{Sectors: sectors})
		if err := p.read(b.Context()); err != nil {
			b.Fatal(err)
		}
		if string(p.sum.Sum(nil)) != string(want) {
			b.Fatal("it reads as something else")
		}
		scrub += time.Since(began)
	}
	b.ReportMetric(plain.Seconds()/scrub.Seconds(), "of-plain")
}
