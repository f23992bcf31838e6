package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/project"
	"github.com/odarchive/odarchive/internal/client"
)

var (
	errNoFolder = fs.ErrNotExist
	errNoPlan   = errors.New("nothing is planned: say how large the discs are with plan_iso")
)

// oneImage is the size of a disc for a set that is not divided, in sectors: 4 TiB.
const oneImage = 1 << 31

// serial lets several goroutines call f, one at a time.
func (i *iso) serial(f func(files, bytes int64)) func(files, bytes int64) {
	var mu sync.Mutex
	return func(files, bytes int64) {
		mu.Lock()
		defer mu.Unlock()
		f(files, bytes)
	}
}

// made is an image that a command made.
type made struct {
	Disc   int64  `json:"disc_num"`
	File   string `json:"file"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

func (i *iso) create(use string) *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   use,
		Short: "Make the images of discs; without a number, of the first that has none",
		Long: `Makes images of discs, which are counted from 0. Every file is checked against its hash while it is read: one that is not as it was
when it was scanned is named, and nothing is left of the image.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return i.with(func(p *project.Project) error {
				which, err := i.which(cmd, p, args)
				if err != nil {
					return err
				}
				var all []made
				for _, n := range which {
					m, err := i.image(cmd.Context(), p, n, i.file(p, out, n))
					if err != nil {
						return err
					}
					all = append(all, *m)
				}
				return i.print(all, func(w io.Writer) { showMade(w, all) })
			})
		},
	}
	c.Flags().StringVar(&out, "out", "", "folder for the images (default the project's)")
	return c
}

func showMade(w io.Writer, all []made) {
	for _, m := range all {
		fmt.Fprintf(w, "disc %d: %s, %s\n", m.Disc, printable(m.File), size(m.Bytes))
	}
}

// which returns the discs that arguments mean.
func (i *iso) which(cmd *cobra.Command, p *project.Project, args []string) ([]int64, error) {
	all := p.Numbers(catalogue.Planned, catalogue.Created, catalogue.Burned)
	if len(all) == 0 {
		return nil, errNoPlan
	}
	planned := p.Numbers(catalogue.Planned)
	switch {
	case slices.Equal(args, []string{"all"}) && len(planned) > 0:
		return planned, nil
	case slices.Equal(args, []string{"all"}), len(args) == 0 && len(planned) == 0:
		return nil, errors.New("the images of all discs are made; give a number to make one again")
	case len(args) == 0:
		return planned[:1], nil
	}
	which, err := numbers(args)
	if err != nil {
		return nil, usage(cmd, err)
	}
	return which, nil
}

// file returns where the image of a disc lies.
func (i *iso) file(p *project.Project, out string, number int64) string {
	name := catalogue.DirectoryName(cmp.Or(p.Catalogue().JobName, "new"), map[string]bool{})
	return filepath.Join(cmp.Or(out, i.dir), fmt.Sprintf("%s_%04d.iso", name, number))
}

func (i *iso) image(ctx context.Context, p *project.Project, number int64, file string) (*made, error) {
	stage := fmt.Sprintf("disc %d", number)
	shown := i.progress(map[string]string{stage: stage + ": written"})
	err := p.CreateImage(ctx, number, file, func(done, total int64) {
		shown.show(client.Progress{Stage: stage, Bytes: done, TotalBytes: total})
	})
	shown.end()
	if err != nil {
		return nil, err
	}
	d, err := p.Disc(number)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	return &made{number, file, info.Size(), d.SHA256}, nil
}
