package cli

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// odarchive runs a command line.
func odarchive(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// mustRun runs a command line that must leave with that code and print that.
func mustRun(t *testing.T, code int, want string, args ...string) {
	t.Helper()
	got, out, errs := odarchive(t, args...)
	if got != code || !strings.Contains(out+errs, want) {
		t.Fatalf("odarchive %s: exit code %d, want %d and %q:\n%s%s", strings.Join(args, " "), got, code, want, out, errs)
	}
}

func TestECC(t *testing.T) {
	rng := rand.NewChaCha8([32]byte{1})
	data := make([]byte, 1801*2048-5)
	rng.Read(data)
	path := filepath.Join(t.TempDir(), "x.iso")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	mustRun(t, ExitNotFound, "no RS03", "ecc", "test", path)
	mustRun(t, ExitNotFound, "no such file", "ecc", "test", path+"x")
	mustRun(t, ExitUsage, "there is no medium", "ecc", "add", path, "--medium", "tape")
	mustRun(t, ExitUsage, "want 8 to 170", "ecc", "add", path, "--roots", "7")
	mustRun(t, ExitUsage, "exclude", "ecc", "add", path, "--small", "--medium", "CD")
	mustRun(t, ExitFailure, "only", "ecc", "add", path, "--medium", "2550", "--roots", "80")
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, data) {
		t.Fatal("a command that failed changed the image")
	}
	mustRun(t, ExitOK, "73 roots", "ecc", "add", path, "--medium", "2550", "--md5", "--roots", "60")
	mustRun(t, ExitFailure, "already", "ecc", "add", path)
	mustRun(t, ExitOK, "good", "ecc", "test", path)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	damaged := bytes.Clone(whole)
	clear(damaged[300*2048 : 1000*2048])
	damaged[5] ^= 1
	if err := os.WriteFile(path, damaged[:len(damaged)-3*2048-7], 0o600); err != nil {
		t.Fatal(err)
	}
	mustRun(t, ExitPartial, "worst row: 71", "ecc", "test", path)
	_, out, _ := odarchive(t, "ecc", "test", path, "--json")
	var report eccReport
	if err := json.Unmarshal([]byte(out), &report); err != nil || report.Wrong != 701 || report.Unreadable != 4 || report.Roots != 73 || report.Margin != 2 {
		t.Errorf("%+v, %v", report, err)
	}
	copied := path + ".whole"
	mustRun(t, ExitOK, "705 sectors are repaired", "ecc", "repair", path, "--to", copied)
	mustRun(t, ExitFailure, "exists", "ecc", "repair", path, "--to", copied)
	mustRun(t, ExitOK, "705 sectors are repaired", "ecc", "repair", path)
	for _, p := range []string{path, copied} {
		if got, err := os.ReadFile(p); err != nil || !bytes.Equal(got, whole) {
			t.Errorf("%s is not what it was", p)
		}
	}
	mustRun(t, ExitOK, `"md5_matches":true`, "ecc", "test", path, "--json")

	clear(damaged[300*2048 : 1040*2048])
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	mustRun(t, ExitFailure, "beyond repair", "ecc", "repair", path)
	mustRun(t, ExitFailure, "lost: sectors", "ecc", "test", path)
}

func TestECCSmall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.iso")
	if err := os.WriteFile(path, make([]byte, 1000*2048), 0o600); err != nil {
		t.Fatal(err)
	}
	mustRun(t, ExitOK, `"sectors":1275,"layer_sectors":5,"roots":53`, "ecc", "add", path, "--small", "--roots", "50", "--json")
	mustRun(t, ExitOK, "good", "ecc", "test", path)
}
