package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/image"
)

// errFindings ends a verification that found something: what it was has been printed.
var errFindings = errors.New("the image is not as it should be")

// verified is a report as --json prints it.
type verified struct {
	Image    string   `json:"image"`
	Label    string   `json:"label"`
	ID       string   `json:"id,omitempty"`
	UDF      bool     `json:"udf"`
	ISO      bool     `json:"iso9660"`
	Sectors  int64    `json:"sectors"`
	Files    int64    `json:"files"`
	Dirs     int64    `json:"directories"`
	Bytes    int64    `json:"bytes"`
	Findings []string `json:"findings"`
	More     int64    `json:"more_findings,omitempty"`
}

func (a *app) isoVerify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify IMAGE",
		Short: "Check that an image or disc is what every reader expects",
		Long: `Reads all that both sides of an image, UDF and ISO 9660, say about its files, and finds what readers overlook until it hurts:
extents that overlap, counts and identifiers that are wrong, descriptors that differ, files that are not the same on both sides.

IMAGE is a file or a device with a disc in it. Contents are not read; the hashes in SHA256SUMS on the disc are for that. Exits with 1
if anything is found.`,
		Example: "  odarchive iso verify disc1.iso\n  odarchive iso verify /dev/sr0 --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.verifyImage(args[0])
		},
	}
}

func (a *app) verifyImage(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("size of %s: %w", path, err)
	}
	r, err := image.Verify(f, end/archive.SectorSize)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if end%archive.SectorSize != 0 {
		r.Findings = append(r.Findings, image.Finding{Sector: r.Sectors, Text: fmt.Sprintf("the image ends with %d bytes of a sector", end%archive.SectorSize)})
	}
	out := verified{
		Image: path, Label: r.Label, UDF: r.UDF, ISO: r.ISO, Sectors: r.Sectors, Files: r.Files, Dirs: r.Dirs, Bytes: r.Bytes,
		Findings: []string{}, More: r.More,
	}
	if r.Ours() {
		out.ID = r.Name()
	}
	for _, f := range r.Findings {
		out.Findings = append(out.Findings, f.String())
	}
	if err := a.print(out, out.show); err != nil {
		return err
	}
	if len(r.Findings) > 0 {
		return errFindings
	}
	return nil
}

func (v verified) show(w io.Writer) {
	for _, f := range v.Findings {
		fmt.Fprintln(w, f)
	}
	if v.More > 0 {
		fmt.Fprintf(w, "and %d more\n", v.More)
	}
	kind := "neither UDF nor ISO 9660"
	switch {
	case v.UDF && v.ISO:
		kind = "UDF and ISO 9660"
	case v.UDF:
		kind = "UDF"
	case v.ISO:
		kind = "ISO 9660"
	}
	fmt.Fprintf(w, "%s: %s, label %s\n", printable(v.Image), kind, printable(v.Label))
	if v.ID != "" {
		fmt.Fprintf(w, "  disc %s\n", v.ID)
	}
	verdict := "nothing is wrong"
	if n := int64(len(v.Findings)) + v.More; n == 1 {
		verdict = "1 thing is wrong"
	} else if n > 1 {
		verdict = fmt.Sprintf("%d things are wrong", n)
	}
	fmt.Fprintf(w, "  %d files in %d directories, %s; %d sectors; %s\n", v.Files, v.Dirs, size(v.Bytes), v.Sectors, verdict)
}
