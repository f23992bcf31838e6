// Command jukebox is a simulated disc robot: a Pioneer CAC-V3000 library of 600 slots and 4 drives on a pty.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/robot/sim"
	"github.com/odarchive/odarchive/robot/sim/jukebox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "jukebox:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	m := &jukebox.Main{}
	run := &cobra.Command{
		Use:   "jukebox --dir DIR",
		Short: "A simulated disc robot on a serial line",
		Long: `Runs a simulated library: a robot that speaks the serial protocol of Pioneer's CAC-V3000 on a pty, and write-once discs that are
folders of plain files. The folder is made on the first run; later runs find every disc where it was, after a kill too.

The line is reached by a symlink, DIR/line unless --link says otherwise; drive N is the folder DIR/drives/N.`,
		Example:      "  jukebox --dir /tmp/jukebox --medium-sectors 32768 --speed 100\n  jukebox ctl --dir /tmp/jukebox door open 1",
		Args:         cobra.NoArgs,
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if m.Dir == "" {
				return errors.New("say with --dir which folder the library is in; see `jukebox --help`")
			}
			return m.Run(cmd.Context())
		},
	}
	f := run.Flags()
	f.StringVar(&m.Dir, "dir", "", "folder of the library")
	f.StringVar(&m.Robot, "robot", "pioneer", "whose protocol it speaks: pioneer, denon (--units 1 --slots 200), or one with piles: "+strings.Join(sim.Protocols, ", "))
	var piles string
	f.StringVar(&piles, "piles", "100:90,100:90,100", "bins of a robot with piles, each CAPACITY:DISCS")
	f.IntVar(&m.Drives, "drives", 1, "drives of a robot with piles")
	run.PreRunE = func(*cobra.Command, []string) (err error) {
		m.Piles, err = parsePiles(piles)
		return err
	}
	f.IntVar(&m.Shape.Units, "units", 2, "chained units")
	f.IntVar(&m.Shape.SlotsPerUnit, "slots", 300, "slots of a unit")
	f.IntVar(&m.Shape.PlayersPerUnit, "players", 2, "drives of a unit")
	f.StringVar(&m.Medium.Type, "medium-type", "BD-R", "type of the blank discs")
	f.Int64Var(&m.Medium.Sectors, "medium-sectors", 12219392, "capacity of the blank discs, in sectors of 2,048 bytes")
	f.IntVar(&m.Blanks, "blanks", 1<<20, "how many slots, from the first, hold blank discs when the library is new")
	f.Float64Var(&m.Speed, "speed", 1, "how many times faster than a real robot it moves; 0 takes no time at all")
	f.Int64Var(&m.ReadRate, "read-rate", 0, "what a drive reads at speed 1, in bytes a second; 0 is no limit")
	f.Int64Var(&m.WriteRate, "write-rate", 0, "what a drive burns at speed 1, in bytes a second; 0 is no limit")
	f.BoolVar(&m.Early, "early", false, "pioneer: answer when a movement begins, as in communication mode 7")
	f.StringVar(&m.Faults, "faults", "", "script of faults (TOML)")
	f.StringVar(&m.Link, "link", "", "where to make the symlink to the serial line")
	run.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w; see `jukebox --help`", err) })
	run.AddCommand(control())
	return run
}

func control() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:          "ctl --dir DIR COMMAND…",
		Short:        "Do by hand what a person would: " + jukebox.HandHelp,
		Long:         "At a robot with slots: " + jukebox.HandHelp + ".\nAt one with piles: " + jukebox.TowerHelp + ".",
		Args:         cobra.MinimumNArgs(1),
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			answer, err := jukebox.Tell(cmd.Context(), dir, strings.Join(args, " "))
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), answer)
			}
			return err
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "folder of the running library")
	return c
}

// parsePiles reads "100:90,100".
func parsePiles(text string) (piles []sim.Pile, err error) {
	for word := range strings.SplitSeq(text, ",") {
		capacity, discs, _ := strings.Cut(word, ":")
		var p sim.Pile
		if p.Capacity, err = strconv.Atoi(capacity); err == nil && discs != "" {
			p.Discs, err = strconv.Atoi(discs)
		}
		if err != nil || p.Capacity < 1 || p.Discs < 0 || p.Discs > p.Capacity {
			return nil, fmt.Errorf("--piles %q: want CAPACITY:DISCS, with a comma between bins", text)
		}
		piles = append(piles, p)
	}
	return piles, nil
}
