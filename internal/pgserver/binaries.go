package pgserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ErrNoBinaries says that the machine has no PostgreSQL server.
var ErrNoBinaries = errors.New("no PostgreSQL server binaries (initdb, postgres) on PATH or in /usr/lib/postgresql: install them with `make setup`, " +
	"or with `apt-get install postgresql`, or give the address of a database")

// binaries are the server's programs.
type binaries struct {
	dir   string
	major string // "15"
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// findBinaries looks on PATH, then for the newest version where Debian keeps them.
func findBinaries() (binaries, error) {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(debian, func(a, b string) int { return majorOf(b) - majorOf(a) })
	for _, dir := range append(dirs, debian...) {
		if !executable(filepath.Join(dir, "initdb")) || !executable(filepath.Join(dir, "postgres")) {
			continue
		}
		out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
		if err != nil {
			return binaries{}, fmt.Errorf("ask %s/postgres for its version: %w", dir, err)
		}
		m := versionPattern.FindSubmatch(out)
		if m == nil {
			return binaries{}, fmt.Errorf("ask %s/postgres for its version: it says %q", dir, out)
		}
		return binaries{dir: dir, major: string(m[1])}, nil
	}
	return binaries{}, ErrNoBinaries
}

func majorOf(binDir string) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(filepath.Base(filepath.Dir(binDir)), "."))
	return n
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
