package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

func (a *app) library() *cobra.Command {
	c := &cobra.Command{
		Use: "library", Short: "Show the robot libraries", Args: cobra.NoArgs,
		Long: `Shows the robot libraries. HEALTH counts recorded discs: healthy, to watch, to migrate soon, to migrate now. FLAGGED counts the places that somebody should look
at: 'odarchive library elements --flagged' says why. NO PARITY counts the sets whose parity is being made, or lost: 'odarchive library sets --without-parity' lists
them. EVACUATION is the time in which all recorded discs could be read once.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(func(c *client.Client) error {
				resp, err := c.Library.ListLibraries(cmd.Context(), &pb.ListLibrariesRequest{})
				if err != nil {
					return err
				}
				if err := list(a, resp.GetLibraries(), "NAME\tMODEL\tAGENT\tONLINE\tSLOTS\tDRIVES\tBLANK\tGOOD\tOTHER\tHEALTH\tFLAGGED\tMOVES\tSCRUBS OVERDUE\tNO PARITY\tEVACUATION", func(l *pb.Library) string {
					return cells(l.GetName(), l.GetModel(), l.GetAgent(), l.GetOnline(), l.GetSlots(), l.GetDrives(), l.GetBlank(), l.GetGood(), l.GetOther(), grades(l), l.GetFlagged(), l.GetMoves(), l.GetOverdue(), l.GetSetsWithoutParity(), evacuation(l))
				}); err != nil || a.json {
					return err
				}
				showAlerts(a.stdout, resp.GetLibraries())
				return nil
			})
		},
	}
	c.AddCommand(a.elements(), a.stock(), a.setElement(), a.evacuationLimit(), a.alerts(), a.lot(), a.sets(), a.closeSet(), a.endLeases())
	return c
}

// evacuation says how long it takes at least to read all that a library holds.
func evacuation(l *pb.Library) string {
	switch {
	case l.GetGood() == 0:
		return ""
	case l.GetEvacuationSeconds() == 0:
		return "no drive"
	}
	return (time.Duration(l.GetEvacuationSeconds()/60+1) * time.Minute).String()
}

// only returns the name given, or that of the only library there is.
func only(cmd *cobra.Command, c *client.Client, name string) (string, error) {
	if name != "" {
		return name, nil
	}
	resp, err := c.Library.ListLibraries(cmd.Context(), &pb.ListLibrariesRequest{})
	if err != nil {
		return "", err
	}
	switch libs := resp.GetLibraries(); len(libs) {
	case 0:
		return "", errors.New("there is no library yet: one appears when its agent has called")
	case 1:
		return libs[0].GetName(), nil
	}
	return "", usage(cmd, errors.New("there are several libraries: say which with --library"))
}

func (a *app) elements() *cobra.Command {
	var name string
	var flagged bool
	c := &cobra.Command{
		Use: "elements", Short: "List slots and drives and what is in them", Args: cobra.NoArgs,
		Long: `Lists the places of a library and what is in them. FLAG is why somebody should look at a place, in odarchive's words: say what you found with 'odarchive
library set-element'. TAG is the barcode of the disc there and TROUBLE what the robot says is wrong with the place; both show where a robot tells them.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(func(c *client.Client) error {
				lib, err := only(cmd, c, name)
				if err != nil {
					return err
				}
				resp, err := c.Library.ListElements(cmd.Context(), &pb.ListElementsRequest{Library: lib, FlaggedOnly: flagged})
				if err != nil {
					return err
				}
				return listElements(a, resp.GetElements())
			})
		},
	}
	c.Flags().StringVar(&name, "library", "", "which library, when there are several")
	c.Flags().BoolVar(&flagged, "flagged", false, "only those that somebody should look at")
	return c
}

func place(p *pb.Address) string {
	if p == nil {
		return ""
	}
	return fmt.Sprintf("%s %d", word(p.GetKind(), "ELEMENT_KIND_"), p.GetNumber())
}

func (a *app) stock() *cobra.Command {
	var name, slots, medium, capacity string
	c := &cobra.Command{
		Use:     "stock --slots 1-600 --capacity SECTORS",
		Short:   "Say that you have put blank discs into slots",
		Long:    "Says which slots hold blank discs now. What a slot really holds is found out when its disc is loaded: one that isn't blank is never burned. A blank that was known already is taken for what you say now, unless a drive has looked at it: then it stays what that said.",
		Example: "  odarchive library stock --slots 1-300,350 --medium BD-R --capacity 12219392\n  odarchive library stock --slots 1-600 --capacity 25GB",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ranges, err := parseSlots(slots)
			if err != nil {
				return usage(cmd, err)
			}
			sectors, err := parseCapacity(capacity)
			if err != nil {
				return usage(cmd, err)
			}
			return a.with(func(c *client.Client) error {
				lib, err := only(cmd, c, name)
				if err != nil {
					return err
				}
				resp, err := c.Library.StockBlanks(cmd.Context(), &pb.StockBlanksRequest{Library: lib, Slots: ranges, Medium: medium, Capacity: sectors})
				if err != nil {
					return err
				}
				return a.print(resp, func(w io.Writer) {
					showStocked(w, lib, medium, sectors, resp)
				})
			})
		},
	}
	f := c.Flags()
	f.StringVar(&name, "library", "", "which library, when there are several")
	f.StringVar(&slots, "slots", "", "slots: numbers and ranges, as in 1-300,350")
	f.StringVar(&medium, "medium", "BD-R", "type of the discs")
	f.StringVar(&capacity, "capacity", "12219392", "what fits on each: sectors of 2,048 bytes, or bytes with a unit (25GB)")
	if err := c.MarkFlagRequired("slots"); err != nil {
		panic(err)
	}
	return c
}

func showStocked(w io.Writer, lib, medium string, sectors int64, resp *pb.StockBlanksResponse) {
	fmt.Fprintf(w, "%d blank discs added to library %s, %d were known\n", resp.GetAdded(), lib, resp.GetKnown())
	if n := resp.GetCorrected(); n > 0 {
		fmt.Fprintf(w, "%d of these were known otherwise, and are taken for %s of %d sectors now\n", n, printable(medium), sectors)
	}
	if n := resp.GetKept(); n > 0 {
		fmt.Fprintf(w, "%d of these stay what a drive said of them, whatever you say: %s\n", n, printable(resp.GetExample()))
	}
}

func parseSlots(s string) ([]*pb.SlotRange, error) {
	var ranges []*pb.SlotRange
	for part := range strings.SplitSeq(s, ",") {
		from, to, is := strings.Cut(part, "-")
		if !is {
			to = from
		}
		first, err1 := parseNumber(from)
		last, err2 := parseNumber(to)
		if err1 != nil || err2 != nil || last < first {
			return nil, fmt.Errorf("slots %q: want numbers and ranges, as in 1-300,350", part)
		}
		ranges = append(ranges, &pb.SlotRange{First: first, Last: last})
	}
	return ranges, nil
}

// parseCapacity reads sectors, or bytes with a unit of a power of ten.
func parseCapacity(s string) (sectors int64, err error) {
	text := strings.ToUpper(strings.TrimSpace(s))
	factor := int64(0)
	for unit, f := range map[string]int64{"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12} {
		if number, ok := strings.CutSuffix(text, unit); ok {
			text, factor = strings.TrimSpace(number), f
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || factor > 0 && n > 1<<62/factor {
		return 0, fmt.Errorf("capacity %q: want sectors of 2,048 bytes, or bytes with a unit, as in 25GB", s)
	}
	if factor > 0 {
		n = n * factor / 2048
	}
	return n, nil
}

func (a *app) setElement() *cobra.Command {
	var name, disc string
	c := &cobra.Command{
		Use:     "set-element slot|drive|mailslot|picker NUMBER empty|full|unknown",
		Short:   "Say what a place holds, after you have looked",
		Long:    "Settles what a place holds after somebody has looked, and clears its flag. A disc that you say is there is identified when it is loaded.",
		Example: "  odarchive library set-element slot 214 full --disc 0214\n  odarchive library set-element slot 17 empty",
		Args:    cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, ok := pb.ElementKind_value["ELEMENT_KIND_"+strings.ToUpper(args[0])]
			fill, known := map[string]pb.Fill{"empty": pb.Fill_FILL_EMPTY, "full": pb.Fill_FILL_FULL, "unknown": pb.Fill_FILL_UNKNOWN}[args[2]]
			number, err := parseNumber(args[1])
			if !ok || kind == 0 || !known || err != nil {
				return usage(cmd, fmt.Errorf("%q: want a slot, drive, mailslot or picker, its number, and empty, full or unknown", strings.Join(args, " ")))
			}
			return a.with(func(c *client.Client) error {
				lib, err := only(cmd, c, name)
				if err != nil {
					return err
				}
				e, err := c.Library.SetElement(cmd.Context(), &pb.SetElementRequest{Library: lib, Address: &pb.Address{Kind: pb.ElementKind(kind), Number: number}, Fill: fill, Disc: disc})
				if err != nil {
					return err
				}
				return a.print(e, func(w io.Writer) {
					fmt.Fprintf(w, "%s is %s, disc %s\n", place(e.GetAddress()), word(e.GetFill(), "FILL_"), e.GetDisc())
				})
			})
		},
	}
	c.Flags().StringVar(&name, "library", "", "which library, when there are several")
	c.Flags().StringVar(&disc, "disc", "", "label of the disc that is there")
	return c
}

func (a *app) drives() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use: "drives", Aliases: []string{"drive"}, Short: "List drives and what they do", Args: cobra.NoArgs,
		Long: `Lists drives and what they do. READ counts the whole discs that a drive has read since it was put into service, CHARGED those that it could not read and
another drive could. REASON is why it is down, or suspected; FAULT what its agent finds wrong with it now; TROUBLE what the robot says of its place, and
TAG the barcode of the disc in it. The last three show where there is something to show.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(func(c *client.Client) error {
				resp, err := c.Library.ListDrives(cmd.Context(), &pb.ListDrivesRequest{Library: name})
				if err != nil {
					return err
				}
				return listDrives(a, resp.GetDrives())
			})
		},
	}
	c.PersistentFlags().StringVar(&name, "library", "", "which library")
	var reason string
	for _, s := range []struct {
		use, short string
		state      pb.DriveState
	}{
		{"up NUMBER", "Take a drive into service", pb.DriveState_DRIVE_STATE_UP},
		{"down NUMBER", "Take a drive out of service when it has finished", pb.DriveState_DRIVE_STATE_DOWN},
	} {
		sub := &cobra.Command{
			Use: s.use, Short: s.short, Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				n, err := parseNumber(args[0])
				if err != nil {
					return usage(cmd, err)
				}
				return a.with(func(c *client.Client) error {
					lib, err := only(cmd, c, name)
					if err != nil {
						return err
					}
					d, err := c.Library.SetDrive(cmd.Context(), &pb.SetDriveRequest{Library: lib, Number: n, State: s.state, Reason: reason})
					if err != nil {
						return err
					}
					return a.print(d, func(w io.Writer) {
						fmt.Fprintf(w, "drive %d of library %s is %s\n", d.GetNumber(), lib, word(d.GetState(), "DRIVE_STATE_"))
					})
				})
			},
		}
		if s.state == pb.DriveState_DRIVE_STATE_DOWN {
			sub.Flags().StringVar(&reason, "reason", "by the operator", "why")
		}
		c.AddCommand(sub)
	}
	c.AddCommand(a.driveMedia(&name))
	return c
}

func (a *app) discs() *cobra.Command {
	var req pb.ListDiscsRequest
	var state, grade string
	c := &cobra.Command{
		Use: "discs [DISC…]", Aliases: []string{"disc"}, Short: "List discs, where they are and how they are",
		Long: `Lists discs, where they are and how they are. HEALTH has a question mark while only one drive says so; 'odarchive discs show DISC' tells why. TAG is the barcode
that the robot reads at the disc's place, where it reads any.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if state != "" {
				v, ok := pb.DiscState_value["DISC_STATE_"+strings.ToUpper(state)]
				if !ok {
					return usage(cmd, fmt.Errorf("there is no state %q of discs", state))
				}
				req.State = pb.DiscState(v)
			}
			if grade != "" {
				v, ok := pb.Grade_value["GRADE_"+strings.ToUpper(strings.NewReplacer(" ", "_", "-", "_").Replace(grade))]
				if !ok || v == 0 {
					return usage(cmd, fmt.Errorf("there is no grade %q of discs", grade))
				}
				req.Grade = pb.Grade(v)
			}
			req.Labels = args
			return a.with(func(c *client.Client) error {
				var all []*pb.Disc
				for {
					resp, err := c.Library.ListDiscs(cmd.Context(), &req)
					if err != nil {
						return err
					}
					all = append(all, resp.GetDiscs()...)
					if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
						break
					}
				}
				return listDiscs(a, all)
			})
		},
	}
	c.Flags().StringVar(&req.Library, "library", "", "only of this library")
	c.Flags().StringVar(&state, "state", "", "only in this state: blank, burning, verifying, good, suspect, retired, spoiled or lost")
	c.Flags().StringVar(&grade, "health", "", "only those that are so or worse: healthy, watch, migrate-soon or migrate-now")
	c.Flags().BoolVar(&req.Together, "together", false, "only copies that lie in one library with all others of their image and should not: carry them to another")
	c.AddCommand(a.showDisc(), a.condemn(), a.clear(), a.heal(), a.lostDiscs(), a.foundDiscs())
	return c
}

func (a *app) scrub() *cobra.Command {
	var wait, due, all bool
	c := &cobra.Command{
		Use: "scrub [DISC…]", ValidArgsFunction: a.offer(discLabels, -1), Short: "Read whole discs and compare them with what was burned; without discs, all of them",
		Long: `Reads whole discs and compares them with what was burned: the ones that you name, with --due those whose turn comes within a
week, otherwise all. Every disc's turn comes by itself once in its vault's interval, sooner when it is at risk.`,
		Example: "  odarchive scrub 0042 0043\n  odarchive scrub --due --wait",
		RunE: func(cmd *cobra.Command, args []string) error {
			if n := len(args); due && (all || n > 0) || all && n > 0 {
				return usage(cmd, errors.New("want discs, --due or --all: one of them"))
			}
			return a.with(func(c *client.Client) error {
				j, err := c.Library.StartScrub(cmd.Context(), &pb.StartScrubRequest{Discs: args, Due: due})
				if err != nil {
					return err
				}
				if wait {
					if j, err = a.watch(cmd, c, j.GetId()); err != nil {
						return err
					}
				}
				return a.print(j, func(w io.Writer) { showJob(w, j) })
			})
		},
	}
	c.Flags().BoolVar(&wait, "wait", false, "wait until all have been read")
	c.Flags().BoolVar(&due, "due", false, "those whose scrub is due within a week")
	c.Flags().BoolVar(&all, "all", false, "every good or suspect disc")
	return c
}

func (a *app) stats() *cobra.Command {
	return &cobra.Command{
		Use: "stats", Short: "Count what has been done", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(func(c *client.Client) error {
				s, err := c.Library.Statistics(cmd.Context(), &pb.StatisticsRequest{})
				if err != nil {
					return err
				}
				return a.print(s, func(w io.Writer) {
					fmt.Fprintf(w, "discs burned    %d (%s, %s/s)\ndiscs verified  %d (%s, %s/s)\ndiscs spoiled   %d\nread back       %s (%s/s)\nmoves           %d\nin staging      %s\nin the cache    %s\n",
						s.GetDiscsBurned(), size(s.GetBytesBurned()), rate(s.GetBytesBurned(), s.GetBurnSeconds()),
						s.GetDiscsVerified(), size(s.GetBytesVerified()), rate(s.GetBytesVerified(), s.GetVerifySeconds()),
						s.GetDiscsSpoiled(), size(s.GetBytesRead()), rate(s.GetBytesRead(), s.GetReadSeconds()), s.GetMoves(), size(s.GetBytesStaged()), size(s.GetBytesCached()))
				})
			})
		},
	}
}

func rate(bytes int64, seconds float64) string {
	if seconds <= 0 {
		return "0 B"
	}
	return size(int64(float64(bytes) / seconds))
}
