package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/odarchive/odarchive/archive/ecc"
	"github.com/odarchive/odarchive/archive/project"
	"github.com/odarchive/odarchive/archive/rescue"
	"github.com/odarchive/odarchive/archive/tree"
	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// Exit codes.
const (
	ExitOK          = 0
	ExitFailure     = 1
	ExitUsage       = 2
	ExitNotFound    = 3
	ExitPartial     = 4
	ExitUnreachable = 5
	ExitInterrupted = 130
)

func exitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the program's exit codes mean",
		Long: `  0    done
  1    failed; the last line on stderr says why
  2    the command line makes no sense
  3    what was named doesn't exist
  4    done, but something was left out (--keep-going), two folders differ (compare), an image needs repair (ecc test),
       something is missing from discs (survey, rebuild, restore), or somebody is needed (library alerts)
  5    the controller can't be reached
  130  interrupted (Ctrl-C); nothing half-written is left under its own name`,
	}
}

type usageError struct {
	cmd *cobra.Command
	err error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usage(cmd *cobra.Command, err error) error { return &usageError{cmd, err} }

var errInterrupted = errors.New("interrupted")

// unreachable is an error of the connection itself.
type unreachable struct {
	address string
	err     error
}

func (e *unreachable) Error() string {
	return fmt.Sprintf("the controller at %s can't be reached", e.address)
}

func (e *unreachable) Unwrap() error { return e.err }

// reached tells errors of the connection from those of the controller.
func reached(address string, err error) error {
	if client.Unreachable(err) {
		return &unreachable{address, err}
	}
	return err
}

// shortOutage is what nobody needs to be told of.
const shortOutage = 5 * time.Second

// retrying returns what tells of each outage once, in a line.
func (a *app) retrying() func(err error, until time.Time) {
	var mu sync.Mutex
	var told time.Time
	return func(err error, until time.Time) {
		mu.Lock()
		defer mu.Unlock()
		if a.quiet || a.json || until.Equal(told) || time.Until(until) < shortOutage {
			return
		}
		told = until
		what := "can't do this now"
		if client.Unreachable(err) {
			what = "can't be reached"
		}
		start := ""
		if a.terminal {
			start = "\n" // below the line of progress
		}
		fmt.Fprintf(a.stderr, "%sodarchive: the controller %s; trying again until %s (Ctrl-C ends that; nothing is lost)\n", start, what, until.Format(time.TimeOnly))
	}
}

func exitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return ExitUsage
	}
	if _, ok := errors.AsType[*unreachable](err); ok {
		return ExitUnreachable
	}
	switch {
	case errors.Is(err, errInterrupted) || errors.Is(err, context.Canceled):
		return ExitInterrupted
	case status.Code(err) == codes.NotFound || errors.Is(err, project.ErrNone) || errors.Is(err, project.ErrNoDisc) ||
		errors.Is(err, ecc.ErrNotFound) || errors.Is(err, rescue.ErrNoArchive) || errors.Is(err, fs.ErrNotExist):
		return ExitNotFound
	case status.Code(err) == codes.InvalidArgument:
		return ExitUsage
	}
	return ExitFailure
}

// controllerError is what the controller answered, perhaps below what we were doing.
type controllerError interface {
	error
	GRPCStatus() *status.Status
}

// complain says what went wrong in one line, and in another what to do about it.
func (a *app) complain(err error) {
	text := err.Error()
	if e, ok := errors.AsType[controllerError](err); ok {
		text = strings.ReplaceAll(text, e.Error(), e.GRPCStatus().Message()) // in gRPC's words it begins with codes for programs
	}
	hint := hint(err)
	if exitCode(err) == ExitInterrupted {
		hint = a.after
	}
	if a.json {
		complaint := map[string]any{"error": text, "exit_code": exitCode(err)}
		if hint != "" {
			complaint["hint"] = hint
		}
		a.printJSONTo(a.stderr, complaint)
		return
	}
	fmt.Fprintln(a.stderr, "odarchive:", strings.TrimSpace(text))
	if hint != "" {
		fmt.Fprintln(a.stderr, "  →", hint)
	}
}

// lists says which command lists what there is of a noun that the controller complains about.
var lists = []struct{ complaint, command string }{
	{"no archive ", "`odarchive archives` lists what there is"},
	{"archive \"", "`odarchive archives` lists what there is; a name is taken with --vault"},
	{"no job ", "`odarchive jobs` lists what there is"},
	{"job \"", "`odarchive jobs` lists what there is"},
	{"no disc ", "`odarchive discs` lists what there is"},
	{"no set ", "`odarchive library sets` lists what there is"},
	{"no library ", "`odarchive library` lists what there is"},
	{"has no drive ", "`odarchive drives` lists what there is"},
	{"has no slot ", "`odarchive library elements` lists what there is"},
	{"has no \"", "`odarchive ls ARCHIVE --recursive` lists what there is"},
}

// listed says how to find out what there is instead of what was named.
func listed(text string) string {
	for _, l := range lists {
		if strings.Contains(text, l.complaint) {
			return l.command
		}
	}
	return ""
}

// ended says where it is told why a job has ended as it did.
func ended(j *pb.Job) string {
	if j.GetState() == pb.JobState_JOB_STATE_CANCELLED {
		return ""
	}
	if j.GetKind() == pb.JobKind_JOB_KIND_SCRUB {
		return "`odarchive discs show DISC` tells what was read of each, `odarchive library alerts` what somebody should do"
	}
	return fmt.Sprintf("`odarchive jobs show %s` tells which discs it is about, `odarchive library alerts` what somebody should do", j.GetId()[:8])
}

func hint(err error) string {
	if u, ok := errors.AsType[*usageError](err); ok {
		return fmt.Sprintf("%s; see `%s --help`", u.cmd.UseLine(), u.cmd.CommandPath())
	}
	if e, ok := errors.AsType[*client.JobError](err); ok {
		return ended(e.Job)
	}
	if _, ok := errors.AsType[*unreachable](err); ok {
		return "is it running? `controller --data DIR` starts one; --controller or $" + AddressVariable + " say where it is"
	}
	switch {
	case errors.Is(err, tree.ErrExists):
		return "choose another folder with --to, or take its place with --overwrite; iso restore goes on with --resume"
	case errors.Is(err, project.ErrChanged):
		return "scan the folder again with create_db, then plan_iso: discs that were made stay as they are"
	case errors.Is(err, rescue.ErrNoArchive):
		return "`odarchive survey` lists the archives that discs speak of"
	case errors.Is(err, rescue.ErrAmbiguous):
		return "say which with --archive and its id or root hash"
	case errors.Is(err, ecc.ErrNoRoom):
		return "choose a larger medium or fewer roots"
	case errors.Is(err, ecc.ErrLost):
		return "what else could be repaired is or can be; another copy of the disc may have the rest"
	case errors.Is(err, tree.ErrChanging):
		return "stop what writes to it, or archive a snapshot"
	case errors.Is(err, syscall.ENOTDIR):
		return "a folder is wanted there: of a file, the one that it is in"
	case status.Code(err) == codes.NotFound || status.Code(err) == codes.InvalidArgument:
		return listed(status.Convert(err).Message())
	case status.Code(err) == codes.Unavailable:
		return "try again; what was uploaded is kept"
	}
	return ""
}
