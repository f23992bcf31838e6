package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// quote asks what a retrieval would take.
func (a *app) quote(cmd *cobra.Command, name, vault string, g client.Get, within time.Duration) error {
	if within < 0 || within > 0 && within < time.Second {
		return usage(cmd, errors.New("--within: want at least a second"))
	}
	req := &pb.QuoteRetrievalRequest{Tier: g.Tier, WithinSeconds: int64(within / time.Second)}
	for _, p := range g.Paths {
		req.Paths = append(req.Paths, []byte(p))
	}
	return a.with(func(c *client.Client) error {
		x, err := find(cmd, c, name, vault)
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
