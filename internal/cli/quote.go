package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// quoting is how soon an archive is wanted, and whether only what that takes.
type quoting struct {
	wanted      bool
	tier, vault string
	within      time.Duration
}

var tiers = map[string]pb.Tier{"expedited": pb.Tier_TIER_EXPEDITED, "standard": pb.Tier_TIER_STANDARD, "bulk": pb.Tier_TIER_BULK}

func (q *quoting) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&q.tier, "tier", "standard", "how soon: expedited (5 minutes), standard (5 hours) or bulk (12 hours)")
	f.StringVarP(&q.vault, "vault", "v", "", "take ARCHIVE as a name in this vault")
	f.BoolVar(&q.wanted, "quote", false, "say what it would take, and start nothing")
	f.DurationVar(&q.within, "within", 0, "with --quote: when it is wanted (default what the tier promises)")
}

// class returns the tier.
func (q *quoting) class() (pb.Tier, error) {
	t, ok := tiers[q.tier]
	if !ok {
		return 0, fmt.Errorf("there is no tier %q: want expedited, standard or bulk", q.tier)
	}
	return t, nil
}

// quote asks what a retrieval of an archive, or of paths of it, would take.
func (a *app) quote(cmd *cobra.Command, args []string, q *quoting) error {
	tier, err := q.class()
	if err != nil {
		return usage(cmd, err)
	}
	if err := checkWait("within", q.within); err != nil {
		return usage(cmd, err)
	}
	req := &pb.QuoteRetrievalRequest{Tier: tier, WithinSeconds: int64(q.within / time.Second)}
	for _, p := range args[1:] {
		req.Paths = append(req.Paths, []byte(p))
	}
	return a.with(func(c *client.Client) error {
		x, err := find(cmd, c, args[0], q.vault)
		if err != nil {
			return err
		}
		req.ArchiveId = x.GetId()
		q, err := c.Retrievals.QuoteRetrieval(cmd.Context(), req)
		if err != nil {
			return err
		}
		return a.print(q, func(w io.Writer) { showQuote(w, q) })
	})
}

func showQuote(w io.Writer, q *pb.Quote) {
	span := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)).Round(time.Second) }
	if len(q.GetDiscs()) == 0 {
		fmt.Fprintln(w, "it is all at hand: no disc is needed")
	} else {
		fmt.Fprintf(w, "%s from %d discs (%s), %d exchanges, %.1f drive-minutes\n", size(q.GetBytes()), len(q.GetDiscs()),
			printable(strings.Join(q.GetDiscs(), ", ")), q.GetExchanges(), q.GetDriveSeconds()/60)
		fmt.Fprintf(w, "done after %v in half of all cases, %v in 95 %%, %v in 99.9 %%\n", span(q.GetSeconds_50()), span(q.GetSeconds_95()), span(q.GetSeconds_99_9()))
	}
	if !q.GetInTime() {
		fmt.Fprintln(w, "it can't be done when it is wanted; what can be promised instead:")
	}
	fmt.Fprintf(w, "promised by %s when you accept it by %s: --accept %s\n", when(q.GetDue()), when(q.GetExpires()), q.GetId())
}
