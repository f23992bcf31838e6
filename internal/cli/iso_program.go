package cli

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// sourceName is what the program's source is called beside it (make source).
const sourceName = "odarchive-source.tar.gz"

// programFiles returns what discs are to carry: with itself the running program and its source, which lies beside it, and files.
func programFiles(itself bool, files []string) ([]string, error) {
	if !itself {
		return files, nil
	}
	own, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the running program: %w", err)
	}
	if err := static(own); err != nil {
		return nil, fmt.Errorf("%s: %w", own, err)
	}
	files = append([]string{own}, files...)
	if slices.ContainsFunc(files, func(f string) bool { return filepath.Base(f) == sourceName }) {
		return files, nil
	}
	source := filepath.Join(filepath.Dir(own), sourceName)
	if _, err := os.Stat(source); err != nil {
		return nil, fmt.Errorf("the program's source: %w: `make source` makes it, or say where it is with --program", err)
	}
	return append(files, source), nil
}

var errDynamic = errors.New("it needs libraries of this machine, which nobody may have in fifty years: build it with CGO_ENABLED=0, as `make build` does")

// static says why a Linux program is not static. Of other machines' programs nothing is known.
func static(name string) error {
	f, err := elf.Open(name)
	if _, other := errors.AsType[*elf.FormatError](err); other || errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return err
	}
	defer f.Close()
	if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return errDynamic
	}
	return nil
}
