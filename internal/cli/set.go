package cli

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/image"
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
