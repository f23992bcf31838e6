package cli

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/image"
	"github.com/odarchive/odarchive/internal/client"
)

func (a *app) set() *cobra.Command {
	c := &cobra.Command{
		Use: "set", Short: "Protect disc images by others: make parity, verify, rebuild",
		Long: `A set is up to k data images and m parity images, of which any m may be lost. Sector r of all images is one codeword, so damage on
many discs heals while no sector number is bad on more than m of them.

The folder of a set holds its parity files, set.json, checksums, and a decoder that needs nothing but Go's standard library.`,
		Example: `  odarchive set parity --to parity 1.iso 2.iso 3.iso --close
  odarchive set verify parity 1.iso 2.iso 3.iso
  odarchive set rebuild parity --image 1 --to new.iso 1.iso 3.iso`,
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(a.setParity(), a.setVerify(), a.setRebuild())
	return c
}

const accumulating = "accumulating-"

func (a *app) setParity() *cobra.Command {
	g, to, closeIt := discset.Library, "", false
	c := &cobra.Command{
		Use: "parity --to DIR IMAGE…", Short: "Add images to a set, and end it when it is full or with --close",
		Long: `Adds images to the set in DIR, or begins one. Images may come in several runs; one that is in the set already is passed over.
When the set has k images, or with --close, its parity is final. A run that is interrupted leaves the set as it was before.
While it adds, DIR needs room for the parity twice.`,
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
	begun, err := filepath.Glob(filepath.Join(dir, accumulating+"*"))
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, discset.SetName)); err == nil {
		for _, left := range begun { // by a run that was killed behind its last step
			err = errors.Join(err, os.RemoveAll(left))
		}
		return errors.Join(fmt.Errorf("the set in %s: %w", dir, discset.ErrSealed), err)
	}
	id := uuid.NewString()
	if len(begun) > 0 {
		id = strings.TrimPrefix(filepath.Base(begun[0]), accumulating)
	}
	folder := filepath.Join(dir, accumulating+id)
	acc, err := discset.Open(folder, id, g)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, acc.Close()) }()
	taken := map[int]bool{}
	known := map[string]int{}
	for _, m := range acc.Members() {
		taken[m.Index], known[m.ImageID] = true, m.Index
	}
	var sources []discset.Source
	var total int64
	for _, name := range names {
		f, m, err := openImage(name)
		if err != nil {
			return err
		}
		defer f.Close()
		var there bool
		if m.Index, there = known[m.ImageID]; !there {
			for m.Index = 0; taken[m.Index]; m.Index++ {
			}
			taken[m.Index], known[m.ImageID] = true, m.Index
			total += m.Sectors * archive.SectorSize
		}
		sources = append(sources, discset.Source{Member: m, Image: f})
	}
	p := a.progress(map[string]string{"add": "adding"})
	err = acc.Add(cmd.Context(), sources, func(n int64) { p.show(client.Progress{Stage: "add", Bytes: n, TotalBytes: total}) })
	p.end()
	if err != nil {
		return err
	}
	n := len(acc.Members())
	closed := closeIt || n == g.Data
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

// export puts a set that is complete into its folder. set.json comes last: a folder that has one has all.
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

// openImage opens an image and says which it is. A file that is no disc of ours goes by its name.
func openImage(name string) (_ *os.File, m discset.Member, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, m, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, m, err
	}
	if size == 0 || size%archive.SectorSize != 0 {
		return nil, m, fmt.Errorf("%s has %d bytes: an image is whole sectors of %d", name, size, archive.SectorSize)
	}
	m.Sectors = size / archive.SectorSize
	if id, err := image.ReadIdentity(f); err == nil {
		m.ImageID, m.Label = uuid.UUID(id.ID).String(), id.Label
		return f, m, nil
	}
	m.Label = filepath.Base(name)
	sum := sha256.Sum256([]byte(m.Label))
	m.ImageID = uuid.UUID(sum[:16]).String()
	return f, m, nil
}

// openSet opens the set in dir with images that are given by name or as INDEX=NAME; the caller closes.
func openSet(dir string, args []string) (_ *discset.Recovery, closeAll func(), err error) {
	var files []*os.File
	closeAll = func() {
		for _, f := range files {
			f.Close()
		}
	}
	defer func() {
		if err != nil {
			closeAll()
		}
	}()
	b, err := os.ReadFile(filepath.Join(dir, discset.SetName))
	if err != nil {
		return nil, nil, err
	}
	s, err := discset.ReadSet(b)
	if err != nil {
		return nil, nil, err
	}
	r := &discset.Recovery{Set: s, Images: make([]io.ReaderAt, s.Geometry.Data+s.Geometry.Parity)}
	checks, err := os.Open(filepath.Join(dir, discset.ChecksName))
	if err != nil {
		return nil, nil, err
	}
	files = append(files, checks)
	if r.Checks, err = discset.OpenChecks(s, checks); err != nil {
		return nil, nil, err
	}
	for i := range s.Parities {
		if f, err := os.Open(filepath.Join(dir, discset.ParityName(i))); err == nil {
			files = append(files, f)
			r.Images[s.Geometry.Data+i] = f
		}
	}
	for _, arg := range args {
		f, index, err := setImage(s, arg)
		if err != nil {
			return nil, nil, err
		}
		files = append(files, f)
		if r.Images[index] != nil {
			return nil, nil, fmt.Errorf("%s: image %d is given twice", arg, index)
		}
		r.Images[index] = f
	}
	return r, closeAll, nil
}

func setImage(s *discset.Set, arg string) (*os.File, int, error) {
	if number, name, ok := strings.Cut(arg, "="); ok {
		if index, err := strconv.Atoi(number); err == nil {
			for _, m := range s.Members {
				if m.Index == index {
					f, err := os.Open(name)
					return f, index, err
				}
			}
			return nil, 0, fmt.Errorf("%s: the set has no data image %d", arg, index)
		}
	}
	f, m, err := openImage(arg)
	if err != nil {
		return nil, 0, err
	}
	for _, x := range s.Members {
		if x.ImageID == m.ImageID {
			return f, x.Index, nil
		}
	}
	f.Close()
	return nil, 0, fmt.Errorf("%s is none of the set's images; if it is one that is damaged, give its number: INDEX=%s", arg, arg)
}
