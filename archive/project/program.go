package project

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
)

const (
	programDir = "program" // of the project: copies of what discs carry of the program, by their hashes
	toolType   = ".tool"
	// maxTool bounds a file of the program, in bytes: it is held in memory while an image is written.
	maxTool = 1 << 30
)

// UseProgram has every disc of the next plan carry the files: this program, its source, whatever shall outlast with the discs. The project
// keeps copies, so that images can be made again when the files have changed.
func (p *Project) UseProgram(files ...string) error {
	p.program = nil
	for _, name := range files {
		b, err := readTool(name)
		if err != nil {
			return fmt.Errorf("program on discs: %w", err)
		}
		t := catalogue.Tool{Name: filepath.Base(name), Size: int64(len(b)), SHA256: sha256.Sum256(b)}
		if err := t.Validate(); err != nil {
			return fmt.Errorf("program on discs: %w", err)
		}
		if slices.ContainsFunc(p.program, func(o catalogue.Tool) bool { return strings.EqualFold(o.Name, t.Name) }) {
			return fmt.Errorf("program on discs: two files are called %s", t.Name)
		}
		if err := p.keepTool(&t, b); err != nil {
			return err
		}
		p.program = append(p.program, t)
	}
	slices.SortFunc(p.program, func(a, b catalogue.Tool) int { return cmp.Compare(a.Name, b.Name) })
	return nil
}

func readTool(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxTool+1))
	if err == nil && len(b) > maxTool {
		err = fmt.Errorf("%s has more than %d bytes", name, maxTool)
	}
	return b, err
}

// tool returns where the project keeps a file of the program.
func (p *Project) tool(t *catalogue.Tool) string {
	return p.path(programDir, t.SHA256.String()+toolType)
}

func (p *Project) keepTool(t *catalogue.Tool, b []byte) error {
	return writeFile(p.tool(t), func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// toolsSize is more than the program takes in a catalogue for each disc, in bytes.
func (p *Project) toolsSize() (n int64) {
	for i := range p.program {
		n += catalogue.ToolSize + 6*int64(len(p.program[i].Name))
	}
	return n
}

// openTool opens the project's copy of a file of the program, after checking it.
func (p *Project) openTool(t *catalogue.Tool) (io.ReadCloser, error) {
	b, err := readTool(p.tool(t))
	if err == nil && archive.Hash(sha256.Sum256(b)) != t.SHA256 {
		err = fmt.Errorf("%s is damaged", p.tool(t))
	}
	if err != nil {
		return nil, fmt.Errorf("program on discs: %s: %w", t.Name, err)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// importTools takes over what a disc carries of the program from the folder of another project or from a disc, where it is there.
func (p *Project) importTools(d *catalogue.SetDisc, beside string) error {
	for i := range d.Program {
		t := &d.Program[i]
		for _, name := range []string{filepath.Join(beside, programDir, t.SHA256.String()+toolType), filepath.Join(beside, t.DiscPath())} {
			b, err := readTool(name)
			if errors.Is(err, fs.ErrNotExist) || err == nil && archive.Hash(sha256.Sum256(b)) != t.SHA256 {
				continue
			}
			if err == nil {
				err = p.keepTool(t, b)
			}
			if err != nil {
				return err
			}
			break
		}
	}
	return nil
}
