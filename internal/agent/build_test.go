package agent

import (
	"bytes"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/odarchive/odarchive/archive"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// plainLayout is a layout for tests: a sector with the id, the manifests, and then the contents, each in sectors of its own.
type plainLayout struct {
	d       *Description
	sectors int64
}

func (l plainLayout) Sectors() int64 { return l.sectors }

func (l plainLayout) Write(w io.Writer, open OpenExtent) error {
	put := func(r io.Reader, n int64) error {
		if _, err := io.CopyN(w, r, n); err != nil {
			return err
		}
		_, err := w.Write(make([]byte, archive.Sectors(n)*archive.SectorSize-n))
		return err
	}
	if err := put(strings.NewReader(l.d.Header.GetImageId()), 36); err != nil {
		return err
	}
	for _, a := range l.d.Archives {
		if err := put(a.Manifest, a.Manifest.Size()); err != nil {
			return err
		}
	}
	for _, f := range l.d.Files {
		if f.GetLength() == 0 {
			continue
		}
		r, err := open(archive.Content{Hash: archive.Hash(f.GetHash()), Size: f.GetSize()}, f.GetOffset(), f.GetLength())
		if err != nil {
			return err
		}
		if err := put(r, f.GetLength()); err != nil {
			return err
		}
	}
	return nil
}

// planned is an image of the controller's with two archives and some contents, and what it should come to.
func planned() (*imageOfController, []byte) {
	i := &imageOfController{}
	say := func(m *pb.ImageDescription) { i.description = append(i.description, m) }
	want := make([]byte, archive.SectorSize)
	copy(want, imageA)
	pad := func() {
		want = append(want, make([]byte, archive.Sectors(int64(len(want)))*archive.SectorSize-int64(len(want)))...)
	}
	say(&pb.ImageDescription{Message: &pb.ImageDescription_Header{Header: &pb.ImageHeader{ImageId: imageA}}})
	for _, manifest := range []string{strings.Repeat("manifest one, ", 500), "", "manifest two"} {
		say(&pb.ImageDescription{Message: &pb.ImageDescription_Archive{Archive: &pb.ImageArchive{Id: "x", ManifestSize: int64(len(manifest))}}})
		for chunk := range slices.Chunk([]byte(manifest), 1000) {
			say(&pb.ImageDescription{Message: &pb.ImageDescription_Manifest{Manifest: chunk}})
		}
		want = append(want, manifest...)
		pad()
	}
	batch := &pb.Pieces{}
	var files []*pb.ImageFile
	for n, size := range []int{5, 0, 2048, 3_000_000, 100} {
		data := bytes.Repeat([]byte{byte('a' + n)}, size)
		sum := sha256.Sum256(data)
		files = append(files, &pb.ImageFile{Hash: sum[:], Size: int64(size), Length: int64(size)})
		for at := 0; at == 0 || at < size; at += 1 << 20 {
			batch.Pieces = append(batch.Pieces, &pb.Piece{Hash: sum[:], Size: int64(size), Offset: int64(at), Data: data[at:min(size, at+1<<20)]})
			if size > 1<<20 {
				i.pieces = append(i.pieces, batch)
				batch = &pb.Pieces{}
			}
		}
		want = append(want, data...)
		pad()
	}
	i.pieces = append(i.pieces, batch)
	for chunk := range slices.Chunk(files, 2) {
		say(&pb.ImageDescription{Message: &pb.ImageDescription_Files{Files: &pb.ImageFiles{Files: chunk}}})
	}
	return i, want
}

func buildTask(sectors int64) *pb.Task {
	return &pb.Task{Work: &pb.Task_Build{Build: &pb.Build{ImageId: imageA, Sectors: sectors}}}
}

func TestBuild(t *testing.T) {
	_, want := planned()
	sectors := int64(len(want)) / archive.SectorSize
	for _, c := range []struct {
		name    string
		image   func(*imageOfController)
		sectors int64
		failure pb.Failure
		text    string
	}{
		{name: "good", sectors: sectors},
		{name: "other size than planned", sectors: sectors + 1, failure: pb.Failure_FAILURE_INTERNAL, text: "are missing at the end"},
		{name: "longer than planned", sectors: sectors - 1, failure: pb.Failure_FAILURE_INTERNAL, text: "longer"},
		{name: "no size", sectors: 0, failure: pb.Failure_FAILURE_INTERNAL, text: "0 sectors"},
		{
			name: "no header", image: func(i *imageOfController) { i.description = i.description[1:] }, sectors: sectors,
			failure: pb.Failure_FAILURE_INTERNAL, text: "header",
		},
		{
			name: "manifest cut off", image: func(i *imageOfController) { i.description = slices.Delete(i.description, 3, 4) }, sectors: sectors,
			failure: pb.Failure_FAILURE_INTERNAL, text: "manifest",
		},
		{
			name: "manifest too long", image: func(i *imageOfController) { i.description = slices.Insert(i.description, 3, i.description[3]) }, sectors: sectors,
			failure: pb.Failure_FAILURE_INTERNAL, text: "manifest",
		},
		{
			name: "staging stops", image: func(i *imageOfController) { i.pieces = i.pieces[:2] }, sectors: sectors,
			failure: pb.Failure_FAILURE_INTERNAL, text: "missing",
		},
		{
			name: "staging leaves a gap", image: func(i *imageOfController) { i.pieces = slices.Delete(i.pieces, 1, 2) }, sectors: sectors,
			failure: pb.Failure_FAILURE_INTERNAL, text: "staging sent",
		},
		{
			name: "staging sends more", image: func(i *imageOfController) { i.pieces = append(i.pieces, i.pieces[0]) }, sectors: sectors,
			failure: pb.Failure_FAILURE_INTERNAL, text: "no place",
		},
		{
			name: "another image", image: func(i *imageOfController) { i.description[0].GetHeader().ImageId = imageB }, sectors: sectors,
			failure: pb.Failure_FAILURE_INTERNAL, text: imageB,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, 1, 1, func(s *site) {
				image, _ := planned()
				if c.image != nil {
					c.image(image)
				}
				s.images[imageA] = image
				s.compose = func(d *Description) (Layout, error) { return plainLayout{d, c.sectors}, nil }
				p := s.start()
				defer p.end()
				r := s.run(buildTask(c.sectors))
				files, err := os.ReadDir(filepath.Join(s.dir, "scratch"))
				if err != nil {
					t.Fatal(err)
				}
				if c.failure != pb.Failure_FAILURE_NONE {
					s.failed(r, c.failure)
					if !strings.Contains(r.GetError(), c.text) || r.GetSha256() != nil {
						t.Errorf("error %q, sum %x; want %q", r.GetError(), r.GetSha256(), c.text)
					}
					if len(files) != 0 {
						t.Errorf("left behind: %v", files)
					}
					return
				}
				s.ok(r)
				sum := sha256.Sum256(want)
				got, err := os.ReadFile(filepath.Join(s.dir, "scratch", imageA+built))
				if err != nil || !bytes.Equal(got, want) || !bytes.Equal(r.GetSha256(), sum[:]) || r.GetBytes() != int64(len(want)) {
					t.Errorf("%d bytes, %v, sum %x, want %x", len(got), err, r.GetSha256(), sum)
				}
				if len(files) != 2 {
					t.Errorf("files %v", files)
				}

				delete(s.images, imageA) // built is built
				again := s.run(buildTask(c.sectors))
				s.ok(again)
				if !bytes.Equal(again.GetSha256(), sum[:]) {
					t.Errorf("the second time the sum is %x", again.GetSha256())
				}
				s.ok(s.run(&pb.Task{Work: &pb.Task_Release{Release: &pb.Release{ImageId: imageA}}}))
				s.ok(s.run(&pb.Task{Work: &pb.Task_Release{Release: &pb.Release{ImageId: imageA}}}))
				if files, _ := os.ReadDir(filepath.Join(s.dir, "scratch")); len(files) != 0 {
					t.Errorf("released, and there is %v", files)
				}
				s.failed(s.run(buildTask(c.sectors)), pb.Failure_FAILURE_INTERNAL)
				s.failed(s.run(&pb.Task{Work: &pb.Task_Release{Release: &pb.Release{ImageId: "../../etc/passwd"}}}), pb.Failure_FAILURE_INTERNAL)
			})
		})
	}
}

// TestBuildWaitsForSpace: a full scratch disk is waited for as long as other images may leave it, and then says what is missing.
func TestBuildWaitsForSpace(t *testing.T) {
	_, want := planned()
	sectors := int64(len(want)) / archive.SectorSize
	full := func(s *site) *process {
		s.images[imageA], _ = planned()
		s.compose = func(d *Description) (Layout, error) { return plainLayout{d, sectors}, nil }
		other := inSectors(imageB, 10)
		s.scratchFile(imageB, other, sumOf(other))
		s.scratchLimit = int64(len(want)) + 10*2048 // the hash's file is too much
		return s.start()
	}
	t.Run("in vain", func(t *testing.T) {
		inBubble(t, 1, 1, func(s *site) {
			p := full(s)
			defer p.end()
			began := time.Now()
			r := s.run(buildTask(sectors))
			s.failed(r, pb.Failure_FAILURE_RETRY)
			if d := time.Since(began); d < spaceWait || d > spaceWait+time.Minute || !strings.Contains(r.GetError(), "bytes are missing") {
				t.Errorf("after %v: %s", d, r.GetError())
			}
		})
	})
	t.Run("until a release", func(t *testing.T) {
		inBubble(t, 1, 1, func(s *site) {
			p := full(s)
			defer p.end()
			id := s.lease(buildTask(sectors))
			time.Sleep(30 * time.Second)
			s.ok(s.run(&pb.Task{Work: &pb.Task_Release{Release: &pb.Release{ImageId: imageB}}}))
			s.ok(s.result(id))
		})
	})
}

// TestScratchTidies: what an earlier process left half made is deleted, what it finished is not.
func TestScratchTidies(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{imageA + part, imageB + built, imageB + summed} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := openScratch(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.root.Close()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Errorf("left: %v, %v", files, err)
	}
	if sum, err := s.sum(imageB, int64(len(imageB+built))); sum != nil || err != nil {
		t.Errorf("an image with a hash that is none: %x, %v", sum, err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("it is still there: %v", files)
	}
}
