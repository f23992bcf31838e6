package cli

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/excerpt"
	"github.com/odarchive/odarchive/archive/image"
	"github.com/odarchive/odarchive/archive/survey"
	"github.com/odarchive/odarchive/internal/rebuild"
)

func (a *app) survey() *cobra.Command {
	return &cobra.Command{
		Use: "survey DISC…", Short: "Say which archives a vault's discs give back whole, and which bytes are on none",
		Long: `Reads what discs of a vault say of themselves - images, devices, folders where discs are mounted, folders with images, or with what
"odarchive-agent survey" has copied of the discs in a robot - and says of every archive that
one of them speaks of whether all of its bytes are there, and if not, which files miss which bytes. Any discs do, in any order.
Parity discs carry a snapshot of the library's catalogue: with one, it also names the discs that should exist and were not given, and
the archives of which none of the discs speaks.
It reads lists and not the files themselves: odarchive iso verify reads those. It exits with 4 when something is missing.`,
		Example: "  odarchive survey *.iso\n  odarchive survey --json /dev/sr0 /mnt/disc\n  odarchive survey /var/tmp/survey",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.surveyDiscs(cmd.Context(), args) },
	}
}

// surveyed is what survey prints.
type surveyed struct {
	Discs    []surveyedDisc    `json:"discs"`
	Archives []surveyedArchive `json:"archives"`
	Doubts   []string          `json:"doubts"`
	Missing  surveyedMissing   `json:"missing"`
}

type surveyedDisc struct {
	Image  string `json:"image"`
	Label  string `json:"label"`
	Number int64  `json:"number"`
	Vault  string `json:"vault"`
}

type surveyedArchive struct {
	ID          string           `json:"id"`
	Name        string           `json:"name"`
	Description string           `json:"description"`
	Vault       string           `json:"vault"`
	RootHash    string           `json:"root_hash"`
	Listed      bool             `json:"listed"`
	Contested   bool             `json:"contested"`
	Whole       bool             `json:"whole"`
	Entries     int64            `json:"entries"`
	Bytes       int64            `json:"bytes"`
	Absent      []surveyedAbsent `json:"absent"`
}

type surveyedAbsent struct {
	Path   string        `json:"path"`
	Raw    string        `json:"path_hex,omitempty"` // where the path is not UTF-8
	SHA256 string        `json:"sha256"`
	Size   int64         `json:"size"`
	Gaps   []surveyedGap `json:"gaps"`
	// Privileged: a device, which root alone may make.
	Privileged bool `json:"privileged,omitempty"`
}

type surveyedGap struct {
	Offset int64 `json:"offset"`
	Length int64 `json:"length"`
}

func (a *app) surveyDiscs(ctx context.Context, places []string) (err error) {
	s := &survey.Survey{}
	var opened []io.Closer
	defer func() {
		for _, c := range opened {
			err = errors.Join(err, c.Close())
		}
	}()
	for _, where := range places {
		all, inFolder, err := surveyedIn(where)
		if err != nil {
			return err
		}
		for _, name := range all {
			fsys, c, err := openSurveyed(ctx, name)
			if err == nil {
				opened = append(opened, c)
				err = s.Add(name, fsys)
			}
			if err != nil && inFolder && ctx.Err() == nil { // nobody has named it
				s.Doubts = append(s.Doubts, survey.Doubt{Disc: name, Err: err})
			} else if err != nil {
				return err
			}
		}
	}
	out := surveyed{Discs: []surveyedDisc{}, Archives: []surveyedArchive{}, Doubts: []string{}}
	for _, d := range s.Discs() {
		out.Discs = append(out.Discs, surveyedDisc{d.ImageID, d.Label, d.Number, d.Vault})
	}
	for _, d := range s.Doubts {
		out.Doubts = append(out.Doubts, d.Error())
	}
	a.partial = len(s.Doubts) > 0
	if err := s.Report(func(r survey.Archive) error {
		out.Archives = append(out.Archives, surveyedOf(&r))
		a.partial = a.partial || !r.Whole() || r.Contested
		return nil
	}); err != nil {
		return err
	}
	missing, err := s.Missing()
	if err != nil {
		return err
	}
	out.Missing = surveyedMissingOf(missing)
	a.partial = a.partial || out.Missing.any()
	return a.print(out, out.show)
}

func surveyedOf(r *survey.Archive) surveyedArchive {
	s := surveyedArchive{
		r.ID, r.Name, r.Description, r.Vault, r.RootHash.String(), r.Listed, r.Contested, r.Whole(), r.Entries, r.Bytes, []surveyedAbsent{},
	}
	for _, x := range r.Absent {
		m := surveyedAbsent{Path: x.Path, SHA256: x.Content.Hash.String(), Size: x.Content.Size}
		if printable(x.Path) != x.Path {
			m.Path, m.Raw = printable(x.Path), hex.EncodeToString([]byte(x.Path))
		}
		for _, g := range x.Gaps {
			m.Gaps = append(m.Gaps, surveyedGap(g))
		}
		s.Absent = append(s.Absent, m)
	}
	return s
}

func (s *surveyed) show(w io.Writer) {
	for _, d := range s.Doubts {
		fmt.Fprintln(w, "doubtful:", printable(d))
	}
	for _, r := range s.Archives {
		verdict := "whole"
		switch {
		case !r.Listed:
			verdict = "its list is on none of the discs"
		case !r.Whole:
			verdict = fmt.Sprintf("%d files are not all there", len(r.Absent))
		}
		if r.Contested {
			verdict += "; discs claim several lists of this id, this one has the SHA-256 " + r.RootHash
		}
		fmt.Fprintf(w, "%s  %s  %d entries, %s: %s\n", r.ID, printable(r.Name), r.Entries, size(r.Bytes), verdict)
		for _, x := range r.Absent {
			for _, g := range x.Gaps {
				fmt.Fprintf(w, "  %s: bytes %d to %d of %d, sha256 %s\n", x.Path, g.Offset, g.Offset+g.Length-1, x.Size, x.SHA256)
			}
		}
	}
	s.Missing.show(w)
}

// surveyedIn returns what is to be read of a place: of a folder where no disc of ours is mounted, the images and excerpts in it and below.
func surveyedIn(where string) (all []string, inFolder bool, err error) {
	info, err := os.Stat(where)
	if err != nil {
		return nil, false, err
	}
	if !info.IsDir() || rebuild.IsDisc(where) {
		return []string{where}, false, nil
	}
	if all, err = rebuild.Places([]string{where}); err == nil && len(all) == 0 {
		err = fmt.Errorf("%s is no disc of a vault, and no image or excerpt of one is in it", where)
	}
	return all, true, err
}

// openSurveyed opens an image, a device, an excerpt, or a folder where a disc is mounted.
func openSurveyed(ctx context.Context, where string) (fs.FS, io.Closer, error) {
	info, err := os.Stat(where)
	if err != nil {
		return nil, nil, err
	}
	if info.IsDir() {
		root, err := os.OpenRoot(where)
		if err != nil {
			return nil, nil, err
		}
		return root.FS(), root, nil
	}
	f, err := os.Open(where)
	if err != nil {
		return nil, nil, err
	}
	if excerpt.Is(f) {
		x, err := excerpt.Open(where)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", where, err)
		}
		d, err := survey.Open(ctx, x, x.Sectors)
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("%s: %w", where, err), x.Close())
		}
		return ofDisc{d}, x, nil
	}
	bytes, err := f.Seek(0, io.SeekEnd) // of a device too
	if err == nil {
		var sides *image.Sides
		if sides, err = image.Open(f, bytes/archive.SectorSize); err == nil {
			return sides.FS(), f, nil
		}
	}
	return nil, nil, errors.Join(fmt.Errorf("%s: %w", where, err), f.Close())
}

// ofDisc is the file system of a disc.
type ofDisc struct{ *survey.Disc }

func (d ofDisc) Open(name string) (fs.File, error) { return d.File(name) }
