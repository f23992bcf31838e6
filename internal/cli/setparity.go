package cli

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/internal/client"
)

const accumulating = "accumulating-"

func (a *app) setParity() *cobra.Command {
	g, to, closeIt := discset.Library, "", false
	c := &cobra.Command{
		Use: "parity --to DIR IMAGE…", Short: "Add images to a set, and end it when it is full or with --close",
		Long: `Adds images to the set in DIR, or begins one. Images may come one at a time, each in a run of its own as it is made: what was added is in
DIR, and the image is not needed again. One that is in the set already is compared with what was added, and passed over. The same image
under two names is refused.

When the set has k images, or with --close, its parity is final. --data and --parity are given when it is begun. A run that is interrupted
or killed leaves the set as it was before, or with its images; repeated, it goes on. While it adds, DIR needs room for the parity twice.`,
		Example: `  odarchive set parity --to parity --data 5 1.iso
  odarchive set parity --to parity 2.iso
  odarchive set parity --to parity --close`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if to == "" {
				return usage(cmd, errors.New("--to says where the set is"))
			}
			if err := g.Validate(); err != nil {
				return usage(cmd, err)
			}
			return a.accumulate(cmd, to, g, args, closeIt)
		},
	}
	f := c.Flags()
	f.StringVar(&to, "to", "", "folder of the set")
	f.IntVar(&g.Data, "data", g.Data, "data images, k")
	f.IntVar(&g.Parity, "parity", g.Parity, "parity images, m; any m images may be lost")
	f.BoolVar(&closeIt, "close", false, "end the set with the images that it has")
	return c
}

func (a *app) accumulate(cmd *cobra.Command, dir string, g discset.Geometry, names []string, closeIt bool) (err error) {
	acc, folder, err := openAccumulation(cmd, dir, g)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, acc.Close()) }()
	var id string
	id, g = acc.Set()
	batch := additions{known: map[string]known{}, taken: map[int]bool{}}
	defer batch.close()
	for _, m := range acc.Members() {
		batch.taken[m.Index], batch.known[m.ImageID] = true, known{Member: m}
	}
	for _, name := range names {
		there, err := batch.add(cmd.Context(), name)
		if err != nil {
			return err
		}
		if there {
			fmt.Fprintf(a.stderr, "%s is in the set already\n", name)
		}
	}
	p := a.progress(map[string]string{"add": "adding"})
	err = acc.Add(cmd.Context(), batch.sources, func(n int64) { p.show(client.Progress{Stage: "add", Bytes: n, TotalBytes: batch.bytes}) })
	p.end()
	if err != nil {
		return err
	}
	n := len(acc.Members())
	_, unsealed := acc.Sealed()
	closed := closeIt || n == g.Data || unsealed == nil // by a run that was killed
	if closed {
		if err := export(acc, dir, g); err != nil {
			return err
		}
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	return a.print(map[string]any{"set": id, "members": n, "data": g.Data, "parity": g.Parity, "closed": closed}, func(w io.Writer) {
		if closed {
			fmt.Fprintf(w, "set %s is closed: %d images, any %d of %d may be lost\n", id, n, g.Parity, n+g.Parity)
		} else {
			fmt.Fprintf(w, "set %s has %d images of %d; add more, or end it with --close\n", id, n, g.Data)
		}
	})
}

// openAccumulation opens the set that was begun in dir, or begins one. A set that was begun has the geometry that it was begun with.
func openAccumulation(cmd *cobra.Command, dir string, g discset.Geometry) (acc *discset.Accumulator, folder string, err error) {
	begun, err := filepath.Glob(filepath.Join(dir, accumulating+"*"))
	if err != nil {
		return nil, "", err
	}
	if _, err := os.Stat(filepath.Join(dir, discset.SetName)); err == nil {
		for _, left := range begun { // by a run that was killed behind its last step
			err = errors.Join(err, os.RemoveAll(left))
		}
		return nil, "", errors.Join(fmt.Errorf("the set in %s: %w", dir, discset.ErrSealed), err)
	}
	id := uuid.NewString()
	if len(begun) == 0 {
		folder = filepath.Join(dir, accumulating+id)
		acc, err = discset.Open(folder, id, g)
		return acc, folder, err
	}
	folder = begun[0]
	acc, err = discset.Resume(folder)
	if errors.Is(err, fs.ErrNotExist) { // killed before anything was added
		acc, err = discset.Open(folder, strings.TrimPrefix(filepath.Base(folder), accumulating), g)
	}
	if err != nil {
		return nil, "", err
	}
	_, has := acc.Set()
	if f := cmd.Flags(); f.Changed("data") && has.Data != g.Data || f.Changed("parity") && has.Parity != g.Parity {
		return nil, "", errors.Join(fmt.Errorf("the set in %s is of %v images, not %v: %w", dir, has, g, discset.ErrConflict), acc.Close())
	}
	return acc, folder, nil
}

// additions are the images of one run.
type additions struct {
	known   map[string]known // by the image's id
	taken   map[int]bool
	sources []discset.Source
	bytes   int64
	files   []*os.File
}

// known is an image of the set, or one that is about to be; then it has a file.
type known struct {
	discset.Member
	file os.FileInfo
}

func (b *additions) close() {
	for _, f := range b.files {
		f.Close()
	}
}

// add takes an image, or says that it is there already. Another one that goes by the same name is an error: one of the two
// would not be protected.
func (b *additions) add(ctx context.Context, name string) (there bool, err error) {
	f, m, err := openImage(name)
	if err != nil {
		return false, err
	}
	b.files = append(b.files, f)
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if k, there := b.known[m.ImageID]; there {
		same := k.file != nil && os.SameFile(k.file, info)
		if k.file == nil && k.Sectors == m.Sectors {
			sum, err := hashFile(ctx, f, m.Sectors*archive.SectorSize)
			if err != nil {
				return false, fmt.Errorf("%s: %w", name, err)
			}
			same = sum == k.SHA256
		}
		if !same {
			return false, fmt.Errorf("%s is not what went into the set as number %d, %s, and goes by the same id: %w", name, k.Index, k.Label, discset.ErrConflict)
		}
		return true, nil
	}
	for m.Index = 0; b.taken[m.Index]; m.Index++ {
	}
	b.taken[m.Index], b.known[m.ImageID] = true, known{m, info}
	b.bytes += m.Sectors * archive.SectorSize
	b.sources = append(b.sources, discset.Source{Member: m, Image: f})
	return false, nil
}

func hashFile(ctx context.Context, r io.ReaderAt, size int64) (archive.Hash, error) {
	h, section := sha256.New(), io.NewSectionReader(r, 0, size)
	for {
		if ctx.Err() != nil {
			return archive.Hash{}, context.Cause(ctx)
		}
		if n, err := io.CopyN(h, section, 8<<20); errors.Is(err, io.EOF) {
			return archive.Hash(h.Sum(nil)), nil
		} else if err != nil {
			return archive.Hash{}, fmt.Errorf("read byte %d: %w", n, err)
		}
	}
}

// export puts a set that is complete into its folder, durably. set.json comes last: a folder that has one has all.
func export(acc *discset.Accumulator, dir string, g discset.Geometry) error {
	parities := make([]discset.Parity, g.Parity)
	for i := range parities {
		parities[i] = discset.Parity{ImageID: uuid.NewString(), Label: fmt.Sprintf("PARITY_%03d", i)}
	}
	s, err := acc.Seal(parities, time.Now())
	if err != nil {
		return err
	}
	for i := range s.Parities {
		if err := exportParity(acc, i, filepath.Join(dir, discset.ParityName(i))); err != nil {
			return err
		}
	}
	checks, err := acc.OpenChecks()
	if err != nil {
		return err
	}
	if err := putFile(filepath.Join(dir, discset.ChecksName), checks); err != nil {
		return err
	}
	b, err := s.JSON()
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		b    []byte
	}{{discset.ReadmeName, s.Readme()}, {discset.DecoderName, discset.Decoder()}, {discset.SetName, b}} {
		if err := putFile(filepath.Join(dir, f.name), io.NopCloser(strings.NewReader(string(f.b)))); err != nil {
			return err
		}
		if err := syncFolder(dir); err != nil { // what is there before set.json, and that before the accumulation goes
			return err
		}
	}
	return nil
}

// exportParity gives a parity file its name: as large as a disc, it is copied only where that can't be had otherwise.
func exportParity(acc *discset.Accumulator, i int, name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a run that was killed
		return err
	}
	if err := acc.LinkParity(i, name); err == nil {
		return nil
	}
	f, err := acc.OpenParity(i)
	if err != nil {
		return err
	}
	return putFile(name, f)
}

// putFile writes a file durably; it has its name only when it is whole.
func putFile(name string, r io.ReadCloser) error {
	defer r.Close()
	part := name + ".part"
	w, err := os.Create(part)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	if err := errors.Join(err, w.Sync(), w.Close()); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return os.Rename(part, name)
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
