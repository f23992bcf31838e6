package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/odarchive/odarchive/archive/rescue"
	"github.com/odarchive/odarchive/internal/client"
)

// rescue restores from discs.
func (i *iso) rescue(ctx context.Context, o *restoring) error {
	shown := i.progress(map[string]string{"restore": "restored"})
	r := rescue.Restore{
		Target: o.to, Archive: o.archive, Paths: o.paths, Overwrite: o.over, Resume: o.resume, Owners: os.Geteuid() == 0, Side: o.side,
		Progress: func(files, totalFiles, bytes, totalBytes int64) {
			shown.show(client.Progress{Stage: "restore", Files: files, TotalFiles: totalFiles, Bytes: bytes, TotalBytes: totalBytes})
		},
	}
	if o.ask {
		answers := bufio.NewReader(i.stdin)
		where := o.places[len(o.places)-1]
		r.Ask = func(n *rescue.Need) (string, error) {
			shown.end()
			answer, err := i.question(answers, fmt.Sprintf("%s Where is it? [%s] (Ctrl-D: there is none) ", needed(n), where))
			if errors.Is(err, errNoAnswer) {
				fmt.Fprintln(i.stderr)
				return "", rescue.ErrNoMore
			}
			if answer != "" {
				where = answer
			}
			return where, err
		}
	}
	report, err := r.Run(ctx, o.places)
	shown.end()
	if err != nil {
		return err
	}
	i.partial = !report.Whole()
	out := rescuedOf(report)
	if i.partial {
		out.Sets = append(out.Sets, r.Sets()...)
	}
	return i.print(out, out.show)
}

// needed says in words what another disc is needed for.
func needed(n *rescue.Need) string {
	var seen []string
	for _, d := range n.Seen {
		seen = append(seen, cmp.Or(d.Label, fmt.Sprint("disc ", d.Number)))
	}
	if len(seen) > 12 {
		seen = append(append(seen[:6:6], "…"), seen[len(seen)-6:]...)
	}
	what := fmt.Sprintf("%d files, %s, as %s", n.Files, size(n.Bytes), printable(n.Example))
	switch {
	case n.Files == 0 && n.Archive != "":
		what = "the archive " + printable(n.Archive)
	case n.Files == 1:
		what = fmt.Sprintf("%s of %s", size(n.Bytes), printable(n.Example))
	}
	if len(n.Discs) > 0 {
		d := &n.Discs[0]
		name := fmt.Sprint("Disc ", d.Number)
		if d.Label != "" {
			name += " (" + printable(d.Label) + ")"
		}
		for i := range n.Seen {
			if d.ID != "" && n.Seen[i].ImageID == d.ID {
				name = "Another copy of " + name
			}
		}
		return fmt.Sprintf("%s is needed: %s.", name, what)
	}
	return fmt.Sprintf("Another disc is needed: %s, on none of %s.", what, strings.Join(seen, ", "))
}

// rescued is what a restore from discs of a vault prints.
type rescued struct {
	Archives []rescuedArchive `json:"archives"`
	Discs    []surveyedDisc   `json:"discs"`
	Repaired int64            `json:"repaired_sectors"`
	Rebuilt  int64            `json:"rebuilt_sectors"`
	Doubts   []string         `json:"doubts"`
	// Sets have parity that was not given and may give back what is absent.
	Sets []string `json:"sets"`
}

type rescuedArchive struct {
	ID       string           `json:"id"`
	Name     string           `json:"name"`
	Vault    string           `json:"vault"`
	Target   string           `json:"target"`
	RootHash string           `json:"root_hash"`
	Listed   bool             `json:"listed"`
	Whole    bool             `json:"whole"`
	Files    int64            `json:"files"`
	Bytes    int64            `json:"bytes"`
	Absent   []surveyedAbsent `json:"absent"`
}

func rescuedOf(r *rescue.Report) *rescued {
	out := &rescued{Archives: []rescuedArchive{}, Discs: []surveyedDisc{}, Repaired: r.Repaired, Rebuilt: r.Rebuilt, Doubts: []string{}, Sets: []string{}}
	for i := range r.Archives {
		out.Archives = append(out.Archives, rescuedArchiveOf(&r.Archives[i]))
	}
	for _, d := range r.Discs {
		out.Discs = append(out.Discs, surveyedDisc{d.ImageID, d.Label, d.Number, d.Vault})
	}
	for _, d := range r.Doubts {
		out.Doubts = append(out.Doubts, d.Error())
	}
	return out
}

func rescuedArchiveOf(a *rescue.Archive) rescuedArchive {
	out := rescuedArchive{a.ID, a.Name, a.Vault, a.Folder, a.RootHash.String(), a.Listed, a.Whole(), a.Files, a.Bytes, []surveyedAbsent{}}
	for _, x := range a.Absent {
		m := surveyedAbsent{Path: printable(x.Path), SHA256: x.Content.Hash.String(), Size: x.Content.Size, Privileged: x.Privileged}
		if m.Path != x.Path {
			m.Raw = hex.EncodeToString([]byte(x.Path))
		}
		for _, g := range x.Gaps {
			m.Gaps = append(m.Gaps, surveyedGap(g))
		}
		out.Absent = append(out.Absent, m)
	}
	return out
}

func (r *rescued) show(w io.Writer) {
	for _, d := range r.Doubts {
		fmt.Fprintln(w, "doubtful:", printable(d))
	}
	for _, a := range r.Archives {
		switch {
		case !a.Listed:
			fmt.Fprintf(w, "%s  %s: its list of files is on none of the discs\n", a.ID, printable(a.Name))
			continue
		case !a.Whole:
			fmt.Fprintf(w, "%s  %s: restored %d files, %s, to %s; %d files are absent:\n", a.ID, printable(a.Name), a.Files, size(a.Bytes), a.Target, len(a.Absent))
		default:
			fmt.Fprintf(w, "%s  %s: restored %d files, %s, to %s\n", a.ID, printable(a.Name), a.Files, size(a.Bytes), a.Target)
		}
		for _, x := range a.Absent {
			if x.Privileged {
				fmt.Fprintf(w, "  %s: a device, which only root may make\n", x.Path)
			}
			for _, g := range x.Gaps {
				fmt.Fprintf(w, "  %s: bytes %d to %d of %d, sha256 %s\n", x.Path, g.Offset, g.Offset+g.Length-1, x.Size, x.SHA256)
			}
		}
	}
	if r.Repaired > 0 {
		fmt.Fprintf(w, "%d sectors were repaired by error correction on their discs\n", r.Repaired)
	}
	if r.Rebuilt > 0 {
		fmt.Fprintf(w, "%d sectors were rebuilt from other discs of their sets\n", r.Rebuilt)
	}
	if len(r.Sets) > 0 {
		fmt.Fprintf(w, "more may come back with the parity discs of set %s: give them, and images of all discs of the set that there are\n", strings.Join(r.Sets, ", "))
	}
}
