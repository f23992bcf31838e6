package cli

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/project"
	"github.com/odarchive/odarchive/archive/tree"
	"github.com/odarchive/odarchive/internal/client"
)

// offline is the group of commands that need no controller.
const offline = "offline"

// iso is what the commands of disc images without a controller have in common. Each stands below `odarchive iso` under its modern
// name and, where odarchive 0.1 had it, at the top under that program's.
type iso struct {
	*app
	dir string // of the project
}

func (a *app) iso() *cobra.Command {
	i := &iso{app: a}
	c := &cobra.Command{
		Use: "iso", Short: "Make sets of disc images of folders, burn and restore them", Args: cobra.NoArgs,
		Long: `Makes sets of disc images of folders. The work is kept between commands in a project folder (--project, by default the current
one): catalogue.json is the plan, and every disc of the set carries it.`,
		Example: `  odarchive iso scan ~/photos           hash all files
  odarchive iso plan bd                 which file on which BD-R
  odarchive iso create all              make the images
  odarchive iso write 0 --device /dev/sr0
  odarchive iso restore new_*.iso --to /tmp/back`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.PersistentFlags().StringVar(&i.dir, "project", ".", "folder of the project")
	c.AddCommand(i.scan("scan DIR"), i.plan("plan SIZE"), i.count("count"), i.create("create [N…|all]"), i.write("write [N…]"), i.info(), i.open(), i.merge(), i.restore("restore DISC… --to DIR"), a.isoVerify())
	return c
}

// ancestors returns the commands under the names that odarchive 0.1 had.
func (a *app) ancestors() (all []*cobra.Command) {
	i := &iso{app: a}
	for _, c := range []*cobra.Command{
		i.scan("create_db DIR"), i.scan("init DIR"), i.plan("plan_iso SIZE"), i.plan("segment SIZE"), i.count("num_isos"), i.create("create_iso [N…|all]"), i.write("write_iso [N…]"),
	} {
		c.Flags().StringVar(&i.dir, "project", ".", "folder of the project")
		all = append(all, c)
	}
	return append(all, i.restoreOrQuote())
}

// restoreOrQuote is restore, and with --quote what get says of an archive of a controller's before it brings that back.
func (i *iso) restoreOrQuote() *cobra.Command {
	var q quoting
	c := i.restore("restore DISC… --to DIR | ARCHIVE [PATH…] --quote")
	q.flags(c)
	c.Long += " With --quote,\nrestore says what that would take, as get does."
	run := c.RunE
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if q.wanted {
			return i.quote(cmd, args, &q)
		}
		return run(cmd, args)
	}
	return c
}

// with runs f with the project.
func (i *iso) with(f func(p *project.Project) error) (err error) {
	p, err := project.Open(i.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	return f(p)
}

// summary is what commands print of a project.
type summary struct {
	SetID    string                 `json:"set_id"`
	GUID     string                 `json:"guid"`
	Files    int                    `json:"files"` // names
	Contents int                    `json:"contents"`
	Bytes    int64                  `json:"bytes"` // of contents
	Waiting  int64                  `json:"bytes_waiting"`
	Medium   string                 `json:"medium,omitempty"`
	Capacity int64                  `json:"capacity_bytes,omitempty"`
	Archives []catalogue.SetArchive `json:"archives"`
	Discs    []catalogue.SetDisc    `json:"discs"`
}

func summarize(p *project.Project) *summary {
	c := p.Catalogue()
	s := &summary{SetID: c.SetID, GUID: c.GUID, Contents: len(c.Entries), Medium: c.Medium, Capacity: c.Segment, Archives: c.Archives, Discs: c.Discs}
	for _, e := range c.Entries {
		s.Files += len(e.Names)
		s.Bytes += e.Size
		if len(e.Runs) == 0 {
			s.Waiting += e.Size
		}
	}
	return s
}

func (i *iso) show(p *project.Project) error {
	s := summarize(p)
	return i.print(s, func(w io.Writer) {
		fmt.Fprintf(w, "%d files, %d contents, %s", s.Files, s.Contents, size(s.Bytes))
		if s.Waiting > 0 {
			fmt.Fprintf(w, "; %s on no disc yet: plan with plan_iso", size(s.Waiting))
		}
		fmt.Fprintln(w)
		if len(s.Discs) == 0 {
			return
		}
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "DISC\tLABEL\tSTATE\tIMAGE\tMEDIUM\tPLANNED")
		for _, d := range s.Discs {
			fmt.Fprintln(t, cells(d.Number, d.Label, d.State, size(d.Sectors*archive.SectorSize), d.Medium, d.Created.Local().Format(time.DateTime)))
		}
		t.Flush()
	})
}

func (i *iso) scan(use string) *cobra.Command {
	var o tree.Options
	var name string
	var bases []string
	c := &cobra.Command{
		Use:   use,
		Short: "Hash all files of a folder and add it to the project",
		Long: `Reads all files of the folder, on all processors, and notes them in catalogue.json. Done again it takes in what changed: what is on
discs that were made stays there, the rest is planned anew. Another folder is added to the same set.

--base takes in the catalogue of older discs, of this program or odarchive 0.1, so that what they hold is not planned again.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := errors.Join(checkJobs(o.Jobs), i.outside(args[0])); err != nil {
				return usage(cmd, err)
			}
			p, err := project.Open(i.dir)
			if errors.Is(err, project.ErrNone) || errors.Is(err, errNoFolder) {
				p, err = project.Create(i.dir, name)
			}
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, p.Close()) }()
			shown := i.progress(map[string]string{"scan": "hashed"})
			o.Progress = i.serial(func(files, bytes int64) { shown.show(client.Progress{Stage: "scan", Files: files, Bytes: bytes}) })
			o.Skipped = func(path string, err error) {
				fmt.Fprintf(i.stderr, "left out: %s: %v\n", printable(path), err)
				i.partial = true
			}
			_, err = p.Add(cmd.Context(), args[0], o)
			shown.end()
			if err != nil {
				return err
			}
			for _, b := range bases {
				if err := p.Merge(cmd.Context(), b); err != nil {
					return fmt.Errorf("take in %s: %w", b, err)
				}
			}
			return i.show(p)
		},
	}
	f := c.Flags()
	f.StringVar(&name, "name", "new", "name of the job: its images are called NAME_0000.iso and so on")
	f.StringArrayVar(&bases, "base", nil, "catalogue of older discs; may be given several times")
	f.BoolVar(&o.KeepGoing, "keep-going", false, "leave out what can't be read and exit with 4")
	f.BoolVar(&o.OneFileSystem, "one-file-system", false, "leave out what is mounted below the folder")
	f.IntVar(&o.Jobs, "jobs", 0, "files to read at a time (default one for each processor)")
	return c
}

// outside refuses a project within the folder that it archives: it would archive itself.
func (i *iso) outside(folder string) error {
	source, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(i.dir)
	if err != nil {
		return err
	}
	if rel, err := filepath.Rel(source, dir); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return fmt.Errorf("the project in %s is within the folder that it is to archive: choose another one with --project", dir)
	}
	return nil
}

func (i *iso) plan(use string) *cobra.Command {
	var itself bool
	var files []string
	c := &cobra.Command{
		Use:   use,
		Short: "Plan which file goes on which disc",
		Long: `Plans discs of SIZE: bytes, as in 25025314816 or 23GB, or a medium: ` + strings.Join(project.Media(), ", ") + `.

Folders of less than a gigabyte stay on one disc, a file that no disc holds is split. Discs that were made stay as they are.

With --with-program every disc carries this program, which has to be static, and its source, which lies beside it as ` + sourceName + `, in the folder
odarchive; README.txt tells the finder what to do with it. --program adds other files, as the program for another machine.`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: cobra.FixedCompletions(project.Media(), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			text := strings.Join(args, " ")
			capacity, err := project.Capacity(text)
			if err != nil {
				return usage(cmd, err)
			}
			return i.with(func(p *project.Project) error {
				with, err := programFiles(itself, files)
				if err != nil {
					return err
				}
				if err := p.UseProgram(with...); err != nil {
					return err
				}
				if err := p.Plan(capacity, text); err != nil {
					return err
				}
				return i.show(p)
			})
		},
	}
	c.Flags().BoolVar(&itself, "with-program", false, "put this program and its source on every disc")
	c.Flags().StringArrayVar(&files, "program", nil, "put this file beside it; may be given several times")
	return c
}

func (i *iso) count(use string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: "Print how many discs the plan has", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return i.with(func(p *project.Project) error {
				n := len(p.Catalogue().Discs)
				if n == 0 {
					return errNoPlan
				}
				return i.print(map[string]int{"discs": n}, func(w io.Writer) { fmt.Fprintln(w, n) })
			})
		},
	}
}

func (i *iso) info() *cobra.Command {
	return &cobra.Command{
		Use: "info", Aliases: []string{"discs"}, Short: "Show the project's discs and archives", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return i.with(i.show) },
	}
}

func (i *iso) open() *cobra.Command {
	var burned bool
	c := &cobra.Command{
		Use:   "open CATALOGUE",
		Short: "Make a project of an old catalogue, as on a disc",
		Long: `Makes a project of an old catalogue.json with the manifests in archives beside it, as they lie on every disc of a set. It is the same
plan again: its discs can be made, just as they were, where the files still are. With --burned all of them exist, and only what
is new will be planned.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) (err error) {
			p, err := project.Import(i.dir, args[0], burned)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, p.Close()) }()
			return i.show(p)
		},
	}
	c.Flags().BoolVar(&burned, "burned", false, "all its discs exist")
	return c
}

func (i *iso) merge() *cobra.Command {
	return &cobra.Command{
		Use: "merge CATALOGUE…", Short: "Take catalogues of other sets into the project: what their discs hold is not planned again", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			p, err := project.Open(i.dir)
			if errors.Is(err, project.ErrNone) || errors.Is(err, errNoFolder) {
				p, err = project.Create(i.dir, "new")
			}
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, p.Close()) }()
			for _, file := range args {
				if err := p.Merge(cmd.Context(), file); err != nil {
					return fmt.Errorf("merge %s: %w", file, err)
				}
			}
			return i.show(p)
		},
	}
}

// numbers reads numbers of discs.
func numbers(args []string) (all []int64, err error) {
	for _, a := range args {
		n, err := strconv.ParseInt(a, 10, 64)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is no number of a disc: they are counted from 0", a)
		}
		all = append(all, n)
	}
	return all, nil
}
