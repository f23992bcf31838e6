package jukebox

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/robot/drive/file"
)

// A jukebox whose numbers make no sense says so, and makes no folder.
func TestRefusesNonsense(t *testing.T) {
	for says, m := range map[string]*Main{
		"speed -1":                {Speed: -1},
		"speed NaN":               {Speed: math.NaN()},
		"speed +Inf":              {Speed: math.Inf(1)},
		"rates of -1":             {ReadRate: -1},
		"and -2 bytes":            {WriteRate: -2},
		"-1 blank discs":          {Blanks: -1},
		"-3 drives":               {Drives: -3},
		"discs of 99999999999999": {Medium: file.Medium{Type: "BD-R", Sectors: 99999999999999}},
	} {
		m.Dir = filepath.Join(t.TempDir(), "new")
		if err := m.Run(t.Context()); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
		if _, err := os.Stat(m.Dir); err == nil {
			t.Errorf("%s: the folder was made", says)
		}
	}
}
