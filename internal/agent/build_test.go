package agent

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/pack"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// planned is an image of the controller's with archives and contents, and what it must come to.
func planned(t *testing.T) (*imageOfController, []byte) {
	t.Helper()
	return plannedWith(t, 0)
}

// plannedWith is planned for a disc with error correction in layers of that many sectors.
func plannedWith(t *testing.T, layer int64) (*imageOfController, []byte) {
	t.Helper()
	made := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	disc := catalogue.NewDisc(imageA, 17, "photos", imageB, "north", "BD-R", made)
	disc.Protected = layer != 0
	i := &imageOfController{}
	say := func(m *pb.ImageDescription) { i.description = append(i.description, m) }
	say(&pb.ImageDescription{Message: &pb.ImageDescription_Header{Header: &pb.ImageHeader{
		LayerSectors: layer,
		ImageId:      imageA, Number: 17, Vault: "photos", LibraryId: imageB, Library: "north", Medium: "BD-R", Created: timestamppb.New(made),
	}}})
	manifests := map[string]string{"id-1": strings.Repeat("manifest one, ", 500), "id-2": "", "id-3": "manifest three"}
	for n, id := range []string{"id-1", "id-2", "id-3"} {
		text := manifests[id]
		a := catalogue.Archive{ID: id, Name: "n" + id, Directory: fmt.Sprint("dir", 9-n), RootHash: archive.Hash{byte(n)}, ManifestSize: int64(len(text)), Sealed: made}
		disc.Archives = append([]catalogue.Archive{a}, disc.Archives...) // in ascending order of directories, unlike what is sent
		say(&pb.ImageDescription{Message: &pb.ImageDescription_Archive{Archive: &pb.ImageArchive{
			Id: id, Name: a.Name, Directory: a.Directory, RootHash: a.RootHash[:], ManifestSize: a.ManifestSize, Sealed: timestamppb.New(made),
		}}})
		for chunk := range slices.Chunk([]byte(text), 1000) {
			say(&pb.ImageDescription{Message: &pb.ImageDescription_Manifest{Manifest: chunk}})
		}
	}

	contents := map[archive.Hash][]byte{}
	var files []catalogue.File
	for n, size := range []int{5, 0, 2048, 3_000_000, 100} {
		data := bytes.Repeat([]byte{byte('a' + n)}, size)
		hash := archive.Hash(sha256.Sum256(data))
		contents[hash] = data
		files = append(files, catalogue.File{
			Path: fmt.Sprintf("dir%d/file%d", 9-n%3, n), Content: archive.Content{Hash: hash, Size: int64(size)}, Length: int64(size), Mode: 0o644, ModTime: made,
		})
	}
	for chunk := range slices.Chunk(files, 2) {
		m := &pb.ImageFiles{}
		for _, f := range chunk {
			m.Files = append(m.Files, &pb.ImageFile{
				Path: []byte(f.Path), Hash: f.Content.Hash[:], Size: f.Content.Size, Length: f.Length, Mode: f.Mode, Modified: timestamppb.New(f.ModTime),
			})
		}
		say(&pb.ImageDescription{Message: &pb.ImageDescription_Files{Files: m}})
	}
	slices.SortFunc(files, func(a, b catalogue.File) int { return strings.Compare(a.DiscPath(), b.DiscPath()) })
	composed, err := pack.Compose(&disc, files)
	if err != nil {
		t.Fatal(err)
	}
	for run := range composed.Runs {
		data := contents[run.Hash]
		for at := 0; at == 0 || at < len(data); at += 1 << 20 {
			i.pieces = append(i.pieces, &pb.Pieces{Pieces: []*pb.Piece{
				{Hash: run.Hash[:], Size: int64(len(data)), Offset: int64(at), Data: data[at:min(len(data), at+1<<20)]},
			}})
		}
	}
	var want bytes.Buffer
	reader := func(p []byte) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(p)), nil }
	if err := composed.Write(&want, pack.Sources{
		Manifest: func(id string) (io.ReadCloser, error) { return reader([]byte(manifests[id])) },
		Run:      func(r pack.Run) (io.ReadCloser, error) { return reader(contents[r.Hash]) },
	}); err != nil {
		t.Fatal(err)
	}
	return i, want.Bytes()
}

func buildTask(sectors int64) *pb.Task {
	return &pb.Task{Work: &pb.Task_Build{Build: &pb.Build{ImageId: imageA, Sectors: sectors}}}
}

func TestBuild(t *testing.T) {
	_, want := planned(t)
	sectors := int64(len(want)) / archive.SectorSize
	for _, c := range []struct {
		name    string
		image   func(*imageOfController)
		sectors int64
		failure pb.Failure
		text    string
	}{
		{name: "good", sectors: sectors},
		{name: "other size than planned", sectors: sectors + 1, failure: pb.Failure_FAILURE_INTERNAL, text: "were planned"},
		{name: "longer than planned", sectors: sectors - 1, failure: pb.Failure_FAILURE_INTERNAL, text: "were planned"},
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
			name: "staging stops", image: func(i *imageOfController) { i.pieces = i.pieces[:len(i.pieces)-1] }, sectors: sectors,
			failure: pb.Failure_FAILURE_INTERNAL, text: "missing",
		},
		{
			name: "staging leaves a gap", image: func(i *imageOfController) { i.pieces = slices.Delete(i.pieces, 2, 3) }, sectors: sectors,
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
				image, _ := planned(t)
				if c.image != nil {
					c.image(image)
				}
				s.images[imageA] = image
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
				if id, err := identifyImage(bytes.NewReader(got)); id != imageA || err != nil {
					t.Errorf("the image says that it is %s, %v", id, err)
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

// TestBuildOfOtherBytes: an image that has been built before, here or in another library, must come to the same bytes. One that doesn't is not kept; one that lies there
// already and is another is made anew.
func TestBuildOfOtherBytes(t *testing.T) {
	inBubble(t, 1, 1, func(s *site) {
		image, want := planned(t)
		s.images[imageA] = image
		p := s.start()
		defer p.end()
		sum := sha256.Sum256(want)
		task := func(sum []byte) *pb.Task {
			b := buildTask(int64(len(want)) / archive.SectorSize)
			b.GetBuild().Sha256 = sum
			return b
		}
		left := func() int {
			files, err := os.ReadDir(filepath.Join(s.dir, "scratch"))
			if err != nil {
				t.Fatal(err)
			}
			return len(files)
		}
		r := s.run(task(bytes.Repeat([]byte{8}, 32)))
		s.failed(r, pb.Failure_FAILURE_INTERNAL)
		if !strings.Contains(r.GetError(), fmt.Sprintf("%x", sum)) || !strings.Contains(r.GetError(), "0808") || r.GetSha256() != nil || left() != 0 {
			t.Errorf("error %q, sum %x, %d files are left", r.GetError(), r.GetSha256(), left())
		}
		s.ok(s.run(task(sum[:])))
		name := filepath.Join(s.dir, "scratch", imageA+summed)
		if err := os.WriteFile(name, fmt.Appendf(nil, "%064x  %s\n", 7, imageA+built), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := s.run(task(sum[:])); !bytes.Equal(r.GetSha256(), sum[:]) || left() != 2 {
			t.Errorf("%v, %d files are left", r, left())
		}
	})
}

// TestBuildWaitsForSpace: a full scratch disk is waited for as long as other images may leave it, and then says what is missing.
func TestBuildWaitsForSpace(t *testing.T) {
	_, want := planned(t)
	sectors := int64(len(want)) / archive.SectorSize
	full := func(s *site) *process {
		s.images[imageA], _ = planned(s.T)
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
