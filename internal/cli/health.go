package cli

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// gradeName is a grade as people say it.
func gradeName(g pb.Grade) string {
	if g == pb.Grade_GRADE_UNSPECIFIED {
		return "not read yet"
	}
	return strings.ReplaceAll(word(g, "GRADE_"), "_", " ")
}

// shortGrade is a disc's grade in a table: with a question mark while one drive alone says so.
func shortGrade(d *pb.Disc) string {
	switch g := d.GetGrade(); {
	case g == pb.Grade_GRADE_UNSPECIFIED:
		return ""
	case g > pb.Grade_GRADE_WATCH && !d.GetGradeConfirmed():
		return gradeName(g) + "?"
	default:
		return gradeName(g)
	}
}

// grades counts a library's discs: healthy, to watch, to migrate soon, to migrate now.
func grades(l *pb.Library) string {
	return fmt.Sprintf("%d/%d/%d/%d", l.GetHealthy(), l.GetWatch(), l.GetMigrateSoon(), l.GetMigrateNow())
}

// showAlerts lists what somebody should do something about.
func showAlerts(w io.Writer, libs []*pb.Library) {
	for _, l := range libs {
		for _, text := range l.GetAlerts() {
			fmt.Fprintf(w, "! library %s: %s\n", printable(l.GetName()), printable(text))
		}
	}
}

func (a *app) alerts() *cobra.Command {
	return &cobra.Command{
		Use: "alerts", Short: "List what somebody should do something about; exits with 4 when there is anything", Args: cobra.NoArgs,
		Long: `Lists what somebody should do something about, and what: suspect discs and those to be migrated, places to be looked at, drives out of service, robots
in trouble, agents that say nothing, sets without parity, scrubs that are overdue, missing blanks, and libraries that can't be read as fast as they should be. Exits with 0 when there is nothing and with 4 when there is. The controller also says so
to programs that probe the standard health service of gRPC for "alerts".`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(func(c *client.Client) error {
				s, err := c.Health.Status(cmd.Context(), &pb.StatusRequest{})
				if err != nil {
					return err
				}
				a.partial = !s.GetWell()
				return a.print(s, func(w io.Writer) {
					for _, x := range s.GetAlerts() {
						fmt.Fprintf(w, "%s: library %s: %s\n    next: %s\n", x.GetKind(), printable(x.GetLibrary()), printable(x.GetText()), printable(x.GetNext()))
					}
				})
			})
		},
	}
}

func (a *app) evacuationLimit() *cobra.Command {
	var name, limit string
	c := &cobra.Command{
		Use: "limit --evacuation TIME", Short: "Say how long reading everything may take before that is an alert", Args: cobra.NoArgs,
		Example: "  odarchive library limit --evacuation 72h\n  odarchive library limit --evacuation 14d\n  odarchive library limit --evacuation 0",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := parseTime(limit)
			if err != nil {
				return usage(cmd, err)
			}
			return a.with(func(c *client.Client) error {
				lib, err := only(cmd, c, name)
				if err != nil {
					return err
				}
				resp, err := c.Health.SetEvacuationLimit(cmd.Context(), &pb.SetEvacuationLimitRequest{Library: lib, Seconds: d.Seconds()})
				if err != nil {
					return err
				}
				return a.print(resp, func(w io.Writer) {
					if d == 0 {
						fmt.Fprintf(w, "reading all of library %s may take as long as it takes\n", lib)
					} else {
						fmt.Fprintf(w, "reading all of library %s may take %v\n", lib, d)
					}
				})
			})
		},
	}
	c.Flags().StringVar(&name, "library", "", "which library, when there are several")
	c.Flags().StringVar(&limit, "evacuation", "", "a time, as in 72h or 14d; 0 for no limit")
	if err := c.MarkFlagRequired("evacuation"); err != nil {
		panic(err)
	}
	return c
}

func (a *app) lot() *cobra.Command {
	var name, slots string
	c := &cobra.Command{
		Use: "lot --slots 1-100 LOT", Short: "Say that the discs in slots were bought together", Args: cobra.ExactArgs(1),
		Long: `Says that the discs in some slots were bought together: when one of them goes bad, the others are read sooner. Where no lot is known, discs of one medium
that were burned within a month are taken for mates. An empty LOT takes it back.`,
		Example: "  odarchive library lot --slots 1-100 \"Verbatim 43812, March 2026\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			ranges, err := parseSlots(slots)
			if err != nil {
				return usage(cmd, err)
			}
			return a.with(func(c *client.Client) error {
				lib, err := only(cmd, c, name)
				if err != nil {
					return err
				}
				resp, err := c.Health.SetLot(cmd.Context(), &pb.SetLotRequest{Library: lib, Slots: ranges, Lot: args[0]})
				if err != nil {
					return err
				}
				return a.print(resp, func(w io.Writer) {
					fmt.Fprintf(w, "%d discs of library %s are of lot %q\n", resp.GetDiscs(), lib, args[0])
				})
			})
		},
	}
	c.Flags().StringVar(&name, "library", "", "which library, when there are several")
	c.Flags().StringVar(&slots, "slots", "", "slots: numbers and ranges, as in 1-300,350")
	if err := c.MarkFlagRequired("slots"); err != nil {
		panic(err)
	}
	return c
}

func (a *app) setVault() *cobra.Command {
	var interval, heal string
	var apart, together bool
	c := &cobra.Command{
		Use: "set NAME", Short: "Say how often each disc of a vault is read whole, which are replaced by themselves, and where copies are made", Args: cobra.ExactArgs(1),
		Long: `Says how often each disc of a vault is read whole, from a day to 100 years; a new vault's discs are once a year. Discs at risk are read sooner than
that, and all of them spread evenly. If nobody knows how long a medium lasts, ISO/IEC 29121 wants it tested every three years at least.

Says as well which discs are replaced without anybody's having said so, as 'odarchive discs heal' does it: a new vault's are that are to be migrated at once.

With --apart, as in a new vault, copies of a disc are made in different libraries where several have blank discs; with --together in one. That is so of what is
planned from now on; of what waits for another library already, --together has the copies made at home.`,
		Example: "  odarchive vaults set photos --scrub-interval 180d\n  odarchive vaults set photos --heal operator\n  odarchive vaults set photos --together",
		RunE: func(cmd *cobra.Command, args []string) error {
			var seconds int64
			var healing pb.Healing
			var err error
			if interval == "" && heal == "" && !apart && !together {
				return usage(cmd, errors.New("say what to set: --scrub-interval, --heal, --apart, --together"))
			}
			if apart && together {
				return usage(cmd, errors.New("want --apart or --together, not both"))
			}
			if interval != "" {
				d, err := parseTime(interval)
				if err != nil {
					return usage(cmd, err)
				}
				seconds = int64(d / time.Second)
			}
			if heal != "" {
				if healing, err = parseHealing(heal); err != nil {
					return usage(cmd, err)
				}
			}
			return a.with(func(c *client.Client) error {
				var v *pb.Vault
				if interval != "" {
					if v, err = c.Health.SetScrubInterval(cmd.Context(), &pb.SetScrubIntervalRequest{Vault: args[0], Seconds: seconds}); err != nil {
						return err
					}
				}
				if heal != "" {
					if v, err = c.Health.SetHealing(cmd.Context(), &pb.SetHealingRequest{Vault: args[0], Healing: healing}); err != nil {
						return err
					}
				}
				if apart || together {
					if v, err = c.Vaults.SetApart(cmd.Context(), &pb.SetApartRequest{Vault: args[0], Together: together}); err != nil {
						return err
					}
				}
				return a.print(v, func(w io.Writer) {
					fmt.Fprintf(w, "vault %s: each disc is read whole every %s, heal: %s, copies are made apart: %s\n",
						v.GetName(), showDays(v.GetScrubIntervalSeconds()), showHealing(v.GetHealing()), yes(!v.GetTogether()))
				})
			})
		},
	}
	c.Flags().StringVar(&interval, "scrub-interval", "", "a time, as in 720h, 180d or 2y")
	c.Flags().StringVar(&heal, "heal", "", healingHelp)
	c.Flags().BoolVar(&apart, "apart", false, "make copies in different libraries where several have blank discs")
	c.Flags().BoolVar(&together, "together", false, "make all copies of a disc in one library")
	return c
}

// parseTime takes what time.ParseDuration does, and whole days (d), weeks (w) and years of 365 days (y).
func parseTime(s string) (time.Duration, error) {
	const day = 24 * time.Hour
	units := map[byte]time.Duration{'d': day, 'w': 7 * day, 'y': 365 * day}
	if n := len(s) - 1; n > 0 && units[s[n]] != 0 {
		v, err := strconv.Atoi(s[:n])
		if err != nil || v < 0 || time.Duration(v) > math.MaxInt64/units[s[n]] {
			return 0, fmt.Errorf("%q is not a time: want one such as 72h, 180d or 2y", s)
		}
		return time.Duration(v) * units[s[n]], nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a time: want one such as 72h, 180d or 2y", s)
	}
	return d, nil
}

// showDays shows an interval of days.
func showDays(seconds int64) string {
	if seconds%86400 == 0 {
		return fmt.Sprintf("%d days", seconds/86400)
	}
	return (time.Duration(seconds) * time.Second).String()
}

func (a *app) condemn() *cobra.Command {
	var soon, back bool
	var reason string
	c := &cobra.Command{
		Use: "condemn DISC --reason WHY", ValidArgsFunction: a.offer(discLabels, 1), Short: "Say that a disc is to be migrated, whatever its readings say", Args: cobra.ExactArgs(1),
		Long: `Says that a disc is to be migrated at once (with --soon: within a year). Your word goes before all readings, and counts as a second drive's where
there is none. --take-back takes it back: then the readings speak again.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if back == (reason != "") {
				return usage(cmd, errors.New("say why with --reason, or take it back with --take-back"))
			}
			g := pb.Grade_GRADE_MIGRATE_NOW
			switch {
			case back:
				g = pb.Grade_GRADE_UNSPECIFIED
			case soon:
				g = pb.Grade_GRADE_MIGRATE_SOON
			}
			return a.judge(cmd, args[0], g, reason)
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why")
	c.Flags().BoolVar(&soon, "soon", false, "within a year, not at once")
	c.Flags().BoolVar(&back, "take-back", false, "take back what was said of it")
	return c
}

func (a *app) clear() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "clear DISC --reason WHY", ValidArgsFunction: a.offer(discLabels, 1), Short: "Say that a disc is well, and what was read of it until now was wrong", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.judge(cmd, args[0], pb.Grade_GRADE_HEALTHY, reason)
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why: \"the drive was dirty\"")
	if err := c.MarkFlagRequired("reason"); err != nil {
		panic(err)
	}
	return c
}

func (a *app) judge(cmd *cobra.Command, disc string, g pb.Grade, reason string) error {
	return a.with(func(c *client.Client) error {
		h, err := c.Health.JudgeDisc(cmd.Context(), &pb.JudgeDiscRequest{Disc: disc, Grade: g, Reason: reason})
		if err != nil {
			return err
		}
		return a.print(h, func(w io.Writer) { showVerdict(w, h) })
	})
}

func (a *app) showDisc() *cobra.Command {
	var limit int32
	c := &cobra.Command{
		Use: "show DISC", ValidArgsFunction: a.offer(discLabels, 1), Short: "Show how a disc is, why, how that goes on, and everything that was read of it", Args: cobra.ExactArgs(1),
		Long: `Shows how a disc is, why, how that goes on, and everything that was read of it. Of each reading: sectors that were UNREADABLE, that the error correction
REPAIRED, that read DIFFERENTLY twice, that came out WRONG without the drive saying so, RETRIES of sectors, reads that the drive had trouble with and MASTERED; the
WORST ROW of the error correction, of so many bad sectors that it bears; how many times as long the SLOWEST part took as its place on the disc explains; and what a
drive MEASURED below its own correction, where it can. Columns with nothing in them are left out.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 || limit > 1000 {
				return usage(cmd, fmt.Errorf("--limit %d: want 1 to 1000", limit))
			}
			return a.with(func(c *client.Client) error {
				h, err := c.Health.GetDiscHealth(cmd.Context(), &pb.GetDiscHealthRequest{Disc: args[0], Limit: limit})
				if err != nil {
					return err
				}
				return a.print(h, func(w io.Writer) { showDiscHealth(w, h) })
			})
		},
	}
	c.Flags().Int32Var(&limit, "limit", 20, "so many readings and steps, the newest")
	return c
}

// showVerdict shows how a disc is and why.
func showVerdict(w io.Writer, h *pb.DiscHealth) {
	d := h.GetDisc()
	fmt.Fprintf(w, "disc %s: %s, %s\n", printable(d.GetLabel()), word(d.GetState(), "DISC_STATE_"), gradeName(d.GetGrade()))
	if d.GetGradeReason() != "" {
		fmt.Fprintf(w, "  because %s\n", printable(d.GetGradeReason()))
	}
	switch {
	case d.GetGrade() > pb.Grade_GRADE_WATCH && d.GetGradeConfirmed() && h.GetOperatorGrade() > pb.Grade_GRADE_WATCH:
		fmt.Fprintln(w, "  confirmed by an operator")
	case d.GetGrade() > pb.Grade_GRADE_WATCH && d.GetGradeConfirmed():
		fmt.Fprintf(w, "  confirmed: drives %s agree\n", strings.Join(h.GetBadIn(), ", "))
	case d.GetGrade() > pb.Grade_GRADE_WATCH:
		fmt.Fprintf(w, "  not confirmed: only drive %s says so\n", strings.Join(h.GetBadIn(), ", "))
	}
	if d.GetReason() != "" && d.GetReason() != d.GetGradeReason() {
		fmt.Fprintf(w, "  %s since %s\n", word(d.GetState(), "DISC_STATE_"), printable(d.GetReason()))
	}
}

func showDiscHealth(w io.Writer, h *pb.DiscHealth) {
	d := h.GetDisc()
	showVerdict(w, h)
	medium := d.GetMedium()
	if d.GetMediaId() != "" {
		medium += " (" + d.GetMediaId() + ")"
	}
	if d.GetLot() != "" {
		medium += " of lot " + d.GetLot()
	}
	where := place(d.GetPlace())
	if where == "" {
		where = "nobody knows where"
	}
	fmt.Fprintf(w, "  %s of %s on a %s, vault %s, %s in library %s\n", size(d.GetRecorded()*2048), size(d.GetCapacity()*2048), printable(medium), printable(d.GetVault()),
		where, printable(d.GetLibrary()))
	fmt.Fprintf(w, "  burned %s, read whole %s, next %s\n", when(d.GetBurned()), when(d.GetVerified()), when(d.GetScrubDue()))
	if text := marks(d); text != "" {
		fmt.Fprintf(w, "  %s\n", text)
	}
	for _, r := range h.GetReadings() {
		if r.GetRoots() > 0 {
			fmt.Fprintf(w, "  the worst row of its error correction needs %d of %d roots; %d sectors were repaired\n", r.GetWorstRow(), r.GetRoots(), r.GetRepaired())
			break
		}
	}
	for _, t := range h.GetTrends() {
		fmt.Fprintf(w, "  %s\n", trend(t))
	}
	if n := len(h.GetRegions()); n > 0 {
		fmt.Fprintf(w, "  hub %s rim\n", picture(h.GetRegions()))
		fmt.Fprintf(w, "      %s\n", legend)
	}
	showSenses(w, h.GetRegions())
	if len(h.GetReadings()) > 0 {
		fmt.Fprintln(w)
		tabulate(w, h.GetReadings(), readingColumns)
	}
	if len(h.GetSteps()) > 0 {
		fmt.Fprintln(w)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "WHEN\tSTEP\tDRIVE\tDETAIL")
		for _, s := range h.GetSteps() {
			drive := ""
			if s.GetDrive() > 0 {
				drive = strconv.Itoa(int(s.GetDrive()))
			}
			fmt.Fprintln(t, cells(when(s.GetAt()), strings.ReplaceAll(s.GetStep(), "_", " "), drive, s.GetDetail()))
		}
		t.Flush()
	}
}

// trend says what gets worse, and when that comes to something.
func trend(t *pb.Trend) string {
	if !t.GetTold() {
		return fmt.Sprintf("%s grows over %d readings, which may be chance", t.GetIndicator(), t.GetReadings())
	}
	day := func(t interface{ AsTime() time.Time }) string { return t.AsTime().Local().Format(time.DateOnly) }
	latest := "maybe never"
	if t.GetLatest() != nil {
		latest = "at the latest " + day(t.GetLatest())
	}
	return fmt.Sprintf("%s gets worse over %d readings: %s about %s, at the earliest %s, %s (90 %%)", t.GetIndicator(), t.GetReadings(), gradeName(t.GetNext()),
		day(t.GetLikely()), day(t.GetEarliest()), latest)
}

// The marks of a region, each for the worst that it showed.
const legend = "▁ well  ▃ slow  ▅ read with trouble  ▆ read differently twice  ▇ wrong, and repaired  █ unreadable  · not read"

// picture draws a disc's regions from the hub outwards.
func picture(regions []*pb.DiscRegion) string {
	marks := []rune(strings.Repeat("·", pictured))
	for _, r := range regions {
		if n := int(r.GetNumber()); n >= 0 && n < pictured {
			marks[n] = mark(r)
		}
	}
	return string(marks)
}

// pictured is how many regions a disc has.
const pictured = 64

func mark(r *pb.DiscRegion) rune {
	switch {
	case r.GetUnreadable() > 0:
		return '█'
	case r.GetRepaired() > 0:
		return '▇'
	case r.GetDisagreed() > 0:
		return '▆'
	case r.GetRetries() > 0 || r.GetRecovered() > 0 || r.GetErrors() > 0:
		return '▅'
	case r.GetSlowness() >= 2:
		return '▃'
	}
	return '▁'
}
