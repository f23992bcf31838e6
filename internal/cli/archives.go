package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/tree"
	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

func showArchive(w io.Writer, a *pb.Archive) {
	state := "waits in staging for its discs"
	if a.GetState() == pb.ArchiveState_ARCHIVE_STATE_SAFE {
		state = fmt.Sprintf("safe on %d discs", len(a.GetDiscs()))
	}
	fmt.Fprintf(w, "archive %s\n  %q in vault %s: %d entries, %s; %s\n", a.GetId(), a.GetName(), a.GetVault(), a.GetEntries(), size(a.GetBytes()), state)
	if n := a.GetGoneContents(); n > 0 {
		fmt.Fprintf(w, "  not whole: %d contents of it (%s) are gone, with discs that were given up\n", n, size(a.GetGoneBytes()))
	}
}

// archiveState says of an archive that is not whole how much is missing.
func archiveState(x *pb.Archive) string {
	state := word(x.GetState(), "ARCHIVE_STATE_")
	if x.GetGoneContents() > 0 {
		state += fmt.Sprintf(", %s gone", size(x.GetGoneBytes()))
	}
	return state
}

// showWhole names the libraries that have all of an archive.
func showWhole(a *pb.Archive) string {
	if len(a.GetWholeIn()) == 0 {
		return "no library yet"
	}
	return strings.Join(a.GetWholeIn(), ", ")
}

func (a *app) archives() *cobra.Command {
	var vault string
	c := &cobra.Command{
		Use: "archives", Short: "List archives, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(func(c *client.Client) error {
				var all []*pb.Archive
				for token := ""; ; {
					resp, err := c.Archives.ListArchives(cmd.Context(), &pb.ListArchivesRequest{Vault: vault, PageSize: 1000, PageToken: token})
					if err != nil {
						return err
					}
					all = append(all, resp.GetArchives()...)
					if token = resp.GetNextPageToken(); token == "" {
						break
					}
				}
				return list(a, all, "ID\tVAULT\tNAME\tSEALED\tENTRIES\tBYTES\tSTATE\tDISCS\tWHOLE IN", func(x *pb.Archive) string {
					return cells(x.GetId()[:8], x.GetVault(), x.GetName(), when(x.GetSealed()), x.GetEntries(), size(x.GetBytes()), archiveState(x), len(x.GetDiscs()), showWhole(x))
				})
			})
		},
	}
	c.PersistentFlags().StringVarP(&vault, "vault", "v", "", "only of this vault")
	show := &cobra.Command{
		Use: "show ARCHIVE", Short: "Show one archive", Args: cobra.ExactArgs(1), ValidArgsFunction: a.offer(archiveIDs, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(func(c *client.Client) error {
				x, err := find(cmd, c, args[0], vault)
				if err != nil {
					return err
				}
				return a.print(x, func(w io.Writer) {
					showArchive(w, x)
					fmt.Fprintf(w, "  sealed %s, root hash %x\n  job %s, discs %v; whole in: %s\n", when(x.GetSealed()), x.GetRootHash(), x.GetJobId(), x.GetDiscs(), showWhole(x))
				})
			})
		},
	}
	c.AddCommand(show)
	return c
}

// entryJSON is an entry as `ls --json` prints it.
type entryJSON struct {
	Path   string    `json:"path,omitempty"`
	Raw    []byte    `json:"path_base64,omitempty"` // when the path is not UTF-8
	Kind   string    `json:"kind"`
	Mode   string    `json:"mode"`
	UID    uint32    `json:"uid"`
	GID    uint32    `json:"gid"`
	MTime  time.Time `json:"mtime"`
	Size   int64     `json:"size"`
	SHA256 string    `json:"sha256,omitempty"`
	Target string    `json:"target,omitempty"`
}

func (a *app) ls() *cobra.Command {
	var vault string
	var recursive bool
	c := &cobra.Command{
		Use:               "ls ARCHIVE [PATH]",
		Short:             "List what is in an archive; no disc is needed for that",
		Long:              "Lists a folder of an archive, or everything below it with --recursive. With --json each entry is a document on a line of its own.",
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: a.offer(archiveIDs, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "."
			if len(args) > 1 {
				path = args[1]
			}
			return a.with(func(c *client.Client) error {
				x, err := find(cmd, c, args[0], vault)
				if err != nil {
					return err
				}
				m, err := c.Manifest(cmd.Context(), x.GetId(), []string{path}, !recursive)
				if err != nil {
					return err
				}
				if n := x.GetGoneContents(); n > 0 {
					fmt.Fprintf(a.stderr, "archive %s is not whole: %d contents of it (%s) are gone, with discs that were given up\n", x.GetId()[:8], n, size(x.GetGoneBytes()))
				}
				w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
				defer w.Flush()
				for e, err := range m.Entries() {
					if err != nil {
						return err
					}
					if err := a.entry(w, &e); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	c.Flags().StringVarP(&vault, "vault", "v", "", "take ARCHIVE as a name in this vault")
	c.Flags().BoolVarP(&recursive, "recursive", "r", false, "everything below")
	return c
}

func (a *app) entry(w io.Writer, e *archive.Entry) error {
	if a.json {
		j := entryJSON{Path: e.Path, Kind: e.Kind.String(), Mode: fmt.Sprintf("%04o", e.Mode), UID: e.UID, GID: e.GID, MTime: e.ModTime, Size: e.Content.Size, Target: e.Target}
		if !utf8.ValidString(e.Path) {
			j.Path, j.Raw = "", []byte(e.Path)
		}
		if e.Kind == archive.File {
			j.SHA256 = e.Content.Hash.String()
		}
		return json.NewEncoder(a.stdout).Encode(j)
	}
	name := printable(e.Path)
	switch {
	case e.Kind == archive.Dir:
		name += "/"
	case e.Kind == archive.Symlink:
		name += " -> " + printable(e.Target)
	case e.Kind.HasTarget():
		name += fmt.Sprintf(" (%v %s)", e.Kind, e.Target)
	case e.Kind.Special():
		name += fmt.Sprintf(" (%v)", e.Kind)
	}
	_, err := fmt.Fprintf(w, "%04o\t%d:%d\t%d\t%s\t  %s\n", e.Mode, e.UID, e.GID, e.Content.Size, e.ModTime.Local().Format(time.DateTime), name)
	return err
}

func (a *app) vaults() *cobra.Command {
	c := &cobra.Command{
		Use: "vaults", Aliases: []string{"vault"}, Short: "List vaults", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(func(c *client.Client) error {
				resp, err := c.Vaults.ListVaults(cmd.Context(), &pb.ListVaultsRequest{})
				if err != nil {
					return err
				}
				return list(a, resp.GetVaults(), "NAME\tCOPIES\tAPART\tROOTS\tSPARE AREAS\tMAX WAIT\tSCRUB EVERY\tHEAL\tARCHIVES\tBYTES", showVault)
			})
		},
	}
	var copies, roots int32
	var sets, heal string
	var spare, together bool
	var wait time.Duration
	create := &cobra.Command{
		Use:     "create NAME",
		Short:   "Make a vault",
		Long:    "Makes a vault. Its policy stays: how many discs carry each byte, how much of each disc is error correction, and how long a sealed archive waits at most for its last disc to be filled.\n\nOf the 255ths of a disc, so many as it has roots can be lost in one piece, and of any 255 sectors that belong together, so many scattered; the rest is data. dvdisaster repairs such a disc too.\n\nWith --set 12+2, every 12 discs share 2 parity discs: of these 14 any 2 may be lost, whole. An archive is safe when its discs are verified; the parity discs follow when a set has its 12, after 30 days, or when you say 'odarchive library close-set'.",
		Example: "  odarchive vault create research --copies 2 --max-wait 72h\n  odarchive vault create film --set 12+2\n  odarchive vault create letters --roots 64",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, parity, err := parseSet(sets)
			if err != nil {
				return usage(cmd, err)
			}
			healing, err := parseHealing(heal)
			if err != nil {
				return usage(cmd, err)
			}
			if copies < 1 {
				return usage(cmd, fmt.Errorf("--copies %d: want at least one", copies))
			}
			if err := checkWait("max-wait", wait); err != nil {
				return usage(cmd, err)
			}
			return a.with(func(c *client.Client) error {
				v, err := c.Vaults.CreateVault(cmd.Context(), &pb.CreateVaultRequest{
					Name: args[0], Copies: copies, MaxWaitSeconds: int64(wait / time.Second), Roots: &roots, SpareAreas: spare, SetData: data, SetParity: parity, Healing: healing, Together: together,
				})
				if err != nil {
					return err
				}
				return a.print(v, func(w io.Writer) {
					fmt.Fprintf(w, "vault %s: %d copies, %d roots\n", v.GetName(), v.GetCopies(), v.GetRoots())
					if v.GetSetData() > 0 {
						fmt.Fprintf(w, "its discs share parity in sets of %d+%d\n", v.GetSetData(), v.GetSetParity())
					}
				})
			})
		},
	}
	create.Flags().Int32Var(&copies, "copies", 1, "verified discs that carry each byte")
	create.Flags().Int32Var(&roots, "roots", defaultRoots, "error correction in each disc, 8 to 170 of 255 parts, or 0 for none")
	create.Flags().StringVar(&sets, "set", "", "discs that share parity, and their parity discs, as in 12+2; none when not given")
	create.Flags().StringVar(&heal, "heal", "now", healingHelp)
	create.Flags().BoolVar(&together, "together", false, "make all copies in one library, even where there are several")
	create.Flags().BoolVar(&spare, "spare-areas", false, "format BD-R with spare areas: less room, half the speed, and a drive mends bad places as it burns")
	create.Flags().DurationVar(&wait, "max-wait", 0, "how long an archive waits for a full disc; 0 for as long as it takes, or --flush")
	c.AddCommand(create, a.setVault())
	return c
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func showVault(v *pb.Vault) string {
	wait := "until full"
	if v.GetMaxWaitSeconds() > 0 {
		wait = (time.Duration(v.GetMaxWaitSeconds()) * time.Second).String()
	}
	return cells(v.GetName(), v.GetCopies(), yes(!v.GetTogether()), v.GetRoots(), yes(v.GetSpareAreas()), wait, showDays(v.GetScrubIntervalSeconds()), showHealing(v.GetHealing()), v.GetArchives(), size(v.GetBytes()))
}

func (a *app) compare() *cobra.Command {
	var owners bool
	c := &cobra.Command{
		Use:   "compare DIR DIR",
		Short: "Compare two folders: every byte, and everything that an archive holds of a file",
		Long:  "Compares names, contents, permissions, modification times, hard links, symlinks and extended attributes. Exits with 4 when something differs. No controller is needed.",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			diff, err := tree.Compare(cmd.Context(), args[0], args[1], owners)
			if err != nil {
				return err
			}
			a.partial = len(diff) > 0
			texts := make([]string, len(diff))
			for i, d := range diff {
				texts[i] = d.String()
			}
			return a.print(map[string]any{"equal": len(diff) == 0, "differences": texts}, func(w io.Writer) {
				for _, t := range texts {
					fmt.Fprintln(w, t)
				}
				if len(diff) == 0 {
					fmt.Fprintln(w, "the folders are equal")
				}
			})
		},
	}
	c.Flags().BoolVar(&owners, "owners", false, "compare owners too")
	return c
}
