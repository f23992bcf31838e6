package controller

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/internal/staging"
	"github.com/odarchive/odarchive/library"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// upload takes the contents of one Upload stream in.
type upload struct {
	collector
	vault    string
	arriving *names

	content archive.Content // that is arriving now
	got     int64           // bytes of it, those of an earlier upload included
	busy    bool
	buffer  []byte            // of a small content in several pieces
	file    *staging.Incoming // of a large one
	sum     hash.Hash
	done    [][]byte // large contents that have been recorded and not been acknowledged
}

// names are the large contents that are arriving now: each from one client at a time.
type names struct {
	mu  sync.Mutex
	set map[string]bool
}

func (n *names) take(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.set[name] {
		return false
	}
	if n.set == nil {
		n.set = map[string]bool{}
	}
	n.set[name] = true
	return true
}

func (n *names) drop(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.set, name)
}

// What a large content of a vault is called in staging until it is whole: while a client uploads it, and while its parts
// come back from discs.
const (
	uploading = "upload-"
	returning = "return-"
)

func uploadName(vault string, h archive.Hash) string { return uploading + vault + "-" + h.String() }

func partName(vault string, h archive.Hash) string { return returning + vault + "-" + h.String() }

func (u *upload) piece(ctx context.Context, p *pb.Piece) error {
	c, err := contentOf(p.GetHash(), p.GetSize())
	if err != nil {
		return err
	}
	if !u.busy {
		if err := u.begin(c, p.GetOffset()); err != nil {
			return err
		}
	}
	if c != u.content || p.GetOffset() != u.got || p.GetOffset()+int64(len(p.GetData())) > c.Size {
		return library.Errorf(library.Invalid, "content %v: a piece at %d came, one at %d of %v is due", c.Hash, p.GetOffset(), u.got, u.content.Hash)
	}
	u.got += int64(len(p.GetData()))
	switch {
	case u.file != nil:
		u.sum.Write(p.GetData())
		if _, err := u.file.WriteAt(p.GetData(), p.GetOffset()); err != nil {
			return err
		}
	case u.got == c.Size && u.buffer == nil:
		return u.small(ctx, p.GetData())
	default:
		u.buffer = append(u.buffer, p.GetData()...)
	}
	if u.got < c.Size {
		if len(p.GetData()) == 0 {
			return library.Errorf(library.Invalid, "content %v: an empty piece at %d of %d bytes", c.Hash, p.GetOffset(), c.Size)
		}
		return nil
	}
	if u.file != nil {
		return u.large(ctx)
	}
	return u.small(ctx, u.buffer)
}

// begin starts with a content; a large one may go on where an earlier upload was cut off.
func (u *upload) begin(c archive.Content, offset int64) (err error) {
	u.content, u.got, u.buffer, u.busy = c, 0, nil, true
	if c.Size <= smallContent {
		return nil
	}
	name := uploadName(u.vault, c.Hash)
	if !u.arriving.take(name) {
		u.busy = false
		return library.Errorf(library.Precondition, "content %v is being uploaded by somebody else", c.Hash)
	}
	if u.file, err = u.staging.Incoming(name, c.Size); err != nil {
		u.arriving.drop(name)
		return err
	}
	u.sum = sha256.New()
	if offset == 0 {
		return u.file.Truncate(0)
	}
	if n, err := io.Copy(u.sum, io.NewSectionReader(u.file, 0, offset)); err != nil || n != offset {
		return library.Errorf(library.Invalid, "content %v: only %d bytes of it are here, the upload goes on at %d", c.Hash, n, offset)
	}
	u.got = offset
	return u.file.Truncate(offset)
}

func (u *upload) small(ctx context.Context, data []byte) error {
	u.busy = false
	if archive.Hash(sha256.Sum256(data)) != u.content.Hash {
		return wrongHash(u.content)
	}
	return u.add(ctx, u.content, data)
}

func (u *upload) large(ctx context.Context) error {
	file := u.file
	u.file, u.busy = nil, false
	defer u.arriving.drop(uploadName(u.vault, u.content.Hash))
	if archive.Hash(u.sum.Sum(nil)) != u.content.Hash {
		if err := file.Discard(); err != nil {
			return err
		}
		return wrongHash(u.content)
	}
	if err := u.addFile(ctx, u.content, file); err != nil {
		return err
	}
	h := u.content.Hash
	u.done = append(u.done, h[:])
	return nil
}

func wrongHash(c archive.Content) error {
	return library.Errorf(library.DataLoss, "content %v arrived with other bytes: it changed or was damaged on the way", c.Hash)
}

// acknowledge makes everything that arrived whole durable and returns its hashes.
func (u *upload) acknowledge(ctx context.Context) ([][]byte, error) {
	hashes, err := u.commit(ctx)
	hashes = append(hashes, u.done...)
	u.done = nil
	return hashes, err
}

// end keeps what has arrived of an unfinished large content for the next upload.
func (u *upload) end(ctx context.Context) error {
	if u.file != nil {
		u.file.Close()
		u.arriving.drop(uploadName(u.vault, u.content.Hash))
		u.file = nil
	}
	return u.close(ctx)
}

// contentOf reads a content's name as it came over the wire.
func contentOf(h []byte, size int64) (archive.Content, error) {
	if len(h) != sha256.Size || size < 0 {
		return archive.Content{}, library.Errorf(library.Invalid, "content: a hash of %d bytes and a size of %d, want 32 bytes and no negative size", len(h), size)
	}
	return archive.Content{Hash: archive.Hash(h), Size: size}, nil
}

// receive reads a stream's messages in a goroutine, so that a group can be committed while no message waits. The channel is
// closed at the stream's end; what ended it is in the returned function.
func receive[T any](ctx context.Context, recv func() (T, error)) (<-chan T, func() error) {
	messages := make(chan T, 8)
	var failed error
	go func() {
		defer close(messages)
		for {
			m, err := recv()
			if err == io.EOF {
				return
			}
			if err != nil {
				failed = fmt.Errorf("receive: %w", err)
				return
			}
			select {
			case messages <- m:
			case <-ctx.Done():
				failed = ctx.Err()
				return
			}
		}
	}()
	return messages, func() error { return failed }
}
