package cli

import (
	"bytes"
	"strings"
	"testing"
)

// Numbers that make no sense are refused, with what would: none is taken for a default or for what 32 bits leave of it.
func TestNonsense(t *testing.T) {
	for _, line := range []string{
		"put --jobs -3 .", "put --jobs 1000000 .", "iso scan --jobs -1 .",
		"vaults create v --copies 0", "vaults create v --copies -1", "vaults create v --max-wait -1s", "vaults create v --max-wait 1ms", "vaults create v --set 300+1",
		"library stock --slots 4294967297", "library stock --slots 0-3", "library stock --slots 1 --capacity -5", "library set-element slot 4294967297 empty",
		"drives up 4294967297", "drives up 0", "drives down -- -1", "drives media 4294967298", "library limit --evacuation 400y", "vaults set v --scrub-interval 585y",
		"durability --confidence 2", "durability --confidence NaN", "durability --rate NaN", "simulate --seeds 0", "simulate --table --seeds -1", "simulate --rate NaN",
		"discs show 1 --limit -1", "discs show 1 --limit 0",
		"ecc add --roots -1 x", "ecc add --medium -1 x", "set parity --to d --data -1 x", "set parity --to d --parity 0 x",
	} {
		t.Run(line, func(t *testing.T) {
			var out, complaints bytes.Buffer
			// Nothing listens there: what is not refused before says so, with another code.
			args := append(strings.Fields(line), "--controller", "unix:///nowhere/at/all")
			if i := strings.Index(line, " -- "); i >= 0 {
				args = append([]string{"--controller", "unix:///nowhere/at/all"}, strings.Fields(line)...)
			}
			if code := (Program{}).Run(t.Context(), args, &out, &complaints); code != ExitUsage {
				t.Errorf("it ends with %d: %s", code, complaints.String())
			}
		})
	}
}
