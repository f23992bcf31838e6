package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/ecc"
)

func (a *app) ecc() *cobra.Command {
	c := &cobra.Command{
		Use:   "ecc",
		Short: "Protect images against scratches and ageing, and repair them",
		Long: `Adds error correction to an image file, tests it, and repairs what time did to it. The form is RS03, that of dvdisaster's
augmented images: dvdisaster tests and repairs what add makes, and test and repair take what dvdisaster made.

The error correction becomes part of the image and is burned with it. Up to as many 255ths of the disc as it has roots can be
lost, wherever they are in one piece, and any scattered sectors whose row has no more.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(a.eccAdd(), a.eccTest(), a.eccRepair())
	return c
}

func (a *app) eccAdd() *cobra.Command {
	var medium string
	var roots int
	var sum, small bool
	c := &cobra.Command{
		Use:   "add IMAGE",
		Short: "Append error correction to an image",
		Long: `Appends error correction to the file IMAGE, which becomes as large as its medium. --medium says which; without it, the
smallest that has room. What the data leave of it becomes error correction: the fewer data, the more roots. With --roots an
image that would have fewer is refused.

--small makes an image of just --roots roots that is no larger than it must be, so that little data doesn't take a whole disc.
dvdisaster repairs it too; only when the sector with the header is destroyed must one tell it the size: dvdisaster --debug -n
followed by the number of sectors that add prints.

Broken off, it leaves IMAGE as it was.`,
		Example: "  odarchive ecc add backup.iso\n  odarchive ecc add backup.iso --medium BD --roots 32\n  odarchive ecc add letters.iso --small --roots 64",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			capacity, err := capacityOf(medium)
			if err != nil {
				return usage(cmd, err)
			}
			if small && capacity != 0 {
				return usage(cmd, errors.New("--small and --medium exclude each other"))
			}
			if small && roots == 0 {
				roots = defaultRoots
			}
			if roots != 0 && (roots < ecc.MinRoots || roots > ecc.MaxRoots) {
				return usage(cmd, fmt.Errorf("%d roots: want %d to %d", roots, ecc.MinRoots, ecc.MaxRoots))
			}
			return a.addECC(cmd.Context(), args[0], sum, func(data int64) (ecc.Geometry, error) {
				switch {
				case small:
					return ecc.Shrink(data, roots)
				case capacity != 0:
					return ecc.Fill(capacity, data)
				}
				return smallest(data, roots)
			}, roots)
		},
	}
	f := c.Flags()
	f.StringVar(&medium, "medium", "", "medium to fill: "+mediaNames()+", or a number of sectors")
	f.IntVar(&roots, "roots", 0, fmt.Sprintf("at least so many roots, %d to %d", ecc.MinRoots, ecc.MaxRoots))
	f.BoolVar(&small, "small", false, fmt.Sprintf("no larger than --roots (default %d) ask for", defaultRoots))
	f.BoolVar(&sum, "md5", false, "put the MD5 of the data in too, which dvdisaster compares; reads IMAGE twice")
	return c
}

// defaultRoots is 14 % on top of the data.
const defaultRoots = 32

func mediaNames() string {
	var names []string
	for _, m := range ecc.Media {
		names = append(names, m.Name)
	}
	return strings.Join(names, ", ")
}

// capacityOf reads --medium; 0 is none.
func capacityOf(medium string) (int64, error) {
	if medium == "" {
		return 0, nil
	}
	for _, m := range ecc.Media {
		if strings.EqualFold(m.Name, medium) {
			return m.Capacity, nil
		}
	}
	var n int64
	if _, err := fmt.Sscanf(medium+"\n", "%d\n", &n); err != nil || n < 1 {
		return 0, fmt.Errorf("there is no medium %q: want %s, or a number of sectors", medium, mediaNames())
	}
	return n, nil
}

// smallest returns the geometry for the smallest medium on which there are so many roots.
func smallest(data int64, roots int) (ecc.Geometry, error) {
	for _, m := range ecc.Media {
		if g, err := ecc.Fill(m.Capacity, data); m.Spare && err == nil && g.Roots() >= roots {
			return g, nil
		}
	}
	return ecc.Geometry{}, fmt.Errorf("no medium has room for %s and %d roots: %w", size(data*archive.SectorSize), max(roots, ecc.MinRoots), ecc.ErrNoRoom)
}

func (a *app) addECC(ctx context.Context, path string, sum bool, choose func(data int64) (ecc.Geometry, error), roots int) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", path)
	}
	before := info.Size()
	sectors := archive.Sectors(before)
	g, err := choose(sectors)
	if err != nil {
		return err
	}
	if g.Roots() < roots {
		return fmt.Errorf("%s leaves room for %d roots only: %w", path, g.Roots(), ecc.ErrNoRoom)
	}
	if h, err := ecc.FindQuickly(ctx, ecc.Source{ReaderAt: f}, sectors); err == nil {
		return fmt.Errorf("%s has error correction already: %v", path, h.Geometry)
	} else if !errors.Is(err, ecc.ErrNotFound) {
		return err
	}
	p := ecc.Plan{Geometry: g, Last: int((before-1)%archive.SectorSize) + 1}
	if sum {
		s, err := ecc.Sum(ctx, f, before)
		if err != nil {
			return err
		}
		p.Sum = &s
	}
	shown := a.progress(map[string]string{"add": "protected"})
	err = ecc.Augment(ctx, f, f, p, ecc.Options{Progress: shown.sectors("add")})
	shown.end()
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return errors.Join(err, f.Truncate(before))
	}
	added := eccImage{Image: path, DataSectors: g.Data, Sectors: g.Sectors(), LayerSectors: g.Layer, Roots: g.Roots()}
	return a.print(added, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %d data sectors, %d in all, %d roots: %.1f %% of the disc may be lost\n", path, g.Data, g.Sectors(), g.Roots(), percent(g))
	})
}

func percent(g ecc.Geometry) float64 { return float64(g.Roots()) / 255 * 100 }

// eccImage is how an augmented image is printed as JSON.
type eccImage struct {
	Image        string `json:"image"`
	DataSectors  int64  `json:"data_sectors"`
	Sectors      int64  `json:"sectors"`
	LayerSectors int64  `json:"layer_sectors"`
	Roots        int    `json:"roots"`
	MD5          string `json:"md5,omitempty"`
}
