package cli

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/ecc"
	"github.com/odarchive/odarchive/internal/client"
)

// eccReport is how a report is printed as JSON.
type eccReport struct {
	eccImage
	Unreadable int64      `json:"unreadable"`
	Marked     int64      `json:"marked"`
	Wrong      int64      `json:"wrong"`
	Parity     int64      `json:"parity"`
	Worst      int        `json:"worst"`
	Margin     int        `json:"margin"`
	Repairable int64      `json:"repairable"`
	Lost       int64      `json:"lost"`
	LostRows   int64      `json:"lost_rows"`
	Unproven   int64      `json:"unproven_rows"`
	LostRuns   [][2]int64 `json:"lost_runs"`
	SumMatches *bool      `json:"md5_matches,omitempty"`
}

func (a *app) eccTest() *cobra.Command {
	return &cobra.Command{
		Use:   "test IMAGE",
		Short: "Read an image and say how healthy it is",
		Long: `Reads the whole of IMAGE, a file or a device, checks every sector, and says what is wrong, whether it can be repaired, and how much
margin the worst row of sectors has left. Exits with 4 when anything is wrong that repair would set right, and with 1 when
some of it is lost.

The error correction is found even where the sectors that describe it are destroyed.`,
		Example: "  odarchive ecc test backup.iso\n  odarchive ecc test /dev/sr0 --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, f.Close()) }()
			return a.examineECC(cmd.Context(), args[0], f, nil)
		},
	}
}

func (a *app) eccRepair() *cobra.Command {
	var to string
	c := &cobra.Command{
		Use:   "repair IMAGE",
		Short: "Set right what is wrong with an image",
		Long: `Repairs the file IMAGE in place: only bad sectors are written, and broken off it can be repeated. With --to, IMAGE, a file or a
device, is read only, and a repaired copy is made.

Takes what can't be read, dead sector markers as dvdisaster, and this program, write them into dumps, and sectors with a wrong
CRC. Exits with 1 when some sectors are lost; the others are repaired then.`,
		Example: "  odarchive ecc repair dump.iso\n  odarchive ecc repair /dev/sr0 --to whole.iso",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			path := args[0]
			if to != "" {
				if err := a.dump(cmd.Context(), path, to); err != nil {
					return err
				}
				path = to
			}
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, f.Close()) }()
			return a.examineECC(cmd.Context(), path, f, f)
		},
	}
	c.Flags().StringVar(&to, "to", "", "file to make a repaired copy in; it must not exist")
	return c
}

// dump makes a copy of an image, whatever can be read of it.
func (a *app) dump(ctx context.Context, path, to string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	shown := a.progress(map[string]string{"dump": "copied"})
	_, err = ecc.Dump(ctx, ecc.Source{ReaderAt: f}, end/archive.SectorSize, out, ecc.Options{Progress: shown.sectors("dump")})
	shown.end()
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// sectors shows progress that is counted in sectors.
func (g *progress) sectors(stage string) func(done, total int64) {
	return func(done, total int64) {
		g.show(client.Progress{Stage: stage, Bytes: done * archive.SectorSize, TotalBytes: total * archive.SectorSize})
	}
}

// examineECC tests an image, or repairs it when there is something to write to.
func (a *app) examineECC(ctx context.Context, path string, f, out *os.File) error {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	source := ecc.Source{ReaderAt: f}
	h, err := ecc.Find(ctx, source, end/archive.SectorSize)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	stage, work := "test", func(o ecc.Options) (ecc.Report, error) { return ecc.Test(ctx, source, h, o) }
	if out != nil {
		stage, work = "repair", func(o ecc.Options) (ecc.Report, error) { return ecc.Repair(ctx, source, out, h, o) }
	}
	options := ecc.Options{}
	if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() {
		options.Workers = 1 // a drive has one laser, which two would send to and fro
	}
	shown := a.progress(map[string]string{"test": "tested", "repair": "went through"})
	options.Progress = shown.sectors(stage)
	r, err := work(options)
	shown.end()
	if err == nil && out != nil {
		err = out.Sync()
	}
	if err != nil {
		return err
	}
	report := reported(path, &r)
	if h.HasSum && r.LostRows == 0 && (out != nil || r.Bad() == 0) {
		sum, err := ecc.Sum(ctx, f, (h.Data-1)*archive.SectorSize+int64(h.Last))
		if err != nil {
			return err
		}
		same := sum == h.Sum
		report.SumMatches = &same
	}
	if err := a.print(report, func(w io.Writer) { showReport(w, &r, report, out != nil) }); err != nil {
		return err
	}
	switch {
	case r.LostRows > 0:
		return fmt.Errorf("%s: %d sectors in %d rows: %w", path, r.Lost, r.LostRows, ecc.ErrLost)
	case report.SumMatches != nil && !*report.SumMatches:
		return fmt.Errorf("%s: the data have another MD5 than when they were protected", path)
	case r.Unproven > 0 || out == nil && r.Bad() > 0:
		a.partial = true
	}
	return nil
}

func reported(path string, r *ecc.Report) *eccReport {
	report := &eccReport{
		eccImage:   eccImage{Image: path, DataSectors: r.Data, Sectors: r.Sectors(), LayerSectors: r.Layer, Roots: r.Roots()},
		Unreadable: r.Unreadable, Marked: r.Marked, Wrong: r.Wrong, Parity: r.Parity, Worst: r.Worst, Margin: r.Margin(),
		Repairable: r.Repairable, Lost: r.Lost, LostRows: r.LostRows, Unproven: r.Unproven, LostRuns: [][2]int64{},
	}
	if r.HasSum {
		report.MD5 = hex.EncodeToString(r.Sum[:])
	}
	for _, run := range r.LostRuns {
		report.LostRuns = append(report.LostRuns, [2]int64{run.First, run.Count})
	}
	return report
}

func showReport(w io.Writer, r *ecc.Report, report *eccReport, repaired bool) {
	fmt.Fprintf(w, "%s: %d data sectors, %d in all, %d roots\n", report.Image, r.Data, r.Sectors(), r.Roots())
	if r.Bad() == 0 && r.LostRows == 0 {
		fmt.Fprintln(w, "good: every sector is as it was written")
		return
	}
	for _, line := range []struct {
		n    int64
		text string
	}{
		{r.Unreadable, "can't be read"}, {r.Marked, "are marked as unreadable"}, {r.Wrong, "of data and checksums are wrong"}, {r.Parity, "of parity are wrong"},
	} {
		if line.n > 0 {
			fmt.Fprintf(w, "%d sectors %s\n", line.n, line.text)
		}
	}
	fmt.Fprintf(w, "worst row: %d bad sectors, %d can be borne\n", r.Worst, r.Roots())
	verb := "can be repaired"
	if repaired {
		verb = "are repaired"
	}
	fmt.Fprintf(w, "%d sectors %s\n", r.Repairable, verb)
	if r.Unproven > 0 {
		fmt.Fprintf(w, "in %d rows nothing is left to check that with\n", r.Unproven)
	}
	for i, run := range r.LostRuns {
		if i == 20 {
			fmt.Fprintln(w, "lost: and more; --json names them")
			break
		}
		fmt.Fprintf(w, "lost: sectors %d to %d\n", run.First, run.First+run.Count-1)
	}
}
