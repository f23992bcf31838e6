package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/project"
	"github.com/odarchive/odarchive/internal/client"
)

func (i *iso) write(use string) *cobra.Command {
	var b burner
	var out string
	var pretend, noVerify bool
	c := &cobra.Command{
		Use:   use,
		Short: "Make the images of all discs, or burn discs with --device",
		Long: `Without --device, makes the images of all discs that have none; where nothing is planned, one image of everything. With --device,
burns the discs with those numbers (without a number, the first that is not burned) one after the other through cdrskin or
xorriso, reads each back and compares every byte.`,
		Example: "  odarchive iso write 3 --device /dev/sr0 --speed 6",
		RunE: func(cmd *cobra.Command, args []string) error {
			return i.with(func(p *project.Project) error {
				if len(p.Catalogue().Discs) == 0 {
					if err := p.Plan(oneImage, "one image"); err != nil {
						return err
					}
				}
				var which []int64
				var err error
				switch {
				case len(args) > 0:
					which, err = i.which(cmd, p, args)
				case b.device == "":
					which = p.Numbers(catalogue.Planned)
				default:
					if which = p.Numbers(catalogue.Planned, catalogue.Created); len(which) == 0 {
						return errors.New("all discs are burned")
					}
					which = which[:1]
				}
				if err != nil {
					return err
				}
				if pretend {
					return i.show(p)
				}
				var all []made
				for k, n := range which {
					if k > 0 && b.device != "" {
						if err := i.prompt(fmt.Sprintf("Put a blank disc for number %d into %s and press Enter: ", n, b.device)); err != nil {
							return err
						}
					}
					m, err := i.burn(cmd, p, &b, n, i.file(p, out, n), !noVerify)
					if err != nil {
						return err
					}
					all = append(all, *m)
				}
				return i.print(all, func(w io.Writer) { showMade(w, all) })
			})
		},
	}
	f := c.Flags()
	f.StringVar(&out, "out", "", "folder for the images (default the project's)")
	f.BoolVar(&pretend, "pretend", false, "plan, but write nothing")
	f.StringVar(&b.device, "device", "", "burner, as in /dev/sr0")
	f.StringVar(&b.program, "program", "", "program that burns: cdrskin or xorriso (default the first that is there)")
	f.StringVar(&b.speed, "speed", "", "speed for that program (default the drive's)")
	f.BoolVar(&noVerify, "no-verify", false, "don't read the disc back")
	return c
}

// burn makes the image of a disc where it isn't there and, with a device, burns it.
func (i *iso) burn(cmd *cobra.Command, p *project.Project, b *burner, number int64, file string, verify bool) (*made, error) {
	d, err := p.Disc(number)
	if err != nil {
		return nil, err
	}
	m := &made{Disc: number, File: file, SHA256: d.SHA256}
	info, err := os.Stat(file)
	if d.SHA256 != "" && err == nil {
		m.Bytes = info.Size()
	} else if m, err = i.image(cmd.Context(), p, number, file); err != nil {
		return nil, err
	}
	if b.device == "" {
		return m, nil
	}
	burning, reading := fmt.Sprintf("burn %d", number), fmt.Sprintf("read %d", number)
	shown := i.progress(map[string]string{burning: fmt.Sprintf("disc %d: burned", number), reading: fmt.Sprintf("disc %d: read back", number)})
	defer shown.end()
	if err := b.burn(cmd.Context(), file, func(done, total int64) { shown.show(client.Progress{Stage: burning, Bytes: done, TotalBytes: total}) }); err != nil {
		return nil, err
	}
	if verify {
		err := b.verify(cmd.Context(), m.SHA256, m.Bytes, func(done int64) { shown.show(client.Progress{Stage: reading, Bytes: done, TotalBytes: m.Bytes}) })
		if err != nil {
			return nil, err
		}
	}
	return m, p.Burned(number)
}
