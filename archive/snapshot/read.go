package snapshot

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"maps"

	"github.com/klauspost/compress/zstd"

	"github.com/odarchive/odarchive/archive"
)

// Reader reads a snapshot that may be damaged, hostile or from a newer version, in bounded memory. It is used by one goroutine.
type Reader struct {
	in      *tally
	z       *zstd.Decoder
	r       *bufio.Reader
	sum     hash.Hash
	line    int
	s       Summary
	read    map[string]int64
	err     error
	skipped int64
}

// NewReader begins to read the snapshot file r: its header.
func NewReader(r io.Reader) (*Reader, error) {
	in := &tally{w: io.Discard, sum: sha256.New()}
	z, err := zstd.NewReader(io.TeeReader(r, in), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	s := &Reader{in: in, z: z, r: bufio.NewReaderSize(z, 64<<10), sum: sha256.New(), read: map[string]int64{}}
	if err := s.header(); err != nil {
		z.Close()
		return nil, err
	}
	return s, nil
}

// Close lets go of the memory that reading takes. It does not close the reader beneath.
func (s *Reader) Close() { s.z.Close() }

// Header says which snapshot it is.
func (s *Reader) Header() Header { return s.s.Header }

func (s *Reader) bad(format string, args ...any) error {
	return &Error{s.line, fmt.Errorf(format, args...)}
}

func (s *Reader) header() error {
	line, err := s.next()
	if errors.Is(err, io.EOF) {
		return s.bad("it is empty")
	} else if err != nil {
		return err
	}
	var v struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(line, &v); err != nil || v.Format != format {
		return s.bad("not a snapshot")
	}
	if v.Version != version {
		return s.bad("version %d, only %d is known: a newer odarchive wrote it", v.Version, version)
	}
	var h headerLine
	if err := json.Unmarshal(line, &h); err != nil {
		return s.bad("%w", err)
	}
	s.s.Header = Header{h.ID, h.Taken.UTC(), h.Library, h.Set, h.Number, h.Follows}
	if err := s.s.Header.validate(); err != nil {
		return s.bad("%w", err)
	}
	s.sum.Write(line)
	return nil
}

// next returns the next line with its end. It is valid until the next call.
func (s *Reader) next() ([]byte, error) {
	s.line++
	var long []byte
	for {
		part, err := s.r.ReadSlice('\n')
		if len(long)+len(part) > maxLine {
			return nil, s.bad("longer than %d bytes", maxLine)
		}
		switch {
		case err == nil && long == nil:
			return part, nil
		case err == nil:
			return append(long, part...), nil
		case errors.Is(err, bufio.ErrBufferFull):
			long = append(long, part...)
		case errors.Is(err, io.EOF) && len(long)+len(part) == 0:
			return nil, io.EOF
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil, s.bad("it is cut off here")
		default:
			return nil, s.bad("%w", err)
		}
	}
}

// Records returns the records in their order, and ends with the first error. Records of kinds that this version doesn't know are passed over. It can be
// called once. What it returned is to be believed only when it ended without an error: the integrity of all is known at the end.
func (s *Reader) Records() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for {
			r, err := s.record()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				s.err = err
				yield(nil, err)
				return
			}
			if r != nil && !yield(r, nil) {
				s.err = errors.New("read snapshot: it was not read to its end")
				return
			}
		}
	}
}

func (s *Reader) record() (Record, error) {
	line, err := s.next()
	if errors.Is(err, io.EOF) {
		return nil, s.bad("it is cut off here")
	} else if err != nil {
		return nil, err
	}
	var k struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(line, &k); err != nil {
		return nil, s.bad("%w", err)
	}
	if k.Kind == endKind {
		return nil, s.end(line)
	}
	if k.Kind == "" || len(k.Kind) > 40 || len(s.read) >= 1000 {
		return nil, s.bad("the kind %.60q", k.Kind)
	}
	s.sum.Write(line)
	s.read[k.Kind]++
	r := record(k.Kind)
	if r == nil {
		s.skipped++
		return nil, nil
	}
	if err := json.Unmarshal(line, r); err != nil {
		return nil, s.bad("%s: %w", k.Kind, err)
	}
	if err := r.validate(); err != nil {
		return nil, s.bad("%s: %w", k.Kind, err)
	}
	return r, nil
}

// end reads the last line, and makes sure that it is. It returns io.EOF when all is well.
func (s *Reader) end(line []byte) error {
	var e endLine
	if err := json.Unmarshal(line, &e); err != nil {
		return s.bad("%w", err)
	}
	if sum := archive.Hash(s.sum.Sum(nil)); sum != e.SHA256 {
		return s.bad("the lines before have the SHA-256 %v, not %v", sum, e.SHA256)
	}
	maps.DeleteFunc(e.Records, func(_ string, n int64) bool { return n == 0 })
	if !maps.Equal(s.read, e.Records) {
		return s.bad("it has the records %v, and says %v", s.read, e.Records)
	}
	if _, err := s.next(); err == nil {
		return s.bad("something follows its end")
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	s.s.Complete, s.s.Records, s.s.Bytes, s.s.SHA256 = e.Complete, s.read, s.in.n, archive.Hash(s.in.sum.Sum(nil))
	s.err = io.EOF
	return io.EOF
}

// Skipped returns how many records were of kinds that this version doesn't know.
func (s *Reader) Skipped() int64 { return s.skipped }

// Summary returns what is known of the snapshot when Records has ended without an error.
func (s *Reader) Summary() (Summary, error) {
	switch {
	case s.err == nil:
		return Summary{}, errors.New("read snapshot: it was not read to its end")
	case errors.Is(s.err, io.EOF):
		return s.s, nil
	}
	return Summary{}, s.err
}

// Read reads a whole snapshot for what it says of itself, and calls each, if it is not nil, with its records.
func Read(r io.Reader, each func(Record) error) (Summary, error) {
	s, err := NewReader(r)
	if err != nil {
		return Summary{}, err
	}
	defer s.Close()
	for x, err := range s.Records() {
		if err != nil {
			return Summary{}, err
		}
		if each != nil {
			if err := each(x); err != nil {
				return Summary{}, err
			}
		}
	}
	return s.Summary()
}
