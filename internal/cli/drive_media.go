package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// driveMedia says which discs are put into a drive. The scheduler sends no others there, and a job that no drive can serve says so.
func (a *app) driveMedia(name *string) *cobra.Command {
	req := &pb.SetDriveMediaRequest{}
	c := &cobra.Command{
		Use: "media NUMBER [MEDIUM…]", Short: "Say which media a drive takes, and whether it only reads",
		Long: `Says which media a drive takes, by the names that 'odarchive discs' shows; without any it takes every one. Discs of other media are never
put into it. A drive that only reads gets no blank discs, and is given reads before those that burn.`,
		Example: `  odarchive drives media 3 BD-R DVD-R --read-only
  odarchive drives media 3`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := parseNumber(args[0])
			if err != nil {
				return usage(cmd, err)
			}
			return a.with(func(c *client.Client) error {
				if req.Library, err = only(cmd, c, *name); err != nil {
					return err
				}
				req.Number, req.Reads = n, args[1:]
				d, err := c.Library.SetDriveMedia(cmd.Context(), req)
				if err != nil {
					return err
				}
				return a.print(d, func(w io.Writer) {
					what := "every medium"
					if len(d.GetReads()) > 0 {
						what = strings.Join(d.GetReads(), ", ")
					}
					does := "reads and burns"
					if d.GetReadOnly() {
						does = "reads"
					}
					fmt.Fprintf(w, "drive %d of library %s %s %s\n", d.GetNumber(), req.GetLibrary(), does, what)
				})
			})
		},
	}
	c.Flags().BoolVar(&req.ReadOnly, "read-only", false, "it doesn't burn")
	return c
}
