package cli

import "github.com/spf13/cobra"

// iso is what concerns images of discs and needs no library.
func (a *app) iso() *cobra.Command {
	c := &cobra.Command{
		Use: "iso", Short: "Work on images of discs, without a library",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(a.isoVerify())
	return c
}
