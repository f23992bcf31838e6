package controller

import (
	"bufio"
	"iter"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
)

// sendManifest writes entries as a manifest in chunks.
func sendManifest(entries iter.Seq2[archive.Entry, error], send func(chunk []byte) error) error {
	w := bufio.NewWriterSize(sender(send), pieceSize)
	m := catalogue.NewManifestWriter(w)
	for e, err := range entries {
		if err != nil {
			return err
		}
		if err := m.WriteEntry(&e); err != nil {
			return err
		}
	}
	if _, _, err := m.Close(); err != nil {
		return err
	}
	return w.Flush()
}

// sender is an io.Writer that sends what is written, each time from memory of its own.
type sender func(chunk []byte) error

func (s sender) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), pieceSize)
		if err := s(append([]byte(nil), rest[:n]...)); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(p), nil
}
