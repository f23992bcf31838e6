package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/internal/client"
)

func (a *app) setVerify() *cobra.Command {
	return &cobra.Command{
		Use: "verify DIR IMAGE…", Short: "Read a whole set, and say what is bad and whether it can be rebuilt",
		Long: `Reads the parity in DIR and the images, compares checksums, hashes and parity. An image whose identity can't be read is given as
INDEX=FILE. Fails (exit code 1) when anything is bad or absent.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, done, err := openSet(args[0], args[1:])
			if err != nil {
				return err
			}
			defer done()
			p := a.setProgress("verify", "verifying", r.Set)
			report, err := r.Verify(cmd.Context(), p.show)
			p.end()
			if err != nil {
				return err
			}
			err = a.print(struct {
				*discset.Report
				Good        bool `json:"good"`
				Recoverable bool `json:"recoverable"`
			}{report, report.Good(), report.Recoverable()}, func(w io.Writer) { showSetReport(w, report) })
			switch {
			case err != nil || report.Good():
				return err
			case report.Recoverable():
				return errors.New("the set is damaged; all of it can be rebuilt")
			}
			return errors.New("the set is damaged beyond what its parity makes good")
		},
	}
}

func showSetReport(w io.Writer, r *discset.Report) {
	for _, i := range r.Images {
		state := "good"
		switch {
		case !i.Present:
			state = "absent"
		case !i.Good:
			state = fmt.Sprintf("bad: %d sectors can't be read, %d changed", i.Unreadable.Sectors, i.Wrong.Sectors)
		}
		if i.Lost.Sectors > 0 {
			state += fmt.Sprintf("; %d are lost, the first is %d", i.Lost.Sectors, i.Lost.Named[0].First)
		}
		fmt.Fprintf(w, "image %3d  %s  %d sectors  %s\n", i.Index, i.ImageID, i.Sectors, state)
	}
	fmt.Fprintf(w, "worst row: %d bad sectors, %d can be made good\n", r.Worst, r.Parity)
	if r.Inconsistent.Sectors > 0 {
		fmt.Fprintf(w, "%d rows of parity are not those of the data\n", r.Inconsistent.Sectors)
	}
}

func (a *app) setRebuild() *cobra.Command {
	var which, to string
	var keep bool
	c := &cobra.Command{
		Use: "rebuild DIR --image N --to FILE IMAGE…", Short: "Write a lost or damaged image of a set anew",
		Long: `Writes an image of the set in DIR into FILE, bit by bit as it was: what is good of it as it is, the rest from the other images, of
which only as much is read as is needed. FILE has its name only when it is whole and its hash is right; with --keep-damaged also when
sectors are lost, which are zero in it.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			index, err := strconv.Atoi(which)
			if err != nil || to == "" {
				return usage(cmd, errors.New("--image takes an image's number in the set, and --to a file"))
			}
			r, done, err := openSet(args[0], args[1:])
			if err != nil {
				return err
			}
			defer done()
			part := to + ".part"
			f, err := os.Create(part)
			if err != nil {
				return err
			}
			p := a.setProgress("rebuild", "rebuilding", r.Set)
			found, err := r.Rebuild(cmd.Context(), map[int]io.Writer{index: f}, p.show)
			p.end()
			lost, _ := errors.AsType[*discset.LostError](err)
			if closing := errors.Join(f.Sync(), f.Close()); closing != nil || err != nil && (lost == nil || !keep) {
				return errors.Join(err, closing, os.Remove(part))
			}
			if err := os.Rename(part, to); err != nil || lost != nil {
				return errors.Join(err, lost)
			}
			return a.print(map[string]any{"image": index, "rebuilt_sectors": found.Rebuilt, "worst_row": found.Worst}, func(w io.Writer) {
				fmt.Fprintf(w, "image %d is in %s: %d sectors were rebuilt\n", index, to, found.Rebuilt)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&which, "image", "", "number of the image in the set; parity file i is number k+i")
	f.StringVar(&to, "to", "", "file to write")
	f.BoolVar(&keep, "keep-damaged", false, "keep the file when sectors are lost")
	return c
}

// setProgress shows how far a set has been read, in bytes of its longest image.
type setProgress struct {
	*progress
	stage string
	total int64
}

func (a *app) setProgress(stage, verb string, s *discset.Set) *setProgress {
	return &setProgress{a.progress(map[string]string{stage: verb}), stage, s.Sectors() * archive.SectorSize}
}

func (p *setProgress) show(n int64) {
	p.progress.show(client.Progress{Stage: p.stage, Bytes: n, TotalBytes: p.total})
}
