package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

func (a *app) put() *cobra.Command {
	var p client.Put
	var wait bool
	c := &cobra.Command{
		Use:   "put DIR",
		Short: "Archive a folder",
		Long: `Reads the folder, uploads what the vault doesn't hold yet, and seals an archive of it. It may be repeated after a failure: what
arrived is not sent again.

A sealed archive waits in staging until there is enough for a disc, or until --flush, and is safe when all its bytes have been
burned, read back whole after a new load, and found right. --wait waits for that.

Symlinks, FIFOs, sockets and devices are kept as what they are, and never followed or read.`,
		Example: "  odarchive put ~/photos\n  odarchive put /srv/data --vault research --name data-2026 --flush --wait",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkJobs(p.Jobs); err != nil {
				return usage(cmd, err)
			}
			p.Dir = args[0]
			p.Flush = p.Flush || wait
			g := a.progress(map[string]string{"scan": "read", "upload": "uploaded", "seal": "sealed", "wait": "safe"})
			p.Progress = g.show
			p.Skipped = func(path string, err error) {
				fmt.Fprintf(a.stderr, "left out: %s: %v\n", printable(path), err)
				a.partial = true
			}
			return a.with(func(c *client.Client) error {
				a.after = "nothing was sealed. What has arrived is kept for a while: the same command goes on with the rest"
				archive, err := c.Put(cmd.Context(), p)
				g.end()
				if err != nil {
					return err
				}
				if wait {
					a.after = fmt.Sprintf("archive %s is sealed and goes onto discs all the same: `odarchive wait %s` waits on", archive.GetId(), archive.GetId()[:8])
					_, err := c.Wait(cmd.Context(), archive.GetJobId(), g.show)
					g.end()
					if err != nil {
						return err
					}
					if archive, err = c.Archives.GetArchive(cmd.Context(), &pb.GetArchiveRequest{Id: archive.GetId()}); err != nil {
						return err
					}
				}
				return a.print(archive, func(w io.Writer) { showArchive(w, archive) })
			})
		},
	}
	f := c.Flags()
	f.StringVarP(&p.Vault, "vault", "v", client.DefaultVault, "vault to put it into")
	f.StringVar(&p.Name, "name", "", "name of the archive (default the folder's)")
	f.StringVar(&p.Description, "description", "", "up to 1,024 printable ASCII characters")
	f.BoolVar(&wait, "wait", false, "wait until it is safe on verified discs (implies --flush)")
	f.BoolVar(&p.Flush, "flush", false, "burn it as soon as possible instead of waiting for a full disc")
	f.BoolVar(&p.KeepGoing, "keep-going", false, "leave out what can't be read and exit with 4")
	f.IntVar(&p.Jobs, "jobs", 0, "files to read at a time (default one for each processor)")
	return c
}

func (a *app) get() *cobra.Command {
	var g client.Get
	var q quoting
	c := &cobra.Command{
		Use:   "get ARCHIVE [PATH…] --to DIR",
		Short: "Bring an archive, or some paths of it, back",
		Long: `ARCHIVE is an id, the beginning of one, or with --vault an archive's name (the newest of that name).

What is on discs is loaded and read first, one mount for each disc, into the controller's cache; then it is downloaded. A file has
its own name in DIR only when it is whole and its hash has been checked. Files that exist are refused before anything is
written, unless --overwrite.

With --quote nothing is started: it says which discs it would take, how much of the drives' time, and when it would be there as the
queue is now. --accept starts what a quote promised, with its deadline.`,
		Example: "  odarchive get 3f2a9c --to /tmp/back\n  odarchive get 3f2a9c letters/2019 --to /tmp/back --tier expedited\n  odarchive get 3f2a9c --quote --within 2h",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if g.Tier, err = q.class(); err != nil {
				return usage(cmd, err)
			}
			g.Paths = args[1:]
			if q.wanted {
				return a.quote(cmd, args, &q)
			}
			if g.Target == "" {
				return usage(cmd, errors.New("say with --to which folder to write to"))
			}
			g.Owners = os.Geteuid() == 0
			shown := a.progress(map[string]string{"wait": "read from discs", "download": "downloaded"})
			g.Progress = shown.show
			var id string
			g.Started = func(retrieval string) {
				id = retrieval
				a.after = fmt.Sprintf("the discs are read all the same, as job %[1]s: `odarchive get … --retrieval %[1]s` goes on, `odarchive jobs cancel %[1]s` ends it", id[:8])
			}
			g.Unmade = func(path string) {
				fmt.Fprintf(a.stderr, "not restored: %s: a device, which only root may make\n", printable(path))
				a.partial = true
			}
			return a.with(func(c *client.Client) (err error) {
				if g.Archive, err = find(cmd, c, args[0], q.vault); err != nil {
					return err
				}
				err = c.Get(cmd.Context(), g)
				shown.end()
				if err != nil {
					return err
				}
				r, err := c.Retrievals.GetRetrieval(cmd.Context(), &pb.GetRetrievalRequest{Id: id})
				if err != nil {
					return err
				}
				return a.print(r, func(w io.Writer) {
					fmt.Fprintf(w, "restored %s in %d contents to %s, from %d discs\n", size(r.GetBytes()), r.GetContents(), g.Target, len(r.GetDiscs()))
				})
			})
		},
	}
	f := c.Flags()
	f.StringVar(&g.Target, "to", "", "folder to write to; made when it doesn't exist")
	f.BoolVar(&g.Overwrite, "overwrite", false, "take the place of files that exist")
	f.StringVar(&g.Retrieval, "retrieval", "", "id of a retrieval to go on with")
	q.flags(c)
	f.StringVar(&g.Quote, "accept", "", "id of a quote to accept")
	c.ValidArgsFunction = a.offer(archiveIDs, 1)
	return c
}

// find looks an archive up as people name it.
func find(cmd *cobra.Command, c *client.Client, name, vault string) (*pb.Archive, error) {
	req := &pb.GetArchiveRequest{Id: name}
	if vault != "" {
		req = &pb.GetArchiveRequest{Vault: vault, Name: name}
	}
	return c.Archives.GetArchive(cmd.Context(), req)
}
