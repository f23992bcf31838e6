package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

func (a *app) jobs() *cobra.Command {
	var running bool
	c := &cobra.Command{
		Use: "jobs", Aliases: []string{"job"}, Short: "List jobs, newest first: what was asked for and how far it is", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(func(c *client.Client) error {
				resp, err := c.Jobs.ListJobs(cmd.Context(), &pb.ListJobsRequest{Running: running, PageSize: 1000})
				if err != nil {
					return err
				}
				return list(a, resp.GetJobs(), "ID\tKIND\tSTATE\tDONE\tOF\tWHAT\tNOW", func(j *pb.Job) string {
					return cells(j.GetId()[:8], word(j.GetKind(), "JOB_KIND_"), word(j.GetState(), "JOB_STATE_"), size(j.GetBytesDone()), size(j.GetBytes()), j.GetArchiveName(), now(j))
				})
			})
		},
	}
	c.Flags().BoolVar(&running, "running", false, "only those that run")
	ids := a.offer(jobIDs, 1)
	c.AddCommand(
		a.oneJob("show JOB", "Show a job", func(cmd *cobra.Command, c *client.Client, id string) (*pb.Job, error) {
			return c.Jobs.GetJob(cmd.Context(), &pb.GetJobRequest{Id: id})
		}),
		a.oneJob("watch JOB", "Watch a job until it ends", a.watch),
		a.oneJob("cancel JOB", "Cancel a retrieval or scrub", func(cmd *cobra.Command, c *client.Client, id string) (*pb.Job, error) {
			return c.Jobs.CancelJob(cmd.Context(), &pb.CancelJobRequest{Id: id})
		}),
		a.oneJob("retry JOB", "Try once more what an archive job gave up: discs were spoiled, or an image couldn't be built", func(cmd *cobra.Command, c *client.Client, id string) (*pb.Job, error) {
			return c.Jobs.RetryJob(cmd.Context(), &pb.RetryJobRequest{Id: id})
		}),
	)
	for _, sub := range c.Commands() {
		sub.ValidArgsFunction = ids
	}
	return c
}

// now says what a job does, waits for, or died of.
func now(j *pb.Job) string {
	switch {
	case j.GetError() != "":
		return j.GetError()
	case j.GetWaitingFor() != "":
		return "waiting: " + j.GetWaitingFor()
	}
	return strings.Join(j.GetDoing(), ", ")
}

func (a *app) oneJob(use, short string, do func(cmd *cobra.Command, c *client.Client, id string) (*pb.Job, error)) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(func(c *client.Client) error {
				j, err := do(cmd, c, args[0])
				if err != nil {
					return err
				}
				return a.print(j, func(w io.Writer) { showJob(w, j) })
			})
		},
	}
}

func showJob(w io.Writer, j *pb.Job) {
	fmt.Fprintf(w, "job %s\n  %s, %s: %s of %s", j.GetId(), word(j.GetKind(), "JOB_KIND_"), word(j.GetState(), "JOB_STATE_"), size(j.GetBytesDone()), size(j.GetBytes()))
	if j.GetArchiveName() != "" {
		fmt.Fprintf(w, " of archive %q in vault %s", j.GetArchiveName(), j.GetVault())
	}
	fmt.Fprintln(w)
	if n := now(j); n != "" {
		fmt.Fprintln(w, " ", n)
	}
	if len(j.GetDiscs()) > 0 {
		fmt.Fprintln(w, "  discs", strings.Join(j.GetDiscs(), " "))
	}
}

func (a *app) watch(cmd *cobra.Command, c *client.Client, id string) (*pb.Job, error) {
	a.after = fmt.Sprintf("job %[1]s goes on all the same: `odarchive wait %[1]s` waits on", id[:min(8, len(id))])
	g := a.progress(map[string]string{"wait": "done"})
	j, err := c.Wait(cmd.Context(), id, g.show)
	g.end()
	return j, err
}

func (a *app) wait() *cobra.Command {
	return &cobra.Command{
		ValidArgsFunction: a.offer(archiveIDs, 1),
		Use:               "wait ARCHIVE|JOB", Short: "Wait until an archive is safe on discs, or until a job has ended", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(func(c *client.Client) error {
				id := args[0]
				if x, err := find(cmd, c, id, ""); err == nil {
					id = x.GetJobId()
				}
				j, err := a.watch(cmd, c, id)
				if err != nil {
					return err
				}
				return a.print(j, func(w io.Writer) { showJob(w, j) })
			})
		},
	}
}
