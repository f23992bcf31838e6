package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// Store keeps an order. Save returns when it would outlive a power cut.
type Store interface {
	// Load returns fs.ErrNotExist when none was saved.
	Load() (Order, error)
	Save(Order) error
}

// FileName is the file that InFolder keeps.
const FileName = "order.json"

// InFolder is a Store in a folder that belongs to one process.
func InFolder(root *os.Root) Store { return folder{root} }

type folder struct{ root *os.Root }

func (f folder) Load() (o Order, err error) {
	b, err := f.root.ReadFile(FileName)
	if err == nil {
		err = json.Unmarshal(b, &o)
	}
	if err != nil {
		return o, fmt.Errorf("read the order of the piles: %w", err)
	}
	return o, nil
}

func (f folder) Save(o Order) error {
	b, err := json.Marshal(o)
	if err == nil {
		err = f.replace(append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("save the order of the piles: %w", err)
	}
	return nil
}

// replace makes the file have these bytes or the ones before, whatever happens.
func (f folder) replace(b []byte) error {
	const temp = FileName + ".new"
	file, err := f.root.Create(temp)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := f.root.Rename(temp, FileName); err != nil {
		return err
	}
	dir, err := f.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
