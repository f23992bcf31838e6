package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/archive/survey"
	"github.com/odarchive/odarchive/internal/client"
	"github.com/odarchive/odarchive/internal/rebuild"
	"github.com/odarchive/odarchive/library"
)

func (a *app) rebuild() *cobra.Command {
	var database, data string
	var drill bool
	c := &cobra.Command{
		Use: "rebuild DISC… --data FOLDER", Short: "Make a lost database again from the discs themselves",
		Long: `Reads what discs of a library say of themselves - images, devices, folders with images, folders where discs are mounted, what
"odarchive-agent survey" has copied of the discs in a robot - and puts the database together again: vaults, archives, contents, images, where everything lies, disc sets and discs. What a lost disc held is
taken from the other discs of its set where they have it. Any discs do, in any order; more can be read later.

The database must be empty, or be what an earlier rebuild of the same library has begun: a rebuild that was broken off, however,
goes on when it is started again. No controller may run on it. With --data it is the private PostgreSQL of a controller with that
data folder, otherwise give --database. When the controller runs again, it has every disc that it doesn't know in the library loaded, to
see which it is.

With --drill nothing is changed: the database in use stays, its controller may run, and what the discs say is put together beside it and
compared with it. The database's user must be allowed to create databases.

It says of every archive whether all of it is there, and lists what is not. It exits with 4 when something is missing.`,
		Example: "  odarchive rebuild --data /var/lib/odarchive /mnt/images\n  odarchive rebuild --database 'host=/run/postgresql dbname=odarchive' --json *.iso",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (database == "") == (data == "") {
				return usage(cmd, errors.New("want --data or --database: where the catalogue is to be"))
			}
			return a.rebuildCatalogue(cmd.Context(), args, database, data, drill)
		},
	}
	c.Flags().StringVar(&data, "data", "", "data folder of the controller whose private database it is")
	c.Flags().BoolVar(&drill, "drill", false, "rebuild into a database beside the one in use, say how the two differ, and drop it")
	c.Flags().StringVar(&database, "database", "", "address of a PostgreSQL database to use instead")
	return c
}

func (a *app) rebuildCatalogue(ctx context.Context, args []string, database, data string, drill bool) (err error) {
	places, err := rebuild.Places(args)
	if err != nil {
		return err
	}
	if len(places) == 0 {
		return fmt.Errorf("no image is in %s", filepath.Join(args...))
	}
	machines, err := rebuild.Machines(args)
	if err != nil {
		return err
	}
	c, closer, err := a.openCatalogue(ctx, database, data, drill)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	show := a.progress(map[string]string{"read": "reading discs"})
	begun := time.Now()
	r := rebuild.Rebuild{Catalogue: c, Machines: machines, Progress: func(p rebuild.Progress) {
		show.show(client.Progress{Stage: "read", Note: reading(p, time.Since(begun))})
	}}
	result, err := r.Run(ctx, places)
	show.end()
	if err != nil {
		return err
	}
	if len(result.Discs) == 0 {
		for _, d := range result.Doubts {
			return d
		}
	}
	a.partial = a.partial || len(result.Doubts) > 0 || len(result.Missing) > 0
	told := toldOf(result.Told)
	a.partial = a.partial || told.any()
	if a.json {
		return a.rebuiltJSON(ctx, c, result)
	}
	if err := a.rebuilt(ctx, c, result); err != nil {
		return err
	}
	return a.differences(ctx, c, func(d library.Difference) error {
		fmt.Fprintf(a.stdout, "%s %s  %s: %s\n", d.Noun, d.ID, printable(d.Name), d.Kind)
		if d.Kind == library.Differs {
			fmt.Fprintf(a.stdout, "  the database: %s\n  the discs:    %s\n", printable(d.Database), printable(d.Discs))
		}
		return nil
	})
}

// differences calls show for what a drill has found to differ.
func (a *app) differences(ctx context.Context, c rebuild.Catalogue, show func(library.Difference) error) error {
	d, ok := c.(rebuild.Drill)
	if !ok {
		return nil
	}
	return d.Compare(ctx, func(d library.Difference) error {
		a.partial = true
		return show(d)
	})
}

// reading says how far it is, how fast, and how long it still takes.
func reading(p rebuild.Progress, took time.Duration) string {
	text := fmt.Sprintf("%d of %d discs, %d entries of archives", p.Discs, p.Total, p.Entries)
	if took < time.Second || p.Discs == 0 || p.Discs == p.Total {
		return text
	}
	rate := float64(p.Discs) / took.Seconds()
	left := time.Duration(float64(p.Total-p.Discs) / rate * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf("%s, %.1f discs/s, %v left", text, rate, left)
}

// rebuilt prints what was read and what every archive lacks.
func (a *app) rebuilt(ctx context.Context, c rebuild.Catalogue, r *rebuild.Result) error {
	w := a.stdout
	for _, d := range r.Doubts {
		fmt.Fprintln(w, "doubtful:", printable(d.Error()))
	}
	lost, known := r.Lost()
	fmt.Fprintf(w, "%d discs read", len(r.Discs)-lost)
	if known > 0 {
		fmt.Fprintf(w, ", %d of them earlier", known)
	}
	if lost > 0 {
		fmt.Fprintf(w, "; %d that were not there are known from their sets", lost)
	}
	fmt.Fprintln(w)
	for _, m := range r.Missing {
		fmt.Fprintf(w, "missing: disc %s, image %s, and its set %s can't give it back\n", printable(m.Label), m.Image, m.Set)
	}
	if r.Settled > 0 {
		fmt.Fprintf(w, "%d slots are known from the survey of their robot\n", r.Settled)
	}
	switch {
	case r.Unsealed == 1:
		fmt.Fprintln(w, "1 set was without parity: it is closed with the discs that it has, and gets its parity when the controller runs")
	case r.Unsealed > 1:
		fmt.Fprintf(w, "%d sets were without parity: they are closed with the discs that they have, and get their parity when the controller runs\n", r.Unsealed)
	}
	told := toldOf(r.Told)
	told.show(w)
	return c.Report(ctx, func(v survey.Verdict, files iter.Seq2[survey.Lack, error]) error {
		a.partial = a.partial || !v.Whole() || v.Contested
		fmt.Fprintf(w, "%s  %s  %d entries, %s: %s\n", v.ID, printable(v.Name), v.Entries, size(v.Bytes), verdict(&v))
		for x, err := range files {
			if err != nil {
				return err
			}
			showGaps(w, &x, "absent", x.Absent)
			showGaps(w, &x, "from its set", x.FromSets)
		}
		return nil
	})
}

func verdict(v *survey.Verdict) (text string) {
	switch {
	case !v.Listed:
		text = "its list is on none of the discs"
	case v.Whole():
		text = "whole"
	case v.Recoverable():
		text = fmt.Sprintf("whole with the parity of its sets, which have to give back %s of %d files", size(v.FromSetsBytes), v.FromSetsFiles)
	default:
		text = fmt.Sprintf("%s of %d files are absent", size(v.AbsentBytes), v.AbsentFiles)
		if v.FromSetsFiles > 0 {
			text += fmt.Sprintf(", and sets have to give back %s of %d files", size(v.FromSetsBytes), v.FromSetsFiles)
		}
	}
	if v.Contested {
		text += "; discs claim several lists of this id, this one has the SHA-256 " + v.RootHash.String()
	}
	return text
}

func showGaps(w io.Writer, x *survey.Lack, what string, gaps []survey.Gap) {
	for _, g := range gaps {
		fmt.Fprintf(w, "  %s: %s: bytes %d to %d of %d, sha256 %v\n", what, printable(x.Path), g.Offset, g.Offset+g.Length-1, x.Content.Size, x.Content.Hash)
	}
}

// The document that rebuild prints with --json. Archives, and the files of each, come as they are found.
type rebuiltDisc struct {
	Place  string `json:"place"`
	Image  string `json:"image"`
	Label  string `json:"label"`
	Vault  string `json:"vault"`
	Parity bool   `json:"parity"`
	Lost   bool   `json:"from_set"`
	Known  bool   `json:"read_before"`
}

type rebuiltArchive struct {
	ID            string `json:"id"`
	Name          string `json:"name"`
	Description   string `json:"description"`
	Vault         string `json:"vault"`
	RootHash      string `json:"root_hash"`
	Listed        bool   `json:"listed"`
	Contested     bool   `json:"contested"`
	Whole         bool   `json:"whole"`
	Recoverable   bool   `json:"recoverable"`
	Entries       int64  `json:"entries"`
	Bytes         int64  `json:"bytes"`
	AbsentFiles   int64  `json:"absent_files"`
	AbsentBytes   int64  `json:"absent_bytes"`
	FromSetsFiles int64  `json:"from_sets_files"`
	FromSetsBytes int64  `json:"from_sets_bytes"`
}

type rebuiltFile struct {
	Path     string        `json:"path"`
	Raw      string        `json:"path_hex,omitempty"` // where the path is not UTF-8
	SHA256   string        `json:"sha256"`
	Size     int64         `json:"size"`
	Absent   []surveyedGap `json:"absent"`
	FromSets []surveyedGap `json:"from_sets"`
}

func (a *app) rebuiltJSON(ctx context.Context, c rebuild.Catalogue, r *rebuild.Result) error {
	discs := []rebuiltDisc{}
	for _, d := range r.Images() {
		discs = append(discs, rebuiltDisc(d))
	}
	missing := []map[string]any{}
	for _, m := range r.Missing {
		missing = append(missing, map[string]any{"set": m.Set, "index": m.Index, "image": m.Image, "label": m.Label})
	}
	doubts := []string{}
	for _, d := range r.Doubts {
		doubts = append(doubts, d.Error())
	}
	s := stream{w: a.stdout}
	s.put("{")
	s.member("discs", discs)
	s.put(",")
	s.member("missing", missing)
	s.put(",")
	s.member("doubts", doubts)
	s.put(",")
	s.member("unsealed_sets", r.Unsealed)
	s.put(",")
	s.member("told", toldOf(r.Told))
	s.put(fmt.Sprintf(`,"slots":%d,"entries":%d,"seconds":%.3f,"archives":[`, r.Settled, r.Entries, r.Took.Seconds()))
	first := true
	err := c.Report(ctx, func(v survey.Verdict, files iter.Seq2[survey.Lack, error]) error {
		a.partial = a.partial || !v.Whole() || v.Contested
		if !first {
			s.put(",")
		}
		first = false
		return s.archive(&v, files)
	})
	if err != nil {
		return err
	}
	s.put("]")
	if _, drill := c.(rebuild.Drill); drill {
		s.put(`,"differences":[`)
		first := true
		if err := a.differences(ctx, c, func(d library.Difference) error {
			if !first {
				s.put(",")
			}
			first = false
			s.value(map[string]string{
				"noun": d.Noun, "id": d.ID, "name": printable(d.Name), "kind": string(d.Kind), "database": printable(d.Database), "discs": printable(d.Discs),
			})
			return s.err
		}); err != nil {
			return err
		}
		s.put("]")
	}
	s.put("}\n")
	return s.err
}

// stream writes a JSON document piece by piece, so that its size doesn't matter.
type stream struct {
	w   io.Writer
	err error
}

func (s *stream) put(text string) {
	if s.err == nil {
		_, s.err = io.WriteString(s.w, text)
	}
}

func (s *stream) value(v any) {
	b, err := json.Marshal(v)
	if s.err == nil {
		s.err = err
	}
	s.put(string(b))
}

func (s *stream) member(name string, v any) {
	s.value(name)
	s.put(":")
	s.value(v)
}

func (s *stream) archive(v *survey.Verdict, files iter.Seq2[survey.Lack, error]) error {
	head, err := json.Marshal(rebuiltArchive{
		v.ID, v.Name, v.Description, v.Vault, v.RootHash.String(), v.Listed, v.Contested, v.Whole(), v.Recoverable(), v.Entries, v.Bytes,
		v.AbsentFiles, v.AbsentBytes, v.FromSetsFiles, v.FromSetsBytes,
	})
	if err != nil {
		return err
	}
	s.put(string(head[:len(head)-1]))
	s.put(`,"files":[`)
	first := true
	for x, err := range files {
		if err != nil {
			return err
		}
		if !first {
			s.put(",")
		}
		first = false
		f := rebuiltFile{Path: x.Path, SHA256: x.Content.Hash.String(), Size: x.Content.Size, Absent: surveyedGaps(x.Absent), FromSets: surveyedGaps(x.FromSets)}
		if printable(x.Path) != x.Path {
			f.Path, f.Raw = printable(x.Path), hex.EncodeToString([]byte(x.Path))
		}
		s.value(f)
	}
	s.put("]}")
	return s.err
}

func surveyedGaps(gaps []survey.Gap) []surveyedGap {
	all := make([]surveyedGap, len(gaps))
	for i, g := range gaps {
		all[i] = surveyedGap(g)
	}
	return all
}
