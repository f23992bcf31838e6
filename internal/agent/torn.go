package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/discset"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// A torn image is the copy of a disc that lacks some sectors, as `<id>.torn`. What is brought for it of rows of its set's other images lies
// beside it, as `<id>.<place in the set>.rows`, one run behind the other. What is brought before anybody has a copy is `<id>.<place>.early`. A note
// in JSON says of each what it lacks; the note is written first, so that what has its name has a note.
const (
	torn  = ".torn"
	rows  = ".rows"
	early = ".early"
	note  = ".json"
)

// tornNote is the note of a torn image, or of rows.
type tornNote struct {
	Rows    []discset.Run `json:"rows,omitempty"` // what there is; not of a torn image
	Lacking []discset.Run `json:"lacking"`
}

// openTorn opens the torn copy of an image of size bytes and returns the sectors that it lacks. Where there is none as it should be the
// file is nil.
func (s *scratch) openTorn(id string, size int64) (*os.File, []discset.Run, error) {
	if !validImage(id) {
		return nil, nil, defect("%q is no image id", id)
	}
	file, n, err := s.openNoted(id+torn, os.O_RDWR, func(n tornNote) int64 { return size })
	return file, n.Lacking, err
}

// openNoted opens a file of the size that its note tells. One that isn't so is as if it weren't there.
func (s *scratch) openNoted(name string, flag int, size func(tornNote) int64) (*os.File, tornNote, error) {
	var n tornNote
	file, err := s.root.OpenFile(name, flag, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, n, nil
	} else if err != nil {
		return nil, n, retry("open %s: %w", name, err)
	}
	text, err := s.root.ReadFile(name + note)
	if err == nil {
		err = json.Unmarshal(text, &n)
	}
	info, err2 := file.Stat()
	if err != nil || err2 != nil || info.Size() != size(n) {
		return nil, n, file.Close()
	}
	return file, n, nil
}

// keepNoted writes the note of a file and gives it its name where it hasn't it yet. The file must have been synced.
func (s *scratch) keepNoted(name string, n tornNote) error {
	text, err := json.Marshal(n)
	if err == nil {
		err = s.write(name+note+part, text)
	}
	if err == nil {
		err = s.root.Rename(name+note+part, name+note)
	}
	if err == nil {
		if err = s.root.Rename(name+part, name); errors.Is(err, fs.ErrNotExist) {
			err = nil // it has it
		}
	}
	if err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return s.sync()
}

// nameRows is the name of the rows that were brought of an image for another: with the ending rows for a torn one, or early.
func nameRows(id string, index int32, ending string) string {
	return fmt.Sprintf("%s.%d%s", id, index, ending)
}

// openRows opens rows that were brought of an image by their name; nil when there are none.
func (s *scratch) openRows(name string) (io.ReaderAt, *os.File, tornNote, error) {
	file, n, err := s.openNoted(name, os.O_RDONLY, func(n tornNote) int64 { return sectorsOf(n.Rows) * archive.SectorSize })
	if file == nil {
		return nil, nil, n, err
	}
	return discset.Without(discset.Packed(file, n.Rows), n.Lacking), file, n, nil
}

// forgetTorn deletes what a torn copy needed, when it is whole or not wanted any more: all files of an image but itself.
func (s *scratch) forgetTorn(id string) error { return s.remove(id, built, summed) }

// remove deletes the files of an image, but those with these endings.
func (s *scratch) remove(id string, but ...string) error {
	files, err := fs.ReadDir(s.root.FS(), ".")
	errs := []error{err}
next:
	for _, f := range files {
		if !strings.HasPrefix(f.Name(), id+".") {
			continue
		}
		for _, ending := range but {
			if f.Name() == id+ending {
				continue next
			}
		}
		if err := s.root.Remove(f.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func sectorsOf(runs []discset.Run) (n int64) {
	for _, r := range runs {
		n += r.Count
	}
	return n
}

// below returns what of runs lies before a sector.
func below(runs []discset.Run, end int64) (all []discset.Run) {
	for _, r := range runs {
		if r.Count = min(r.Count, end-r.First); r.Count > 0 {
			all = append(all, r)
		}
	}
	return all
}

// setRuns are runs of the wire as sets know them. Those that make no sense are a defect.
func setRuns(runs []*pb.SectorRun, end int64) (all []discset.Run, err error) {
	at := int64(0)
	for _, r := range runs {
		if r.GetFirst() < at || r.GetCount() < 1 || r.GetCount() > end-r.GetFirst() {
			return nil, defect("a run of %d sectors from %d on, of %d", r.GetCount(), r.GetFirst(), end)
		}
		at = r.GetFirst() + r.GetCount()
		all = append(all, discset.Run{First: r.GetFirst(), Count: r.GetCount()})
	}
	return all, nil
}

func wireRuns(runs []discset.Run) (all []*pb.SectorRun) {
	for _, r := range runs {
		all = append(all, &pb.SectorRun{First: r.First, Count: r.Count})
	}
	return all
}
