package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// parseSet takes "12+2"; an empty text is none.
func parseSet(s string) (data, parity int32, err error) {
	if s == "" {
		return 0, 0, nil
	}
	var rest string
	if n, _ := fmt.Sscanf(s+" ", "%d+%d%s", &data, &parity, &rest); n != 2 || data < 1 || parity < 1 || data > 255 || parity > 255-data {
		return 0, 0, fmt.Errorf("%q is no set: want discs that share parity, and parity discs, as in 12+2, at most 255 together", s)
	}
	return data, parity, nil
}

func (a *app) sets() *cobra.Command {
	var vault string
	var bare bool
	c := &cobra.Command{
		Use: "sets", Short: "List the sets of discs that share parity", Args: cobra.NoArgs,
		Long: `Lists the sets of discs that share parity, the newest first. SPARE is how many more of a set's discs may be lost before files are; nothing is to spare
while no parity disc is verified. A set is open while discs join it, closed while its parity is being made, and sealed when that is final. PARITY DISCS is "none" while
none is verified, or when none is good any more.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(func(c *client.Client) error {
				resp, err := c.Library.ListSets(cmd.Context(), &pb.ListSetsRequest{Vault: vault})
				if err != nil {
					return err
				}
				sets := resp.GetSets()
				if bare {
					sets = slices.DeleteFunc(sets, func(s *pb.DiscSet) bool { return s.GetState() == pb.DiscSet_STATE_OPEN || hasParity(s) })
				}
				return list(a, sets, "SET\tVAULT\tLIBRARY\tSTATE\tTAKES\tDISCS\tPARITY DISCS\tSPARE", showSet)
			})
		},
	}
	c.Flags().StringVarP(&vault, "vault", "v", "", "only of this vault")
	c.Flags().BoolVar(&bare, "without-parity", false, "only those that no disc joins any more and that have no good parity disc")
	return c
}

// hasParity says whether one of a set's parity discs is good.
func hasParity(s *pb.DiscSet) bool {
	return slices.ContainsFunc(s.GetMembers(), func(m *pb.SetMember) bool { return m.GetIndex() >= s.GetData() && len(m.GetDiscs()) > 0 })
}

func showSet(s *pb.DiscSet) string {
	var data, parity []string
	for _, m := range s.GetMembers() {
		discs := "-"
		if len(m.GetDiscs()) > 0 {
			discs = strings.Join(m.GetDiscs(), "/")
		}
		if m.GetIndex() < s.GetData() {
			data = append(data, discs)
		} else {
			parity = append(parity, discs)
		}
	}
	if !hasParity(s) {
		parity = []string{"none"}
	}
	return cells(s.GetId(), s.GetVault(), s.GetLibrary(), word(s.GetState(), "STATE_"), fmt.Sprintf("%d+%d", s.GetData(), s.GetParity()),
		strings.Join(data, ","), strings.Join(parity, ","), s.GetSpare())
}

func (a *app) closeSet() *cobra.Command {
	return &cobra.Command{
		Use: "close-set SET", Short: "End a set with the discs that it has, and make its parity discs", Args: cobra.ExactArgs(1),
		Long: `Ends an open set with the discs that it has: its parity is made and burned. Discs to come begin another set, so each set that is closed early costs
as many parity discs as a full one.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(func(c *client.Client) error {
				s, err := c.Library.CloseSet(cmd.Context(), &pb.CloseSetRequest{Id: args[0]})
				if err != nil {
					return err
				}
				return a.print(s, func(w io.Writer) {
					fmt.Fprintf(w, "set %s has %d discs and is %s: 'odarchive library sets' shows its parity discs\n", s.GetId(), len(s.GetMembers()), word(s.GetState(), "STATE_"))
				})
			})
		},
	}
}
