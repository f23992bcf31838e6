package cli

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/internal/client"
	"github.com/odarchive/odarchive/library/durability"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

const year = 365.25 * 24 * time.Hour

func (a *app) durability() *cobra.Command {
	var failures int
	var observed bool
	var media []*pb.ObservedMedium
	var vault string
	var discYears, confidence float64
	var discs, days int
	p := durability.Plan{Data: 12, Parity: 2}
	c := &cobra.Command{
		Use: "durability", Short: "Compute what discs are likely to lose: what if", Args: cobra.NoArgs,
		Long: `Computes how likely data is lost for good, from how often a disc fails, how many discs protect each other and how often they are read
whole. The rate is given with --rate, or follows from what was observed (--failures in --disc-years), then with bounds. --observed asks the controller
for what its own discs have come to: how many of them two drives, or an operator, found unreadable, in how many years of all together.

A batch event hits all discs of a set at once; without one the figures hold only as far as discs fail independently.`,
		Example: `  odarchive durability --discs 600 --rate 0.01 --interval-days 90
  odarchive durability --discs 600 --failures 2 --disc-years 1500 --data 12 --parity 3 --batch-rate 0.01 --batch-loss 0.2
  odarchive durability --observed --vault photos --data 1 --parity 1`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if observed {
				for _, other := range []string{"rate", "failures", "disc-years"} {
					if cmd.Flags().Changed(other) {
						return usage(cmd, fmt.Errorf("either --observed or --%s", other))
					}
				}
				seen, err := a.observed(cmd, vault)
				if err != nil {
					return err
				}
				failures, discYears, media = int(seen.GetFailures()), seen.GetDiscYears(), seen.GetMedia()
				if !cmd.Flags().Changed("discs") {
					discs = int(seen.GetDiscs())
				}
			}
			if !(confidence > 0 && confidence < 1) {
				return usage(cmd, fmt.Errorf("--confidence %g: want one between 0 and 1, as 0.95", confidence))
			}
			p.Interval = float64(days) * 24 / year.Hours()
			n := p.Data + p.Parity
			if n < 1 || discs < n {
				return usage(cmd, fmt.Errorf("%d discs are not one set of %d+%d", discs, p.Data, p.Parity))
			}
			p.Sets = discs / n
			rate := durability.Rate{Low: p.Rate, Likely: p.Rate, High: p.Rate}
			if observed || cmd.Flags().Changed("disc-years") || cmd.Flags().Changed("failures") {
				if cmd.Flags().Changed("rate") {
					return usage(cmd, errors.New("either --rate, or --failures and --disc-years"))
				}
				var err error
				if rate, err = (durability.Observed{Failures: failures, DiscYears: discYears}).Rate(confidence); err != nil {
					return usage(cmd, err)
				}
			}
			type result struct {
				Case string  `json:"case"`
				Rate float64 `json:"rate"`
				durability.Loss
			}
			results := []result{{Case: "low", Rate: rate.Low}, {Case: "likely", Rate: rate.Likely}, {Case: "high", Rate: rate.High}}
			if rate.Low == rate.High {
				results = results[1:2]
			}
			for i := range results {
				p.Rate = results[i].Rate
				var err error
				if results[i].Loss, err = p.Loss(); err != nil {
					return usage(cmd, err)
				}
			}
			return a.print(map[string]any{"media": media, "failures": failures, "disc_years": discYears, "confidence": confidence, "sets": p.Sets, "data": p.Data, "parity": p.Parity, "interval_days": days, "results": results}, func(w io.Writer) {
				if discYears > 0 {
					fmt.Fprintf(w, "%d discs failed in %.1f disc-years; bounds at %g %%\n", failures, discYears, 100*confidence)
				}
				for _, m := range media {
					fmt.Fprintf(w, "  %-24s %d in %.1f\n", printable(strings.TrimSpace(m.GetMedium()+" "+m.GetMediaId())), m.GetFailures(), m.GetDiscYears())
				}
				fmt.Fprintf(w, "%d sets of %d+%d discs, read whole every %d days\n", p.Sets, p.Data, p.Parity, days)
				for _, r := range results {
					fmt.Fprintf(w, "%-7s %.3g %% of discs fail in a year: data is lost in a year with probability %.2g; %.2g data discs expected; %.0f nines\n",
						r.Case, 100*r.Rate, r.AnyPerYear, r.DiscsPerYear, math.Floor(r.Nines))
				}
			})
		},
	}
	f := c.Flags()
	f.IntVar(&p.Data, "data", p.Data, "data discs of a set, k")
	f.IntVar(&p.Parity, "parity", p.Parity, "parity discs of a set, m; --data 1 --parity 1 is two copies")
	f.IntVar(&discs, "discs", 600, "discs in all; whole sets are counted")
	f.IntVar(&days, "interval-days", 365, "days from one scrub of a disc to the next")
	f.Float64Var(&p.Rate, "rate", 0.01, "failures per disc and year")
	f.IntVar(&failures, "failures", 0, "failures that were observed")
	f.Float64Var(&discYears, "disc-years", 0, "in so many years of all discs together")
	f.BoolVar(&observed, "observed", false, "what the controller's own discs have come to")
	f.StringVar(&vault, "vault", "", "with --observed: only discs of this vault")
	f.Float64Var(&confidence, "confidence", 0.95, "of the bounds on an observed rate")
	f.Float64Var(&p.BatchRate, "batch-rate", 0, "batch events per set and year")
	f.Float64Var(&p.BatchLoss, "batch-loss", 0, "fraction of a set's discs that one kills")
	return c
}

// observed asks the controller for its discs' failures and years.
func (a *app) observed(cmd *cobra.Command, vault string) (resp *pb.ObservedFailuresResponse, err error) {
	err = a.with(func(c *client.Client) error {
		resp, err = c.Health.ObservedFailures(cmd.Context(), &pb.ObservedFailuresRequest{Vault: vault})
		return err
	})
	if err == nil && !(resp.GetDiscYears() > 0) {
		err = errors.New("no disc has been kept for any time yet: give --rate, or --failures and --disc-years")
	}
	return resp, err
}
