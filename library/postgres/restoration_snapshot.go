package postgres

import (
	"context"
	"io"

	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/survey"
)

// Snapshots loads what parity discs carry of the old catalogue, when all discs have been taken in and Finish has been called. open opens
// each snapshot, and is called twice.
func (r *Restoration) Snapshots(ctx context.Context, open []func() (io.ReadCloser, error)) (*survey.Told, error) {
	l, err := r.s.LoadSnapshots(ctx, open)
	if err != nil {
		return nil, err
	}
	t := &survey.Told{Missing: survey.Missing{Gaps: l.Gaps, Snapshots: len(open) - len(l.Doubts)}, Discs: l.Discs, Readings: l.Readings, Steps: l.Steps, Doubts: l.Doubts}
	for _, d := range l.AbsentDiscs {
		m := survey.MissingDisc{Image: d.ImageID, Label: catalogue.LabelOf(d.Number), Number: d.Number, Vault: d.Vault, Medium: d.Medium, Set: d.Set, Index: d.Index}
		if d.Label != "" {
			m.Discs = []string{d.Label}
		}
		t.Missing.Discs = append(t.Missing.Discs, m)
	}
	for _, a := range l.AbsentArchives {
		t.Archives = append(t.Archives, survey.MissingArchive(a))
	}
	return t, nil
}
