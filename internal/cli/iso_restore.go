package cli

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/archive/disc"
)

// restoring is what `restore` was told.
type restoring struct {
	places  []string
	to      string
	archive string
	paths   []string
	ask     bool
	over    bool
	resume  bool
	side    disc.Side
}

// sides are what --side takes.
var sides = map[string]disc.Side{"": disc.Any, "udf": disc.UDF, "iso": disc.Diskfs}

func (i *iso) restore(use string) *cobra.Command {
	var o restoring
	var side string
	c := &cobra.Command{
		Use:   use,
		Short: "Bring folders back from images, discs in drives, or folders where discs are mounted",
		Long: `Restores from discs alone, everything with its permissions, times, links and attributes. DISC is an image, a drive's device, or a folder
where a disc is mounted. Discs that are needed and were not given are asked for. A file has its own name only when it is whole and
its hash has been checked. What can't be read is repaired from a disc's own error correction, where it has one. What is on none of the
discs is named, all else restored, and the exit code is 4. The same command again, with --resume and the discs that were missing, brings
the rest.

Of a disc set that was made without a controller the newest archive of each folder is restored.

Of discs of a vault every archive that one of them speaks of is restored, into a folder of its own below DIR; with --archive the one that has
this id, or the beginning of it, or this name, into DIR itself. Discs come in any order. With parity discs among them, what was on
lost discs of their set comes from the others, which are all given as images or devices then.

Discs of odarchive 0.1 are restored in the same way; they know files by SHA-512, and neither permissions nor owners.

An archive in a vault of a controller is brought back by odarchive get.`,
		Example: `  odarchive iso restore new_*.iso --to /tmp/back
  odarchive iso restore /dev/sr0 --to /tmp/back --path letters/2019
  odarchive iso restore OD_*.iso parity.iso --to /tmp/back --archive photos`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var known bool
			if o.side, known = sides[side]; !known {
				return usage(cmd, fmt.Errorf("there is no side %q: want udf or iso", side))
			}
			if o.to == "" {
				return usage(cmd, errors.New("say with --to which folder to write to"))
			}
			o.places = args
			o.ask = o.ask || isTerminal(os.Stdin)
			return i.rescue(cmd.Context(), &o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.to, "to", "", "folder to write to; made when it doesn't exist")
	f.StringArrayVar(&o.paths, "path", nil, "only this path of the archive; may be given several times")
	f.StringVar(&o.archive, "archive", "", "only the archive with this id, which may be an older one; of a vault's also by its name")
	f.BoolVar(&o.resume, "resume", false, "go on with an earlier restore to the same folder: what it has brought back whole stays")
	f.BoolVar(&o.over, "overwrite", false, "take the place of files that exist")
	f.StringVar(&side, "side", "", "read this side of images and devices only: udf, or iso, which go-diskfs reads (default udf, or iso where there is none)")
	f.BoolVar(&o.ask, "ask", false, "ask for discs even where stdin is no terminal")
	return c
}

// prompt waits for somebody to press Enter.
func (i *iso) prompt(text string) error {
	_, err := i.question(bufio.NewReader(i.stdin), text)
	return err
}

// errNoAnswer says that there is nobody who answers.
var errNoAnswer = errors.New("nobody answers")

// question asks and returns the line that is typed, without white space around it.
func (i *iso) question(in *bufio.Reader, text string) (string, error) {
	fmt.Fprint(i.stderr, text)
	line, err := in.ReadString('\n')
	if err != nil && line == "" {
		return "", errors.Join(errNoAnswer, err)
	}
	return strings.TrimSpace(line), nil
}
