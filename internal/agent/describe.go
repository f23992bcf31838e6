package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// description is what an image is to contain, as the controller streams it.
type description struct {
	disc      *catalogue.Disc
	files     []catalogue.File
	manifests *os.File // one behind the other: they may be large
	at        map[string]*io.SectionReader

	end, due int64 // of manifests: bytes in the file, and bytes still to come of the last one
}

// describe asks the controller what an image is to contain.
func (a *agent) describe(ctx context.Context, id string) (*description, error) {
	stream, err := a.client.DescribeImage(ctx, &pb.DescribeImageRequest{ImageId: id})
	if err != nil {
		return nil, fmt.Errorf("ask for its description: %w", err)
	}
	file, err := a.scratch.temporary(id + ".manifests")
	if err != nil {
		return nil, fmt.Errorf("keep its manifests: %w", err)
	}
	d := &description{manifests: file, at: map[string]*io.SectionReader{}}
	if err := d.receive(stream.Recv); err != nil {
		return nil, errors.Join(fmt.Errorf("its description: %w", err), d.close())
	}
	if d.disc.ImageID != id {
		return nil, errors.Join(defect("its description is of image %q", d.disc.ImageID), d.close())
	}
	return d, nil
}

func (d *description) close() error { return d.manifests.Close() }

// manifest opens an archive's manifest.
func (d *description) manifest(archiveID string) (io.ReadCloser, error) {
	r := d.at[archiveID]
	if r == nil {
		return nil, defect("archive %q has no manifest", archiveID)
	}
	_, err := r.Seek(0, io.SeekStart)
	return io.NopCloser(r), err
}

// receive reads the messages of a description and brings it into the order in which images are composed.
func (d *description) receive(next func() (*pb.ImageDescription, error)) error {
	for {
		m, err := next()
		if err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		if h := m.GetHeader(); (h != nil) != (d.disc == nil) {
			return defect("a header belongs at its beginning, and nowhere else")
		}
		switch x := m.GetMessage().(type) {
		case *pb.ImageDescription_Header:
			h := x.Header
			disc := catalogue.NewDisc(h.GetImageId(), h.GetNumber(), h.GetVault(), h.GetLibraryId(), h.GetLibrary(), h.GetMedium(), h.GetCreated().AsTime())
			disc.Protected, disc.Capacity = h.GetLayerSectors() != 0, h.GetMediumSectors()
			if set := h.GetSet(); set != nil {
				disc.Parity = &catalogue.Parity{Set: set.GetId(), Index: int(h.GetSetIndex()), Data: int(set.GetData()), Images: int(set.GetParity())}
			}
			if v := h.GetPolicy(); v != nil {
				disc.Policy = &catalogue.Policy{
					VaultID: v.GetId(), Created: v.GetCreated().AsTime(), Copies: int(v.GetCopies()),
					MaxWait: time.Duration(v.GetMaxWaitSeconds()) * time.Second, Roots: int(v.GetRoots()),
				}
			}
			d.disc = &disc
		case *pb.ImageDescription_Archive:
			err = d.archive(x.Archive)
		case *pb.ImageDescription_Manifest:
			err = d.chunk(x.Manifest)
		case *pb.ImageDescription_Files:
			err = d.more(x.Files.GetFiles())
		default:
			err = defect("a message of no known kind")
		}
		if err != nil {
			return err
		}
	}
	if d.disc == nil || d.due != 0 {
		return defect("it ends too early: %d bytes of a manifest are missing", d.due)
	}
	slices.SortFunc(d.disc.Archives, func(a, b catalogue.Archive) int { return strings.Compare(a.Directory, b.Directory) })
	slices.SortFunc(d.files, func(a, b catalogue.File) int { return strings.Compare(a.DiscPath(), b.DiscPath()) })
	return nil
}

func (d *description) archive(a *pb.ImageArchive) error {
	size := a.GetManifestSize()
	switch {
	case d.due != 0 || size < 0:
		return defect("%d bytes of a manifest are missing before archive %s, whose own has %d", d.due, a.GetId(), size)
	case len(a.GetRootHash()) != len(archive.Hash{}):
		return defect("archive %s has a root hash of %d bytes", a.GetId(), len(a.GetRootHash()))
	}
	d.disc.Archives = append(d.disc.Archives, catalogue.Archive{
		ID: a.GetId(), Name: a.GetName(), Description: a.GetDescription(), Directory: a.GetDirectory(), RootHash: archive.Hash(a.GetRootHash()),
		ManifestSize: size, Sealed: a.GetSealed().AsTime(),
	})
	d.at[a.GetId()] = io.NewSectionReader(d.manifests, d.end, size)
	d.due = size
	return nil
}

// chunk takes the next bytes of the last archive's manifest.
func (d *description) chunk(data []byte) error {
	if int64(len(data)) > d.due {
		return defect("a manifest is longer than announced")
	}
	if _, err := d.manifests.WriteAt(data, d.end); err != nil {
		return fmt.Errorf("keep a manifest: %w", err)
	}
	d.end, d.due = d.end+int64(len(data)), d.due-int64(len(data))
	return nil
}

func (d *description) more(files []*pb.ImageFile) error {
	for _, f := range files {
		if len(f.GetHash()) != len(archive.Hash{}) {
			return defect("file %q has a hash of %d bytes", f.GetPath(), len(f.GetHash()))
		}
		d.files = append(d.files, catalogue.File{
			Path: string(f.GetPath()), Content: archive.Content{Hash: archive.Hash(f.GetHash()), Size: f.GetSize()},
			Offset: f.GetOffset(), Length: f.GetLength(), Part: int(f.GetPart()), Parts: int(f.GetParts()),
			Mode: f.GetMode(), ModTime: f.GetModified().AsTime(),
		})
	}
	return nil
}
