package cli

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// patience is how long a shell waits for what the controller knows.
const patience = 2 * time.Second

// offer completes up to most arguments, -1 for any number, by what list knows. A controller that doesn't answer offers nothing.
func (a *app) offer(list func(context.Context, *client.Client) ([]string, error), most int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) (words []string, _ cobra.ShellCompDirective) {
		if most >= 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		_ = a.with(func(c *client.Client) (err error) {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			words, err = list(ctx, c)
			return err
		})
		words = slices.DeleteFunc(words, func(word string) bool { return slices.Contains(args, word) })
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

func archiveIDs(ctx context.Context, c *client.Client) (ids []string, err error) {
	resp, err := c.Archives.ListArchives(ctx, &pb.ListArchivesRequest{PageSize: 200})
	for _, x := range resp.GetArchives() {
		ids = append(ids, x.GetId()[:8]+"\t"+printable(x.GetName()))
	}
	return ids, err
}

func jobIDs(ctx context.Context, c *client.Client) (ids []string, err error) {
	resp, err := c.Jobs.ListJobs(ctx, &pb.ListJobsRequest{PageSize: 200})
	for _, j := range resp.GetJobs() {
		ids = append(ids, j.GetId()[:8]+"\t"+word(j.GetKind(), "JOB_KIND_")+", "+word(j.GetState(), "JOB_STATE_"))
	}
	return ids, err
}

// discLabels are those of discs that carry something, or did.
func discLabels(ctx context.Context, c *client.Client) (labels []string, err error) {
	resp, err := c.Library.ListDiscs(ctx, &pb.ListDiscsRequest{PageSize: 10000})
	for _, d := range resp.GetDiscs() {
		if d.GetState() != pb.DiscState_DISC_STATE_BLANK {
			labels = append(labels, d.GetLabel())
		}
	}
	return labels, err
}

func vaultNames(ctx context.Context, c *client.Client) (names []string, err error) {
	resp, err := c.Vaults.ListVaults(ctx, &pb.ListVaultsRequest{})
	for _, v := range resp.GetVaults() {
		names = append(names, v.GetName())
	}
	return names, err
}

// completeVaults completes --vault wherever a command has it.
func (a *app) completeVaults(c *cobra.Command) {
	if c.LocalFlags().Lookup("vault") != nil {
		_ = c.RegisterFlagCompletionFunc("vault", a.offer(vaultNames, -1)) // fails only when it has been done before
	}
	for _, sub := range c.Commands() {
		a.completeVaults(sub)
	}
}
