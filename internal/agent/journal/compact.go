package journal

import (
	"os"

	"google.golang.org/protobuf/proto"
)

// compact writes the file anew with what is not acknowledged yet. The old one stays until the new one is durable.
func (j *Journal) compact() error {
	text, err := j.live()
	if err != nil {
		return err
	}
	file, err := j.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = j.root.Rename(temporary, name)
	}
	if err == nil {
		err = j.syncFolder()
	}
	if err != nil {
		file.Close()
		return err
	}
	if j.file != nil {
		j.file.Close() // of a file that is gone: nothing depends on it
	}
	j.file, j.size = file, int64(len(text))
	return nil
}

// live is a file with all entries.
func (j *Journal) live() ([]byte, error) {
	text, err := record{Version: version}.line()
	if err != nil {
		return nil, err
	}
	add := func(m proto.Message, as func([]byte) record) {
		if err != nil {
			return
		}
		var body, line []byte
		if body, err = field(m); err != nil {
			return
		}
		if line, err = as(body).line(); err == nil {
			text = append(text, line...)
		}
	}
	for _, e := range j.entries {
		if e.Begun != nil {
			add(e.Begun, begun)
		}
		if e.Outcome != nil {
			add(e.Outcome, outcome)
		}
		if e.Result != nil {
			add(e.Result, result)
		}
	}
	return text, err
}

func (j *Journal) syncFolder() error {
	folder, err := j.root.Open(".")
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
