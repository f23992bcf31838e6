package controller

import (
	"strings"
	"testing"
)

// A controller whose numbers make no sense says so, and starts nothing.
func TestRefusesNonsense(t *testing.T) {
	for says, m := range map[string]*Main{
		"a staging reserve of -1 bytes": {StagingReserve: -1},
		"a staging limit of -5 bytes":   {StagingLimit: -5},
		"-1 builds at a time":           {Builds: -1},
		"1000000 builds at a time":      {Builds: 1_000_000},
	} {
		m.DataDir = t.TempDir()
		if err := m.Run(t.Context()); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
}
