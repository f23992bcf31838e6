package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

func (a *app) heal() *cobra.Command {
	return &cobra.Command{
		Use: "heal DISC", ValidArgsFunction: a.offer(discLabels, 1), Short: "Replace a disc by a new one with the same image", Args: cobra.ExactArgs(1),
		Long: `Has the disc's image copied from whichever of its discs still gives it (repaired by the error correction on it), or rebuilt from the
set whose parity it shares when none does, burned onto a blank disc and verified. Then the old disc is retired. 'odarchive discs show DISC' tells how far that is.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(func(c *client.Client) error {
				h, err := c.Health.HealDisc(cmd.Context(), &pb.HealDiscRequest{Disc: args[0]})
				if err != nil {
					return err
				}
				return a.print(h, func(w io.Writer) { showVerdict(w, h) })
			})
		},
	}
}
