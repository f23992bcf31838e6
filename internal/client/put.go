package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/tree"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// DefaultVault is the vault that is made when it is missing.
const DefaultVault = "default"

// Put says what to archive and how.
type Put struct {
	Dir         string
	Vault       string // empty means DefaultVault
	Name        string // empty means the folder's own
	Description string
	// Flush burns the archive as soon as possible instead of waiting for a full disc.
	Flush bool
	// KeepGoing leaves out what can't be read.
	KeepGoing bool
	// Jobs is how many files are read at a time; 0 means one for each processor.
	Jobs int
	// Skipped is told of what is left out and why.
	Skipped func(path string, err error)
	// Progress is told how far it is, by one goroutine at a time.
	Progress func(Progress)
}

// uploadStreams is how many uploads run beside each other: while one waits for the controller's disk another sends.
const uploadStreams = 2

// Put archives a folder: it returns when the archive is sealed. Done twice, it uploads only once.
func (c *Client) Put(ctx context.Context, p Put) (*pb.Archive, error) {
	if p.Vault == "" {
		p.Vault = DefaultVault
	}
	dir, err := filepath.Abs(p.Dir)
	if err != nil {
		return nil, fmt.Errorf("put %s: %w", p.Dir, err)
	}
	p.Dir = dir
	if p.Name == "" {
		p.Name = filepath.Base(dir)
	}
	if err := c.ensureVault(ctx, p.Vault); err != nil {
		return nil, err
	}
	u := &uploader{client: c, put: p}
	if err := u.scan(ctx); err != nil {
		return nil, err
	}
	if u.root, err = os.OpenRoot(dir); err != nil {
		return nil, fmt.Errorf("put %s: %w", dir, err)
	}
	defer u.root.Close()
	if err := u.upload(ctx); err != nil {
		return nil, err
	}
	return u.seal(ctx)
}

func (c *Client) ensureVault(ctx context.Context, name string) error {
	return c.retry(ctx, always, func() error {
		_, err := c.Vaults.GetVault(ctx, &pb.GetVaultRequest{Name: name})
		if status.Code(err) == codes.NotFound && name == DefaultVault {
			_, err = c.Vaults.CreateVault(ctx, &pb.CreateVaultRequest{Name: name, Copies: 1})
		}
		return err
	})
}

type uploader struct {
	client  *Client
	put     Put
	root    *os.Root
	entries []archive.Entry

	mu       sync.Mutex // of progress
	progress Progress
	acked    atomic.Int64 // contents
}

func (u *uploader) tell(change func(p *Progress)) {
	if u.put.Progress == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	change(&u.progress)
	u.put.Progress(u.progress)
}

func (u *uploader) scan(ctx context.Context) (err error) {
	u.tell(func(p *Progress) { *p = Progress{Stage: "scan"} })
	u.entries, err = tree.Scan(ctx, u.put.Dir, tree.Options{
		Jobs: u.put.Jobs, KeepGoing: u.put.KeepGoing, Skipped: u.put.Skipped,
		Progress: func(files, bytes int64) {
			u.tell(func(p *Progress) { p.Files, p.Bytes = max(p.Files, files), max(p.Bytes, bytes) })
		},
	})
	return err
}

// wanted is a content that the vault lacks, and a file that has it.
type wanted struct {
	entry  *archive.Entry
	offset int64 // where an earlier upload was cut off
}

// upload brings everything that is missing into the vault. A file that has changed since it was scanned is read again.
func (u *uploader) upload(ctx context.Context) error {
	for changes := 0; ; changes++ {
		var missing []wanted
		err := u.client.retry(ctx, u.acked.Load, func() (err error) {
			missing, err = u.missing(ctx)
			if err != nil || len(missing) == 0 {
				return err
			}
			return u.send(ctx, missing)
		})
		if err == nil {
			return nil
		}
		bad, unread := errors.AsType[*unreadError](err)
		if !unread && status.Code(err) != codes.DataLoss || ctx.Err() != nil {
			return err
		}
		changed := u.changed()
		if len(changed) > 0 && changes == mostChanges {
			return fmt.Errorf("put %q: %w", changed[0].Path, tree.ErrChanging)
		}
		if unread && !slices.Contains(changed, bad.entry) {
			changed = append(changed, bad.entry) // only its bytes can't be had
		}
		if len(changed) == 0 && changes == mostChanges {
			return err
		}
		if len(changed) == 0 { // read in the middle of a write, which its times don't show
			for _, w := range missing {
				changed = append(changed, w.entry)
			}
		}
		if err := u.rescan(ctx, changed); err != nil {
			return err
		}
	}
}

// mostChanges is how often files may change between being read and being uploaded.
const mostChanges = 3

// unreadError says that a file can't be read as it was scanned.
type unreadError struct {
	entry *archive.Entry
	err   error
}

func (e *unreadError) Error() string { return fmt.Sprintf("put %q: %v", e.entry.Path, e.err) }
func (e *unreadError) Unwrap() error { return e.err }

// changed returns the files that have changed since they were scanned.
func (u *uploader) changed() (changed []*archive.Entry) {
	for i := range u.entries {
		if e := &u.entries[i]; e.Kind == archive.File && tree.Changed(u.root, e) {
			changed = append(changed, e)
		}
	}
	return changed
}

// rescan reads files again. One that can't be read any more is an error, or left out when that is wanted.
func (u *uploader) rescan(ctx context.Context, changed []*archive.Entry) error {
	lost := map[string]bool{}
	for _, e := range changed {
		err := tree.Rescan(ctx, u.root, e)
		if err == nil {
			continue
		}
		if !u.put.KeepGoing || ctx.Err() != nil {
			return fmt.Errorf("put %q: %w", e.Path, err)
		}
		lost[e.Path] = true
		if u.put.Skipped != nil {
			u.put.Skipped(e.Path, err)
		}
	}
	u.leaveOut(lost)
	// Other names of the same file have the same content.
	first := map[string]*archive.Entry{}
	for i := range u.entries {
		e := &u.entries[i]
		if e.HardLink == "" {
			first[e.Path] = e
		} else if f := first[e.HardLink]; f != nil {
			e.Content, e.ModTime = f.Content, f.ModTime
		}
	}
	return nil
}

// leaveOut drops files; the first of other names that one of them had stands for it.
func (u *uploader) leaveOut(lost map[string]bool) {
	if len(lost) == 0 {
		return
	}
	firsts := map[string]string{}
	kept := make([]archive.Entry, 0, len(u.entries))
	for _, e := range u.entries {
		if lost[e.Path] && e.Kind == archive.File {
			continue
		}
		if lost[e.HardLink] {
			first, ok := firsts[e.HardLink]
			if !ok {
				firsts[e.HardLink] = e.Path
			}
			e.HardLink = first
		}
		kept = append(kept, e)
	}
	u.entries = kept
}

const maxBatch = 16384

// missing asks which contents the vault lacks.
func (u *uploader) missing(ctx context.Context) (missing []wanted, err error) {
	seen := map[archive.Hash]bool{}
	var batch []*archive.Entry
	var bytes int64
	ask := func() error {
		req := &pb.FindMissingRequest{Vault: u.put.Vault}
		for _, e := range batch {
			req.Contents = append(req.Contents, &pb.ContentRef{Hash: e.Content.Hash[:], Size: e.Content.Size})
		}
		resp, err := u.client.Archives.FindMissing(ctx, req)
		if err != nil {
			return err
		}
		for _, m := range resp.GetMissing() {
			e := batch[m.GetIndex()]
			missing = append(missing, wanted{e, m.GetStaged()})
			bytes += e.Content.Size - m.GetStaged()
		}
		batch = batch[:0]
		return nil
	}
	for i := range u.entries {
		e := &u.entries[i]
		if e.Kind != archive.File || seen[e.Content.Hash] {
			continue
		}
		seen[e.Content.Hash] = true
		if batch = append(batch, e); len(batch) == maxBatch {
			if err := ask(); err != nil {
				return nil, err
			}
		}
	}
	if len(batch) > 0 {
		if err := ask(); err != nil {
			return nil, err
		}
	}
	u.tell(func(p *Progress) {
		if p.Stage != "upload" {
			*p = Progress{Stage: "upload"}
		}
		p.TotalFiles, p.TotalBytes = p.Files+int64(len(missing)), p.Bytes+bytes
	})
	return missing, nil
}

// send uploads contents over a few streams and returns when all are durable in staging.
func (u *uploader) send(ctx context.Context, missing []wanted) error {
	g, ctx := errgroup.WithContext(ctx)
	items := make(chan wanted)
	g.Go(func() error {
		defer close(items)
		for _, w := range missing {
			select {
			case items <- w:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	for range min(uploadStreams, len(missing)) {
		g.Go(func() error { return u.stream(ctx, items) })
	}
	return g.Wait()
}

func (u *uploader) stream(ctx context.Context, items <-chan wanted) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // a stream that we give up must not linger
	stream, err := u.client.Archives.Upload(ctx)
	if err != nil {
		return err
	}
	acks := make(chan error, 1)
	go func() {
		for {
			resp, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				err = nil
				acks <- err
				return
			} else if err != nil {
				acks <- err
				return
			}
			u.acked.Add(int64(len(resp.GetHashes())))
		}
	}()
	b := &batch{send: func(pieces []*pb.Piece) error {
		return stream.Send(&pb.UploadRequest{Vault: u.put.Vault, Pieces: pieces})
	}}
	for w := range items {
		if err := u.content(b, w); errors.Is(err, io.EOF) {
			return <-acks // the controller has ended the stream and says why
		} else if err != nil {
			return err
		}
	}
	if err := b.flush(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return <-acks
}

// content sends one content from its file.
func (u *uploader) content(b *batch, w wanted) error {
	e := w.entry
	f, err := tree.Open(u.root, e)
	if err != nil {
		return &unreadError{e, err}
	}
	defer f.Close()
	for off := w.offset; ; {
		data := make([]byte, min(e.Content.Size-off, pieceSize))
		if n, err := f.ReadAt(data, off); n < len(data) {
			if errors.Is(err, io.EOF) {
				return &unreadError{e, tree.ErrChanging}
			}
			return &unreadError{e, err}
		}
		if err := b.add(&pb.Piece{Hash: e.Content.Hash[:], Size: e.Content.Size, Offset: off, Data: data}); err != nil {
			return err
		}
		off += int64(len(data))
		u.tell(func(p *Progress) { p.Bytes += int64(len(data)) })
		if off == e.Content.Size {
			u.tell(func(p *Progress) { p.Files++ })
			return nil
		}
	}
}

const pieceSize = 1 << 20

// batch gathers pieces into messages of about pieceSize bytes.
type batch struct {
	send   func([]*pb.Piece) error
	pieces []*pb.Piece
	bytes  int
}

func (b *batch) add(p *pb.Piece) error {
	const overhead = 64 // bytes of a piece besides its data, about
	if b.bytes+len(p.Data) > pieceSize {
		if err := b.flush(); err != nil {
			return err
		}
	}
	b.pieces = append(b.pieces, p)
	b.bytes += len(p.Data) + overhead
	return nil
}

func (b *batch) flush() error {
	if len(b.pieces) == 0 {
		return nil
	}
	pieces := b.pieces
	b.pieces, b.bytes = nil, 0
	return b.send(pieces)
}

// seal makes the archive. Its id is chosen once, so that a repeated request makes no second one.
func (u *uploader) seal(ctx context.Context) (sealed *pb.Archive, err error) {
	id := uuid.NewString()
	m := catalogue.NewManifestWriter(io.Discard)
	for i := range u.entries {
		if err := m.WriteEntry(&u.entries[i]); err != nil {
			return nil, err
		}
	}
	root, _, err := m.Close()
	if err != nil {
		return nil, err
	}
	err = u.client.retry(ctx, always, func() error {
		sealed, err = u.sealOnce(ctx, id, root)
		return err
	})
	return sealed, err
}

func (u *uploader) sealOnce(ctx context.Context, id string, root archive.Hash) (*pb.Archive, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := u.client.Archives.SealArchive(ctx)
	if err != nil {
		return nil, err
	}
	header := &pb.SealHeader{Id: id, Vault: u.put.Vault, Name: u.put.Name, Description: u.put.Description, RootHash: root[:], Flush: u.put.Flush}
	err = stream.Send(&pb.SealArchiveRequest{Message: &pb.SealArchiveRequest_Header{Header: header}})
	w := bufio.NewWriterSize(writerFunc(func(p []byte) (int, error) {
		return len(p), stream.Send(&pb.SealArchiveRequest{Message: &pb.SealArchiveRequest_Manifest{Manifest: append([]byte(nil), p...)}})
	}), pieceSize)
	m := catalogue.NewManifestWriter(w)
	for i := 0; i < len(u.entries) && err == nil; i++ {
		if i%sealReport == 0 {
			u.tell(func(p *Progress) { *p = Progress{Stage: "seal", Files: int64(i), TotalFiles: int64(len(u.entries))} })
		}
		err = m.WriteEntry(&u.entries[i])
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return stream.CloseAndRecv() // also says why the controller ended the stream early
}

// sealReport is after how many entries of a manifest its progress is told.
const sealReport = 4096

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
