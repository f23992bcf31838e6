package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/project"
	"github.com/odarchive/odarchive/internal/client"
)

func (i *iso) restore() *cobra.Command {
	var r project.Restore
	var ask bool
	c := &cobra.Command{
		Use:   "restore DISC… --to DIR",
		Short: "Bring folders back from images, discs in drives, or folders where discs are mounted",
		Long: `Restores the newest archive of each folder of a disc set, everything with its permissions, times, links and attributes. DISC is an
image, a drive's device, or a folder where a disc is mounted. Discs that are needed and were not given are asked for. A file has
its own name only when it is whole and its hash has been checked.`,
		Example: "  odarchive iso restore new_*.iso --to /tmp/back\n  odarchive iso restore /dev/sr0 --to /tmp/back --path letters/2019",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			shown := i.progress(map[string]string{"restore": "restored"})
			var last client.Progress
			r.Progress = func(files, totalFiles, bytes, totalBytes int64) {
				last = client.Progress{Stage: "restore", Files: files, TotalFiles: totalFiles, Bytes: bytes, TotalBytes: totalBytes}
				shown.show(last)
			}
			r.Owners = os.Geteuid() == 0
			if ask || isTerminal(os.Stdin) {
				answers := bufio.NewReader(i.stdin)
				where := args[len(args)-1]
				r.Ask = func(d *catalogue.SetDisc) (string, error) {
					shown.end()
					answer, err := i.question(answers, fmt.Sprintf("Disc %d (%s) is needed. Where is it? [%s] ", d.Number, d.Label, where))
					if answer != "" {
						where = answer
					}
					return where, err
				}
			}
			err := r.Run(cmd.Context(), args)
			shown.end()
			if err != nil {
				return err
			}
			return i.print(map[string]any{"files": last.TotalFiles, "bytes": last.TotalBytes, "target": r.Target}, func(w io.Writer) {
				fmt.Fprintf(w, "restored %d files, %s, to %s\n", last.TotalFiles, size(last.TotalBytes), r.Target)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&r.Target, "to", "", "folder to write to; made when it doesn't exist")
	f.StringArrayVar(&r.Paths, "path", nil, "only this path of the archive; may be given several times")
	f.StringVar(&r.Archive, "archive", "", "only the archive with this id, which may be an older one")
	f.BoolVar(&r.Overwrite, "overwrite", false, "take the place of files that exist")
	f.BoolVar(&ask, "ask", false, "ask for discs even where stdin is no terminal")
	if err := c.MarkFlagRequired("to"); err != nil {
		panic(err)
	}
	return c
}

// prompt waits for somebody to press Enter.
func (i *iso) prompt(text string) error {
	_, err := i.question(bufio.NewReader(i.stdin), text)
	return err
}

// question asks and returns the line that is typed, without white space around it.
func (i *iso) question(in *bufio.Reader, text string) (string, error) {
	fmt.Fprint(i.stderr, text)
	line, err := in.ReadString('\n')
	if err != nil && line == "" {
		return "", errors.Join(project.ErrMissing, err)
	}
	return strings.TrimSpace(line), nil
}
