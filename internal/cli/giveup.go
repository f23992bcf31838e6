package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// myself is whom discs' records name: the one who types, and where.
func myself() string {
	host, _ := os.Hostname()
	u, err := user.Current()
	if err != nil {
		return host
	}
	return u.Username + "@" + host
}

func (a *app) lostDiscs() *cobra.Command {
	var yes, dry bool
	var reason string
	c := &cobra.Command{
		Use: "lost DISC… --reason WHY", ValidArgsFunction: a.offer(discLabels, -1), Short: "Say that discs are not to be had any more", Args: cobra.MinimumNArgs(1),
		Long: `Says that discs are not to be had any more: burned, stolen, broken. First it tells what that comes to, and asks; --dry-run tells only, --yes doesn't ask.

Where another disc has the image, the set can make it anew, or it has not left the controller, it is burned onto a new disc, as 'odarchive discs heal' does. What is
nowhere else is gone: retrievals that want it end when the rest of them has come, nobody is asked for the disc any more, 'odarchive archives' says
which archives are not whole, and a later 'odarchive put' of the same bytes uploads them again. Name all discs together that were lost together: a set
bears the loss of some, and not of all. A disc whose replacement was begun and given up is given up for good when you say this once more.

'odarchive discs found DISC' takes it back.`,
		Example: "  odarchive discs lost 0042 --reason 'the vault room burned' --dry-run\n  odarchive discs lost 0042 0043 --reason 'the vault room burned'",
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usage(cmd, errors.New("say why with --reason"))
			}
			if a.json && !yes && !dry {
				return usage(cmd, errors.New("with --json nobody is asked: say --dry-run or --yes"))
			}
			return a.with(func(c *client.Client) error {
				req := &pb.GiveUpDiscsRequest{Discs: args, Reason: reason, By: myself(), DryRun: true}
				loss, err := c.Health.GiveUpDiscs(cmd.Context(), req)
				if err != nil {
					return err
				}
				if dry {
					return a.print(loss, func(w io.Writer) { showLoss(w, loss, "would be") })
				}
				if !yes {
					showLoss(a.stdout, loss, "would be")
					fmt.Fprint(a.stderr, "Give them up? [y/N] ")
					answer, _ := bufio.NewReader(a.stdin).ReadString('\n')
					if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
						return errors.New("nothing was done: the answer was not yes, and --yes was not given")
					}
				}
				req.DryRun, req.MostContents = false, loss.GetContents()
				if loss, err = c.Health.GiveUpDiscs(cmd.Context(), req); err != nil {
					return err
				}
				return a.print(loss, func(w io.Writer) {
					if yes {
						showLoss(w, loss, "are")
					} else {
						fmt.Fprintf(w, "%d discs are given up\n", len(loss.GetDiscs()))
					}
				})
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why; it is written into the discs' records")
	c.Flags().BoolVar(&yes, "yes", false, "don't ask")
	c.Flags().BoolVar(&dry, "dry-run", false, "only tell what it comes to")
	return c
}

func (a *app) foundDiscs() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "found DISC… --reason WHY", ValidArgsFunction: a.offer(discLabels, -1), Short: "Say that discs which were lost have turned up", Args: cobra.MinimumNArgs(1),
		Long: `Takes back what 'odarchive discs lost' said: the discs are suspect until they have been read whole, and what is on them counts again. Say where they are,
too: 'odarchive library set-element slot NUMBER full --disc DISC'. Retrievals that have ended don't begin again by themselves.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(func(c *client.Client) error {
				resp, err := c.Health.FindDiscs(cmd.Context(), &pb.FindDiscsRequest{Discs: args, Reason: reason, By: myself()})
				if err != nil {
					return err
				}
				return a.print(resp, func(w io.Writer) {
					fmt.Fprintf(w, "%d discs count again; they are read whole when they are in the library\n", len(args))
				})
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why: \"it was at the fair\"")
	if err := c.MarkFlagRequired("reason"); err != nil {
		panic(err)
	}
	return c
}

// becomes is what becomes of a lost disc's image.
var becomes = map[pb.Fate]string{
	pb.Fate_FATE_COPY:    "another disc has its image: it is burned anew",
	pb.Fate_FATE_SET:     "its set can make it anew",
	pb.Fate_FATE_SCRATCH: "its image is on the scratch disk: it is burned anew",
	pb.Fate_FATE_STAGING: "its contents are in staging: it is burned anew",
	pb.Fate_FATE_GONE:    "nothing gives its image any more",
}

// shownArchives is how many archives are named that lose something.
const shownArchives = 20

// showLoss shows what giving discs up comes to, or has come to.
func showLoss(w io.Writer, l *pb.GiveUpDiscsResponse, are string) {
	for _, d := range l.GetDiscs() {
		fmt.Fprintf(w, "disc %s: %s\n", printable(d.GetDisc()), becomes[d.GetFate()])
	}
	if l.GetKept() > 0 {
		fmt.Fprintf(w, "%d contents %s taken from the cache into staging, and burned anew\n", l.GetKept(), are)
	}
	if l.GetContents() == 0 {
		fmt.Fprintf(w, "no content %s lost\n", strings.Replace(are, "are", "is", 1))
	} else {
		fmt.Fprintf(w, "%d contents (%s) that are nowhere else %s LOST, of %d archives:\n", l.GetContents(), size(l.GetBytes()), are, l.GetArchiveCount())
	}
	archives := l.GetArchives()
	for _, x := range archives[:min(len(archives), shownArchives)] {
		fmt.Fprintf(w, "  %s  %q in vault %s: %d contents, %s of %s\n", x.GetArchiveId()[:8], x.GetName(), x.GetVault(), x.GetContents(), size(x.GetBytes()), size(x.GetOfBytes()))
	}
	if n := l.GetArchiveCount() - int64(min(len(archives), shownArchives)); n > 0 {
		fmt.Fprintf(w, "  and %d more; --dry-run --json names up to 1,000 of them\n", n)
	}
	for _, s := range l.GetSets() {
		switch {
		case s.GetSpare() > 0:
			fmt.Fprintf(w, "set %s: %d of %d images left; it can lose %d more discs\n", s.GetSetId(), s.GetUsable(), s.GetImages(), s.GetSpare())
		case s.GetUsable() >= s.GetNeed():
			fmt.Fprintf(w, "set %s: %d of %d images left; it can lose no more disc\n", s.GetSetId(), s.GetUsable(), s.GetImages())
		default:
			fmt.Fprintf(w, "set %s: %d of %d images left, and it takes %d to make others anew: its other discs can be read, and have nothing but their own error correction\n",
				s.GetSetId(), s.GetUsable(), s.GetImages(), s.GetNeed())
		}
	}
}
