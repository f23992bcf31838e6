package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

func (a *app) endLeases() *cobra.Command {
	return &cobra.Command{
		Use: "end-leases LIBRARY", Short: "End what the agent of a library was given that will not come back", Args: cobra.ExactArgs(1),
		Long: `Ends all that the agent of a library was given, when it has gone for good and no other is going to drive the library. An agent that is
replaced by another needs none of this: the new one goes on with what the old one was given.

Reads, verifies and builds are queued again. A disc that was being burned is spoiled, whatever is on it, and another one is burned. Where the disc
of a move is nobody knows: both places are flagged.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(func(c *client.Client) error {
				resp, err := c.Library.EndLeases(cmd.Context(), &pb.EndLeasesRequest{Library: args[0]})
				if err != nil {
					return err
				}
				return a.print(resp, func(w io.Writer) {
					fmt.Fprintf(w, "%d tasks of library %s have ended\n", resp.GetEnded(), args[0])
				})
			})
		},
	}
}
