package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Store keeps an order.
type Store interface {
	// Load returns fs.ErrNotExist when none was saved.
	Load() (Order, error)
	// Save returns when the order would outlive a power cut. Nothing is carried before.
	Save(Order) error
	// Note returns when the order would outlive this process; a power cut it outlives a moment later, or with the next Save. It is
	// for a disc that has arrived: until then the order before it says that the disc is on its way, which is no less true.
	Note(Order) error
}

// FileName is the file of InFolder that a person can read: the order as it was some hundred moves ago at most. What came since
// is in LogName beside it.
const (
	FileName = "order.json"
	LogName  = "order.log"
)

// InFolder is a Store in a folder that belongs to one process. It is an io.Closer too; one that was closed opens its files again when it is
// used.
//
// An order is appended to a log of a fixed size whose blocks exist already, so that nothing but the record itself has to reach the
// disk: one fdatasync, for which Note does not wait. When the log is full, a new file takes its place as what the log begins from.
func InFolder(root *os.Root) Store { return &folder{root: root} }

type folder struct {
	root *os.Root
	log  *orderLog // nil until it is needed
}

// snapshot is the file's content.
type snapshot struct {
	Order
	// Generation is that of the records in the log that came after it; 0 is that there is no log.
	Generation uint64 `json:"generation,omitempty"`
}

// Load implements Store.
func (f *folder) Load() (o Order, err error) {
	s, err := f.open()
	if err != nil {
		return o, fmt.Errorf("read the order of the piles: %w", err)
	}
	return s.Order.clone(), nil
}

// open reads the files, and leaves the log ready for the next record.
func (f *folder) open() (s snapshot, err error) {
	b, err := f.root.ReadFile(FileName)
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil || s.Generation == 0 {
		return s, err
	}
	if err := f.Close(); err != nil {
		return s, err
	}
	log, last, err := openLog(f.root, s.Generation)
	if err != nil {
		return s, err
	}
	f.log = log
	if last != nil {
		s.Order = Order{}
		err = json.Unmarshal(last, &s.Order)
	}
	return s, err
}

// Save implements Store.
func (f *folder) Save(o Order) error { return f.write(o, true) }

// Note implements Store.
func (f *folder) Note(o Order) error { return f.write(o, false) }

func (f *folder) write(o Order, now bool) error {
	b, err := json.Marshal(o)
	if err == nil {
		err = f.save(o, b, now)
	}
	if err != nil {
		return fmt.Errorf("save the order of the piles: %w", err)
	}
	return nil
}

func (f *folder) save(o Order, b []byte, now bool) error {
	generation := uint64(0)
	if f.log == nil {
		s, err := f.open()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		generation = s.Generation
	}
	if f.log != nil {
		if f.log.fits(b) {
			return f.log.append(b, now)
		}
		generation = f.log.generation
	}
	// The log's blocks are there before the file speaks of them. Records of an older generation count for nothing from then on.
	if generation == 0 {
		if err := makeLog(f.root); err != nil {
			return err
		}
	}
	b, err := json.Marshal(snapshot{o, generation + 1})
	if err != nil {
		return err
	}
	if err := replace(f.root, FileName, append(b, '\n')); err != nil {
		return err
	}
	_, err = f.open()
	return err
}

// Close closes the log.
func (f *folder) Close() error {
	if f.log == nil {
		return nil
	}
	err := errors.Join(f.log.wait(), f.log.file.Close())
	f.log = nil
	return err
}

// replace makes a file have these bytes or the ones before, whatever happens.
func replace(root *os.Root, name string, b []byte) error {
	temp := name + ".new"
	file, err := root.Create(temp)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := root.Rename(temp, name); err != nil {
		return err
	}
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
