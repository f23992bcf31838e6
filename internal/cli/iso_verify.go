package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/audit"
	"github.com/odarchive/odarchive/archive/image"
	"github.com/odarchive/odarchive/internal/client"
)

// errFindings ends a verification that found something: what it was has been printed.
var errFindings = errors.New("the image is not as it should be")

// verified is a report as --json prints it.
type verified struct {
	Image   string `json:"image"`
	Label   string `json:"label"`
	ID      string `json:"id,omitempty"`
	UDF     bool   `json:"udf"`
	ISO     bool   `json:"iso9660"`
	Sectors int64  `json:"sectors"`
	Files   int64  `json:"files"`
	Dirs    int64  `json:"directories"`
	Bytes   int64  `json:"bytes"`
	// Says is what the disc says it is: data, parity, or foreign for one that says nothing.
	Says     audit.Kind `json:"says"`
	Archives int64      `json:"archives,omitempty"`
	// Hashed bytes were read and compared with a hash; Unhashed were read, and nobody knows a hash of them.
	Hashed   int64    `json:"hashed_bytes,omitempty"`
	Unhashed int64    `json:"unhashed_bytes,omitempty"`
	Findings []string `json:"findings"`
	More     int64    `json:"more_findings,omitempty"`
}

func (a *app) isoVerify() *cobra.Command {
	var contents bool
	c := &cobra.Command{
		Use:   "verify IMAGE",
		Short: "Check that an image or disc is what every reader expects",
		Long: `Reads all that both sides of an image, UDF and ISO 9660, say about its files, and finds what readers overlook until it hurts:
extents that overlap, counts and identifiers that are wrong, descriptors that differ, files that are not the same on both sides.
Then it holds what the disc says about itself against its files: disc_info.json, catalogue.json, NAMES.TSV, SHA256SUMS and the lists of
the archives, or set.json of a parity disc - names, sizes, times, hashes and where each content lies.

IMAGE is a file or a device with a disc in it. With --contents every byte of every file is read once and compared with its hash.
Exits with 1 if anything is found.`,
		Example: "  odarchive iso verify disc1.iso\n  odarchive iso verify /dev/sr0 --contents --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.verifyImage(cmd.Context(), args[0], contents)
		},
	}
	c.Flags().BoolVar(&contents, "contents", false, "read every byte and compare it with its hash")
	return c
}

func (a *app) verifyImage(ctx context.Context, path string, contents bool) error {
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
	if r.UDF || r.ISO {
		if err := a.auditImage(ctx, f, &out, contents); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := a.print(out, out.show); err != nil {
		return err
	}
	if len(out.Findings) > 0 {
		return errFindings
	}
	return nil
}

// auditImage holds what the disc says of itself against its files.
func (a *app) auditImage(ctx context.Context, f io.ReaderAt, out *verified, contents bool) error {
	s, err := image.Open(f, out.Sectors)
	if err != nil {
		return nil // the findings say so already
	}
	d := audit.Disc{ID: out.ID, Label: out.Label}
	if s.UDF != nil {
		d.UDF = s.UDF
	}
	if s.ISO != nil {
		d.ISO = s.ISO
	}
	const stage = "contents"
	shown := a.progress(map[string]string{stage: "read"})
	defer shown.end()
	r, err := audit.Audit(ctx, d, audit.Options{Contents: contents, Progress: func(done, total int64) {
		shown.show(client.Progress{Stage: stage, Bytes: done, TotalBytes: total})
	}})
	if err != nil {
		return err
	}
	out.Says, out.Archives, out.Hashed, out.Unhashed, out.More = r.Kind, r.Archives, r.Read, r.Unhashed, out.More+r.More
	for _, f := range r.Findings {
		out.Findings = append(out.Findings, f.String())
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
	switch {
	case v.Says == audit.Parity:
		fmt.Fprintln(w, "  parity of a disc set")
	case v.Says == audit.Data:
		fmt.Fprintf(w, "  of %d archives\n", v.Archives)
	}
	if v.Hashed+v.Unhashed > 0 {
		fmt.Fprintf(w, "  %s compared with their hashes", size(v.Hashed))
		if v.Unhashed > 0 {
			fmt.Fprintf(w, ", %s of parts of files read", size(v.Unhashed))
		}
		fmt.Fprintln(w)
	}
	verdict := "nothing is wrong"
	if n := int64(len(v.Findings)) + v.More; n == 1 {
		verdict = "1 thing is wrong"
	} else if n > 1 {
		verdict = fmt.Sprintf("%d things are wrong", n)
	}
	fmt.Fprintf(w, "  %d files in %d directories, %s; %d sectors; %s\n", v.Files, v.Dirs, size(v.Bytes), v.Sectors, verdict)
}
