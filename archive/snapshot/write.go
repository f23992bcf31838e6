package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/odarchive/odarchive/archive"
)

// Writer writes a snapshot, in memory bounded by some windows of the compression. It is used by one goroutine.
type Writer struct {
	out     *tally
	z       *zstd.Encoder
	limit   int64 // bytes of the file; 0: none
	pending int   // bytes that the compression may still hold
	sum     hash.Hash
	s       Summary
	line    bytes.Buffer
	err     error
	full    bool
}

// tally counts and hashes what goes through.
type tally struct {
	w   io.Writer
	n   int64
	sum hash.Hash
}

func (t *tally) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	t.n += int64(n)
	t.sum.Write(p[:n])
	return n, err
}

// endRoom is more than the last line takes, in bytes.
const endRoom = 1024

// NewWriter begins a snapshot on w, whose file will have at most limit bytes; 0 is no limit. It fails with ErrFull when not even an empty one has room.
func NewWriter(w io.Writer, h Header, limit int64) (*Writer, error) {
	if err := h.validate(); err != nil {
		return nil, fmt.Errorf("write snapshot: %w", err)
	}
	h.Taken = h.Taken.UTC()
	s := &Writer{out: &tally{w: w, sum: sha256.New()}, limit: limit, sum: sha256.New(), s: Summary{Header: h, Complete: true, Records: map[string]int64{}}}
	var err error
	s.z, err = zstd.NewWriter(s.out, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithWindowSize(window))
	if err != nil {
		return nil, fmt.Errorf("write snapshot: %w", err)
	}
	if err := s.put(headerLine{format, version, h.ID, h.Taken, h.Library, h.Set, h.Number, h.Follows}); err != nil {
		return nil, fmt.Errorf("write snapshot: %w", errors.Join(err, s.z.Close()))
	}
	return s, nil
}

// Write adds a record. After ErrFull the snapshot is as it was before, and takes no more: it is ended by Close.
func (w *Writer) Write(r Record) error {
	switch {
	case w.err != nil:
		return w.err
	case w.full:
		return ErrFull
	}
	if err := r.validate(); err != nil {
		return fmt.Errorf("write snapshot: %s %.80q: %w", r.Kind(), r.Key(), err)
	}
	err := w.put(r)
	switch {
	case err == nil:
		w.s.Records[r.Kind()]++
	case errors.Is(err, ErrFull):
		w.full, w.s.Complete = true, false
		return ErrFull
	default:
		w.err = fmt.Errorf("write snapshot: %w", err)
	}
	return w.err
}

// put writes a line, or finds that there is no room for it.
func (w *Writer) put(v any) error {
	w.line.Reset()
	if err := encode(&w.line, v); err != nil {
		return err
	}
	if w.line.Len() > maxLine {
		return fmt.Errorf("a record of %d bytes", w.line.Len())
	}
	if err := w.room(w.line.Len() + endRoom); err != nil {
		return err
	}
	return w.add()
}

func (w *Writer) add() error {
	w.sum.Write(w.line.Bytes())
	w.pending += w.line.Len()
	_, err := w.z.Write(w.line.Bytes())
	return err
}

// room makes sure that n more bytes fit, however badly they compress. What the compression holds is made to come out only when it
// matters, as that costs room too.
func (w *Writer) room(n int) error {
	if w.limit == 0 || w.fits(n) {
		return nil
	}
	if err := w.z.Flush(); err != nil {
		return err
	}
	w.pending = 0
	if !w.fits(n) {
		return ErrFull
	}
	return nil
}

func (w *Writer) fits(n int) bool {
	return w.out.n+int64(w.z.MaxEncodedSize(w.pending+n)) <= w.limit
}

// encode writes v as a line: an object whose first member is its kind, if it has one.
func encode(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	r, ok := v.(Record)
	if !ok {
		return e.Encode(v)
	}
	fmt.Fprintf(b, `{"kind":%q,`, r.Kind())
	at := b.Len()
	if err := e.Encode(r); err != nil {
		return err
	}
	text := b.Bytes()
	copy(text[at:], text[at+1:]) // its brace
	b.Truncate(b.Len() - 1)
	return nil
}

// Close ends the snapshot and says what has become of it. It does not close the writer beneath.
func (w *Writer) Close() (Summary, error) {
	if w.err != nil {
		return Summary{}, errors.Join(w.err, w.z.Close())
	}
	w.line.Reset()
	err := encode(&w.line, endLine{endKind, w.s.Complete, w.s.Records, archive.Hash(w.sum.Sum(nil))})
	if err == nil {
		err = w.add()
	}
	if err := errors.Join(err, w.z.Close()); err != nil {
		w.err = fmt.Errorf("write snapshot: %w", err)
		return Summary{}, w.err
	}
	w.err = errors.New("write snapshot: it has ended")
	w.s.Bytes, w.s.SHA256 = w.out.n, archive.Hash(w.out.sum.Sum(nil))
	if w.limit != 0 && w.s.Bytes > w.limit {
		return Summary{}, fmt.Errorf("write snapshot: it has %d bytes, more than %d", w.s.Bytes, w.limit)
	}
	return w.s, nil
}
