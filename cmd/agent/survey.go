package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/internal/agent"
	"github.com/odarchive/odarchive/internal/found"
)

// surveyCommand reads the discs of a robot for a rebuild.
func surveyCommand(read func() (agent.Config, error), abort <-chan struct{}) *cobra.Command {
	s := &agent.Survey{Abort: abort}
	var asJSON bool
	var slots string
	c := &cobra.Command{
		Use:   "survey DIR",
		Short: "Have the robot bring every disc to a drive, and copy what a rebuild of the lost catalogue needs",
		Long: `For when the controller's database is lost and the discs are in the robot. With no controller, it loads every slot that may hold a
disc, with all drives, copies what "odarchive rebuild" reads of a disc of ours into DIR - its lists, some MB, not the archived files - puts
the disc back, and notes what lies in each slot. "odarchive rebuild DIR" then makes the catalogue, with the place of each disc.

It may be broken off at any time and killed: the same command goes on. A first signal has the discs put back, a second one does not.
Discs that can't be read are tried in a second drive, and again by the next run. Stop the agent and the controller before.

Where a robot can't tell full slots from empty ones, say with --slots which may hold discs. When other discs than before are put into the robot,
say --again. With --lost, discs of which sets speak and that nobody has found are taken to be lost: the other discs of their sets are loaded
once more, for what gives the lost ones back.`,
		Example: "  odarchive-agent survey --config agent.toml --slots 1-230,301-412 /var/tmp/survey\n  odarchive rebuild --data /var/lib/odarchive /var/tmp/survey",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if s.Config, err = read(); err != nil {
				return err
			}
			if s.Slots, err = parseSlots(slots); err != nil {
				return err
			}
			s.Dir = args[0]
			s.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
			print := printer{c.OutOrStdout(), asJSON}
			s.Told = print.slot
			r, err := s.Run(c.Context())
			if err != nil {
				return err
			}
			return print.end(r, args[0])
		},
	}
	c.Flags().StringVar(&slots, "slots", "", "`ranges` of slots to look into, such as 1-230,301; all when left out")
	c.Flags().BoolVar(&s.Again, "again", false, "look into all slots again: other discs lie there now")
	c.Flags().BoolVar(&s.Lost, "lost", false, "what was not found is lost: have the rest of its set give it back")
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON document for each slot, and one for the end")
	return c
}

// parseSlots reads "1-230,301"; nil is all.
func parseSlots(text string) (func(int) bool, error) {
	if text == "" {
		return nil, nil
	}
	var runs [][2]int
	for word := range strings.SplitSeq(text, ",") {
		first, last, isRun := strings.Cut(word, "-")
		a, err := strconv.Atoi(first)
		b := a
		if err == nil && isRun {
			b, err = strconv.Atoi(last)
		}
		if err != nil || a < 1 || b < a {
			return nil, fmt.Errorf("--slots %q: want ranges such as 1-230,301", text)
		}
		runs = append(runs, [2]int{a, b})
	}
	return func(n int) bool {
		for _, r := range runs {
			if r[0] <= n && n <= r[1] {
				return true
			}
		}
		return false
	}, nil
}

// printer prints what a survey finds.
type printer struct {
	w    io.Writer
	json bool
}

func (p printer) slot(x agent.SurveyedSlot) {
	if p.json {
		p.document(struct {
			found.Slot
			Bytes  int64    `json:"bytes"`
			Doubts []string `json:"doubts"`
			Done   int      `json:"done"`
			Total  int      `json:"total"`
			Left   float64  `json:"seconds_left"`
		}{x.Slot, x.Bytes, append([]string{}, x.Doubts...), x.Done, x.Total, x.Left.Seconds()})
		return
	}
	text := string(x.State)
	switch x.State {
	case found.Ours:
		text = fmt.Sprintf("%q", x.Label)
		if x.Vault != "" {
			text += fmt.Sprintf(" of vault %q", x.Vault)
		}
		if x.Bytes > 0 {
			text += fmt.Sprintf(", %.1f MB copied", float64(x.Bytes)/1e6)
		}
	case found.Blank:
		text = "a blank " + x.Medium
	case found.Spent:
		text = "a disc whose burn was broken off"
	case found.Foreign:
		text = "a disc that is none of this library"
	case found.Unreadable:
		text = fmt.Sprintf("a disc that can't be read in drive %d", x.Drive)
	}
	if x.Note != "" {
		text += fmt.Sprintf(" (%q)", x.Note)
	}
	left := ""
	if x.Left > 0 {
		left = fmt.Sprintf(", %v left", x.Left.Round(time.Second))
	}
	fmt.Fprintf(p.w, "slot %d: %s; %d of %d%s\n", x.Slot.Slot, text, x.Done, x.Total, left)
	for _, d := range x.Doubts {
		fmt.Fprintf(p.w, "  not copied: %q\n", d)
	}
}

func (p printer) document(v any) {
	b, err := json.Marshal(v)
	if err == nil {
		fmt.Fprintf(p.w, "%s\n", b)
	}
}

// end says what the survey has come to, and fails when it is not at its end.
func (p printer) end(r *agent.Surveyed, dir string) error {
	if p.json {
		p.document(map[string]any{"survey": map[string]any{
			"slots": r.Slots, "discs": r.Discs, "unreadable": append([]int{}, r.Unreadable...), "doubtful": append([]int{}, r.Doubtful...),
			"unknown": append([]int{}, r.Unknown...), "troubles": append([]string{}, r.Troubles...), "missing": append([]agent.MissingDisc{}, r.Missing...),
			"seconds": r.Took.Seconds(),
		}})
	} else {
		fmt.Fprintf(p.w, "slots: %d with discs of ours, %d with blanks, %d empty, %d with spoiled blanks, %d with other discs, %d with discs that can't be read\n",
			r.Slots[found.Ours], r.Slots[found.Blank], r.Slots[found.Empty], r.Slots[found.Spent], r.Slots[found.Foreign], r.Slots[found.Unreadable])
		fmt.Fprintf(p.w, "%d discs copied into %s\n", r.Discs, dir)
		for _, t := range r.Troubles {
			fmt.Fprintf(p.w, "trouble: %q\n", t)
		}
		for _, m := range r.Missing {
			how := "not found"
			if m.Recovered {
				how = "not found, and its set gives back what a rebuild needs"
			}
			fmt.Fprintf(p.w, "disc %q of set %s: %s\n", m.Label, m.Set, how)
		}
		if lost := unrecovered(r.Missing); lost > 0 {
			fmt.Fprintf(p.w, "%d discs of sets were not found. Put them into the robot and say --again, or say --lost when they are lost\n", lost)
		}
	}
	switch {
	case len(r.Unknown) > 0:
		return fmt.Errorf("the survey is not at its end: %d slots were not looked into: start it again", len(r.Unknown))
	case len(r.Unreadable)+len(r.Doubtful) > 0:
		return errors.New("not all discs could be read: unreadable are those in slots " + fmt.Sprint(r.Unreadable) + ", in part those in slots " + fmt.Sprint(r.Doubtful))
	}
	return nil
}

func unrecovered(missing []agent.MissingDisc) (n int) {
	for _, m := range missing {
		if !m.Recovered {
			n++
		}
	}
	return n
}
