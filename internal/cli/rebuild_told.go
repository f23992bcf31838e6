package cli

import (
	"fmt"
	"io"

	"github.com/odarchive/odarchive/archive/survey"
)

// rebuiltTold is what the snapshots on parity discs gave, and what they tell of that no disc does.
type rebuiltTold struct {
	surveyedMissing
	Known    int64 `json:"discs_known_again"`
	Readings int64 `json:"readings"`
	Steps    int64 `json:"steps"`
}

func toldOf(t *survey.Told) rebuiltTold {
	if t == nil {
		t = &survey.Told{}
	}
	return rebuiltTold{surveyedMissingOf(&t.Missing), t.Discs, t.Readings, t.Steps}
}

func (t *rebuiltTold) show(w io.Writer) {
	if t.Snapshots > 0 {
		fmt.Fprintf(w, "%d snapshots of the old catalogue read: %d discs are known again, with %d readings\n", t.Snapshots, t.Known, t.Readings)
	}
	t.surveyedMissing.show(w)
}
