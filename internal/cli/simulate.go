package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/library/simulate"
)

func (a *app) simulate() *cobra.Command {
	config := simulate.Default()
	var file, report string
	var compare, table bool
	var seeds int
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Run a library in simulated time: what would two more drives do?",
		Long: `Runs libraries in simulated time around the scheduler that real ones use, with requests, burns, scrubs and faults as you say, and prints
how long requests take and what the drives do meanwhile. The same seed gives the same run. A TOML file has the fields of --json's
"config"; flags come before it. No controller is needed.`,
		Example: `  odarchive simulate --drives 6 --rate 200 --report now.html
  odarchive simulate --drives 4 --rate 240 --compare
  odarchive simulate --config my-library.toml --json`,
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&file, "config", "", "TOML file that describes libraries, machines and workload")
	f.StringVar(&report, "report", "", "also draw it all into this HTML file")
	f.BoolVar(&compare, "compare", false, "run the baselines too: first come first served, and by disc, oldest first")
	f.BoolVar(&table, "table", false, "print the planner beside the baselines over a range of loads, with what no plan can better")
	f.IntVar(&seeds, "seeds", 1, "with --table: over so many seeds, how the planner does against by disc, oldest first")
	f.IntVar(&config.Libraries, "libraries", config.Libraries, "libraries, each with a picker of its own and this load")
	f.IntVar(&config.Drives, "drives", config.Drives, "drives of a library")
	f.IntVar(&config.Discs, "recorded", config.Discs, "recorded discs of a library")
	f.StringVar(&config.Workload.Kind, "workload", config.Workload.Kind, "uniform, batch, site, hyperscale or cloud")
	f.IntVar(&config.Workload.Requests, "requests", config.Workload.Requests, "requests for files")
	f.Float64Var(&config.Workload.Rate, "rate", config.Workload.Rate, "requests an hour")
	f.Float64Var(&config.Workload.MeanBytes, "mean-bytes", config.Workload.MeanBytes, "bytes of a file in the mean")
	f.Float64Var(&config.Workload.Expedited, "expedited", config.Workload.Expedited, "share of the requests that are expedited")
	f.Float64Var(&config.Workload.Bulk, "bulk", config.Workload.Bulk, "share of the requests that are bulk")
	f.Float64Var(&config.Workload.Burns, "burns", config.Workload.Burns, "discs to burn and verify in an hour")
	f.Float64Var(&config.Workload.ScrubDays, "scrub-days", config.Workload.ScrubDays, "days in which every disc is read as a whole; 0 for no scrubs")
	f.Float64Var(&config.Faults, "faults", config.Faults, "faults of a drive in a year")
	f.Float64Var(&config.Trouble.Exchange, "failed-moves", config.Trouble.Exchange, "share of the picker's moves that fail, so that somebody has to look after it")
	f.Float64Var(&config.Trouble.Slow, "slow-moves", config.Trouble.Slow, "share of the picker's moves that are slow")
	f.Float64Var(&config.Trouble.Unreadable, "unreadable", config.Trouble.Unreadable, "share of reads and verifies that a drive gives up, at most 0.9")
	f.Float64Var(&config.Trouble.Unknown, "unknown-slots", config.Trouble.Unknown, "how often in a year nobody knows any more what a slot holds")
	f.Float64Var(&config.Trouble.Doors, "doors", config.Trouble.Doors, "how often in a year the door is opened")
	f.Float64Var(&config.Trouble.Agent, "agent-outages", config.Trouble.Agent, "how often in a year the agent is away")
	f.Float64Var(&config.Trouble.Controller, "controller-outages", config.Trouble.Controller, "how often in a year the controller is away")
	f.Float64Var(&config.Physics.Move, "move", config.Physics.Move, "seconds that the picker takes from a slot to a drive")
	f.Float64Var(&config.Physics.Load, "load", config.Physics.Load, "seconds from a disc's arrival in a drive until it can be read")
	f.Float64Var(&config.Physics.ReadRate, "read-rate", config.Physics.ReadRate, "bytes a second that a drive reads in the mean")
	f.Uint64Var(&config.Seed, "seed", config.Seed, "which of the random courses of events")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		if seeds < 1 {
			return usage(cmd, fmt.Errorf("--seeds %d: want at least one", seeds))
		}
		if table && seeds > 1 {
			list, err := simulate.Judge(20000, config.Seed, seeds)
			if err != nil {
				return err
			}
			return a.print(list, func(w io.Writer) { simulate.WriteJudgement(w, list) })
		}
		if table {
			rows, err := simulate.Table(20000, config.Seed)
			if err != nil {
				return err
			}
			return a.print(rows, func(w io.Writer) { simulate.WriteTable(w, rows) })
		}
		if file != "" {
			if err := fromFile(cmd, file, &config); err != nil {
				return err
			}
		}
		policies := []string{config.Policy}
		if compare {
			policies = simulate.Policies()
		}
		var runs []*simulate.Measures
		for _, p := range policies {
			config.Policy = p
			m, err := simulate.Run(config)
			if err != nil {
				return usage(cmd, err)
			}
			runs = append(runs, m)
		}
		if report != "" {
			if err := writeReport(report, runs); err != nil {
				return err
			}
		}
		return a.print(map[string]any{"config": config, "runs": runs}, func(w io.Writer) {
			for _, m := range runs {
				showMeasures(w, m)
			}
		})
	}
	return c
}

// fromFile reads a configuration; what was said by flags stays.
func fromFile(cmd *cobra.Command, path string, config *simulate.Config) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	said := map[string]string{}
	for _, name := range []string{
		"libraries", "drives", "recorded", "workload", "requests", "rate", "mean-bytes", "expedited", "bulk", "burns", "scrub-days", "faults",
		"failed-moves", "slow-moves", "unreadable", "unknown-slots", "doors", "agent-outages", "controller-outages", "move", "load", "read-rate", "seed",
	} {
		if cmd.Flags().Changed(name) {
			said[name] = cmd.Flags().Lookup(name).Value.String()
		}
	}
	*config = simulate.Default()
	if err := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(config); err != nil {
		return usage(cmd, fmt.Errorf("read %s: %w", path, err))
	}
	for name, value := range said {
		if err := cmd.Flags().Set(name, value); err != nil {
			return err
		}
	}
	return nil
}

func writeReport(path string, runs []*simulate.Measures) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return simulate.WriteReport(f, "A simulated library", runs)
}

func showMeasures(w io.Writer, m *simulate.Measures) {
	fmt.Fprintf(w, "%s\n", m.Policy)
	span := func(s float64) time.Duration { return time.Duration(s) * time.Second }
	for _, c := range m.Completions {
		fmt.Fprintf(w, "  %-10s %6d requests: mean %v, 50 %% %v, 95 %% %v, 99 %% %v, 99.9 %% %v, longest %v, late %.2f %%\n", c.Tier, c.Requests,
			span(c.Mean), span(c.P50), span(c.P95), span(c.P99), span(c.P999), span(c.Longest), 100*c.Missed)
	}
	fmt.Fprintf(w, "  drives:")
	for u := simulate.Idle; u <= simulate.Scrubbing; u++ {
		fmt.Fprintf(w, " %s %.1f %%", u, 100*m.Drives[u.String()])
	}
	fmt.Fprintf(w, "\n  picker busy %.1f %%, %d moves (%.2f per request read), %d preempted, %d drive faults\n", 100*m.Picker, m.Moves, m.PerRequest, m.Preempted, m.Failed)
	for _, line := range m.Troubles.Lines() {
		fmt.Fprintf(w, "  %s\n", line)
	}
	fmt.Fprintf(w, "  all done after %v; no plan could have taken less than %v\n", span(m.Makespan), span(m.Bound))
}
